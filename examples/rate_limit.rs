//! `RateLimitLayer` over one endpoint: it stays under the limit before the error comes, counts what
//! each method costs, and finds a limit that has moved.

use alclad::{
    Fault, RateLimitLayer,
    rate_limit::{Aimd, CostTable},
};
use alclad_testkit::{RateLimit, SimChain, SimNode};
use alloy::{
    providers::{Provider, ProviderBuilder},
    rpc::client::RpcClient,
    transports::TransportResult,
};
use futures::future::join_all;
use std::{num::NonZeroU32, time::Duration};
use tokio::time::Instant;

const fn per_second(units: u32) -> NonZeroU32 {
    NonZeroU32::new(units).expect("more than none")
}

fn provider(node: &SimNode, layer: RateLimitLayer) -> impl Provider + use<> {
    let client = RpcClient::builder().layer(layer).transport(node.transport(), true);
    ProviderBuilder::new().connect_client(client)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> TransportResult<()> {
    let node = SimNode::new(&SimChain::random());
    node.set_rate_limit(RateLimit::in_any_second(per_second(50)));
    let layer = RateLimitLayer::per_second(per_second(50)).with_window(Duration::from_secs(1));
    let vendor = provider(&node, layer.clone());
    let start = Instant::now();
    let heights = join_all((0..100).map(|_| vendor.get_block_number())).await;
    let answered = heights.iter().filter(|height| height.is_ok()).count();
    println!(
        "100 calls at 50 per second: {answered} answered, {} throttled, in {:.1?}",
        node.throttled(),
        start.elapsed()
    );

    // One that cannot wait is told at once when it may come again.
    let hurried = provider(&node, layer.with_burst(per_second(1)).with_max_wait(Duration::ZERO));
    hurried.get_block_number().await?;
    let error = hurried.get_block_number().await.expect_err("no room");
    println!("without waiting: {:?}", Fault::of_error("eth_blockNumber", &error));
    println!("    {error}");

    // A vendor that counts compute units, and allows less than it says.
    let allowed = RateLimit::per_second(per_second(40)).with_burst(per_second(5));
    node.set_rate_limit(allowed.with_hint(Duration::from_millis(100)));
    let layer = RateLimitLayer::compute_units(per_second(600), CostTable::alchemy())
        .with_policy(Aimd::new());
    let (limiter, vendor) = (layer.limiter(), provider(&node, layer));
    let start = Instant::now();
    let mut calls = 0;
    while start.elapsed() < Duration::from_secs(5) {
        let _ = vendor.get_block_number().await;
        calls += 1;
    }
    println!("600 units are 60 calls at 10 each, and the vendor allows 40:");
    println!(
        "    {} of {calls} throttled in 5 s, {:.0} units per second now",
        limiter.throttled(),
        limiter.rate()
    );
    Ok(())
}
