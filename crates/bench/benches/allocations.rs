//! How often a call that nothing happens to allocates, and how much: each layer, stacks, and k
//! layers through the door of `ProviderBuilder`, beside alloy's own layers.

use alclad::{
    MetricsLayer, RateLimitLayer, RetryLayer, TimeoutLayer, TxGuardLayer, core::wrap_root,
};
use alclad_bench::{Instant, boxed, call, fallback, guarded, request, rotation, runtime};
use allocation_counter::measure;
use alloy::{
    network::Ethereum,
    providers::{Provider, RootProvider},
    rpc::client::RpcClient,
    transports::{
        BoxTransport,
        layers::{RetryBackoffLayer, ThrottleLayer},
    },
};
use comfy_table::Table;
use std::{num::NonZeroU32, time::Duration};
use tower::Layer;

const LIMIT: Duration = Duration::from_secs(10);

fn main() {
    let _runtime = runtime();
    let alloy_retry = || RetryBackoffLayer::new(5, 100, u64::MAX);
    let rate_limit = || RateLimitLayer::per_second(NonZeroU32::MAX);
    let throttle = || ThrottleLayer::new_with_burst(u32::MAX, NonZeroU32::MAX);
    let mut table = Table::new();
    table.set_header(["stack", "allocations", "over bare", "bytes"]);
    let bare = count(&boxed(Instant::new())).0;
    for (name, transport) in [
        ("bare", boxed(Instant::new())),
        ("alclad metrics", boxed(MetricsLayer::new().layer(Instant::new()))),
        ("alclad rate limit", boxed(rate_limit().layer(Instant::new()))),
        ("alclad retry", boxed(RetryLayer::new().layer(Instant::new()))),
        ("alclad timeout", boxed(TimeoutLayer::new(LIMIT).layer(Instant::new()))),
        ("alclad chain guard", guarded()),
        ("alclad tx guard", boxed(TxGuardLayer::expect(1).layer(Instant::new()))),
        ("alclad rotation of 3", boxed(rotation())),
        ("alclad retry, rotation", boxed(RetryLayer::new().layer(rotation()))),
        ("door, 1 layer", door(1)),
        ("door, 2 layers", door(2)),
        ("door, 4 layers", door(4)),
        ("alloy retry", boxed(alloy_retry().layer(Instant::new()))),
        ("alloy throttle", boxed(throttle().layer(Instant::new()))),
        ("alloy fallback 1 of 3", boxed(fallback(1))),
        ("alloy retry, fallback", boxed(alloy_retry().layer(fallback(1)))),
    ] {
        let (allocations, bytes) = count(&transport);
        let over = allocations - bare;
        table.add_row([
            name.to_owned(),
            allocations.to_string(),
            over.to_string(),
            bytes.to_string(),
        ]);
    }
    println!("{table}");
}

/// Once the first call has warmed up what is made only once.
fn count(transport: &BoxTransport) -> (u64, u64) {
    call(transport, request());
    let packet = request();
    let counted = measure(|| drop(call(transport, packet)));
    (counted.count_total, counted.bytes_total)
}

fn door(layers: usize) -> BoxTransport {
    let root = RootProvider::<Ethereum>::new(RpcClient::new(Instant::new(), true));
    let layer = TimeoutLayer::new(LIMIT);
    let root = (0..layers).fold(root, |root, _| wrap_root(root, &layer));
    root.client().transport().clone()
}
