//! The layers together, over simulated nodes in process.

use alclad::{
    BlockCacheLayer, Endpoint, RateLimitLayer, RetryLayer, Rotation, TimeoutLayer, TransportLayers,
};
use alclad_testkit::{Disruption, SimChain, SimNode};
use alloy::{
    providers::{Provider, ProviderBuilder, layers::CacheLayer},
    rpc::client::RpcClient,
    transports::{BoxTransport, IntoBoxTransport},
};
use std::{num::NonZeroU32, time::Duration};
use tower::{Layer, ServiceBuilder};

const PATIENCE: Duration = Duration::from_secs(1);

fn node() -> SimNode {
    let chain = SimChain::new(7);
    chain.mine(20);
    SimNode::new(&chain)
}

fn timeout() -> TimeoutLayer {
    TimeoutLayer::new(PATIENCE)
}

fn rate_limit() -> RateLimitLayer {
    RateLimitLayer::per_second(NonZeroU32::new(100).unwrap())
}

async fn height(transport: impl IntoBoxTransport) -> u64 {
    let client = RpcClient::new(transport, true);
    ProviderBuilder::new().connect_client(client).get_block_number().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_layer_stands_on_a_boxed_transport_and_on_every_other() {
    let floor = || node().transport().into_box_transport();
    assert_eq!(height(RetryLayer::new().layer(floor())).await, 20);
    assert_eq!(height(timeout().layer(floor())).await, 20);
    assert_eq!(height(RetryLayer::new().layer(timeout().layer(floor()))).await, 20);
    assert_eq!(height(timeout().layer(RetryLayer::new().layer(floor()))).await, 20);
    assert_eq!(height(rate_limit().layer(floor())).await, 20);
    assert_eq!(height(RetryLayer::new().layer(rate_limit().layer(floor()))).await, 20);
    assert_eq!(height(rate_limit().layer(timeout().layer(floor()))).await, 20);
    assert_eq!(height(BlockCacheLayer::new().layer(floor())).await, 20);
    assert_eq!(height(BlockCacheLayer::new().layer(RetryLayer::new().layer(floor()))).await, 20);
    assert_eq!(height(TransportLayers(timeout()).layer(floor())).await, 20);
    let rotation = Rotation::builder().endpoint(Endpoint::new("a", floor())).build();
    assert_eq!(height(timeout().layer(rotation.clone())).await, 20);
    // A rotation is a transport, and so an endpoint of another one.
    let nested = Rotation::builder().endpoint(Endpoint::new("pool", rotation)).build();
    assert_eq!(height(RetryLayer::new().layer(nested)).await, 20);
}

#[tokio::test(start_paused = true)]
async fn a_provider_builder_takes_every_layer_and_foreign_ones_among_them() {
    let node = node();
    let foreign = ServiceBuilder::new().concurrency_limit(2).timeout(PATIENCE);
    let provider = ProviderBuilder::new()
        .layer(CacheLayer::new(10))
        .layer(BlockCacheLayer::new())
        .layer(RetryLayer::new())
        .layer(rate_limit())
        .layer(TransportLayers(foreign))
        .layer(timeout())
        .connect_client(RpcClient::new(node.transport(), true));
    node.set(Disruption::rpc_error(-32603, "internal error").times(2));
    assert_eq!(provider.get_block_number().await.unwrap(), 20);
    assert_eq!(node.calls("eth_blockNumber"), 3);
}

#[tokio::test(start_paused = true)]
async fn the_first_added_layer_is_the_outermost() {
    let hangs = node();
    hangs.set(Disruption::BlackHole.times(1));
    let client = || RpcClient::new(hangs.transport(), true);
    let retry_outside =
        ProviderBuilder::new().layer(RetryLayer::new()).layer(timeout()).connect_client(client());
    assert_eq!(retry_outside.get_block_number().await.unwrap(), 20);

    hangs.set(Disruption::BlackHole.times(1));
    let timeout_outside =
        ProviderBuilder::new().layer(timeout()).layer(RetryLayer::new()).connect_client(client());
    assert!(timeout_outside.get_block_number().await.is_err());
}

#[test]
fn the_door_keeps_the_poll_interval_and_whether_the_node_is_local() {
    let layered = |is_local: bool, interval: Duration| {
        let client = RpcClient::new(node().transport(), is_local).with_poll_interval(interval);
        ProviderBuilder::new().layer(RetryLayer::new()).layer(timeout()).connect_client(client)
    };
    for (is_local, interval) in [(true, 40), (false, 5_000)] {
        let interval = Duration::from_millis(interval);
        let provider = layered(is_local, interval);
        assert_eq!(provider.client().is_local(), is_local);
        assert_eq!(provider.client().poll_interval(), interval);
    }
}

#[test]
fn the_door_wraps_the_transport_and_does_not_replace_it() {
    let client = RpcClient::new(node().transport(), true);
    let provider = ProviderBuilder::new().layer(timeout()).connect_client(client);
    let outermost = provider.client().transport().as_any();
    assert!(outermost.is::<alclad::timeout::Timeout<BoxTransport>>());
}
