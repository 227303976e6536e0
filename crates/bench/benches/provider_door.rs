//! One, two and four layers through the door of `ProviderBuilder`: the allocations must grow with
//! their number, not with its square.

use alclad::{TimeoutLayer, core::wrap_root};
use alclad_bench::{Instant, call, request, runtime};
use alloy::{
    network::Ethereum,
    providers::{Provider, RootProvider},
    rpc::client::RpcClient,
};
use divan::{AllocProfiler, Bencher};
use std::time::Duration;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    let _runtime = runtime();
    divan::main();
}

#[divan::bench(sample_size = 1000, args = [0, 1, 2, 4])]
fn layers(bencher: Bencher<'_, '_>, layers: usize) {
    let layer = TimeoutLayer::new(Duration::from_secs(10));
    let root = RootProvider::<Ethereum>::new(RpcClient::new(Instant::new(), true));
    let root = (0..layers).fold(root, |root, _| wrap_root(root, &layer));
    let transport = root.client().transport().clone();
    bencher.with_inputs(request).bench_values(|packet| call(&transport, packet));
}
