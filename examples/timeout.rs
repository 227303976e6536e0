//! `TimeoutLayer` over one endpoint: every attempt has its time, and each method its own.

use alclad::{
    Fault, RetryLayer, TimeoutLayer,
    core::error::{AttemptTimeout, cause},
};
use alclad_testkit::{Disruption, SimChain, SimNode};
use alloy::{
    providers::{Provider, ProviderBuilder},
    rpc::{client::RpcClient, types::Filter},
    transports::TransportResult,
};
use std::time::Duration;
use tokio::time::Instant;

#[tokio::main(flavor = "current_thread")]
async fn main() -> TransportResult<()> {
    let chain = SimChain::random();
    chain.mine(20);
    let node = SimNode::new(&chain);
    let timeout = TimeoutLayer::new(Duration::from_millis(100))
        .with_method("eth_getLogs", Duration::from_secs(2));
    let client = RpcClient::builder().layer(timeout.clone()).transport(node.transport(), true);
    let provider = ProviderBuilder::new().connect_client(client);

    node.set(Disruption::BlackHole);
    let start = Instant::now();
    let error = provider.get_chain_id().await.expect_err("nobody answers");
    assert!(cause::<AttemptTimeout>(&error).is_some());
    let fault = Fault::of_error("eth_chainId", &error);
    println!("a node that never answers: {fault:?} after {:.0?}", start.elapsed());
    println!("    {error}");

    node.set(Disruption::SlowBy(Duration::from_millis(500)));
    let start = Instant::now();
    let logs = provider.get_logs(&Filter::new().from_block(1).to_block(20)).await?;
    println!("slow logs have the time that they need: {} in {:.0?}", logs.len(), start.elapsed());

    // The retry stands above the timeout, so that each attempt has its time.
    let client = RpcClient::builder()
        .layer(RetryLayer::new())
        .layer(timeout)
        .transport(node.transport(), true);
    let provider = ProviderBuilder::new().connect_client(client);
    node.set(Disruption::BlackHole.times(2));
    let start = Instant::now();
    let chain_id = provider.get_chain_id().await?;
    println!("two attempts in vain, with a retry above: {chain_id} after {:.0?}", start.elapsed());
    Ok(())
}
