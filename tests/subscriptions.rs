//! Subscriptions over WebSocket, through layers.

use alclad::{RetryLayer, TimeoutLayer, TransportLayers};
use alclad_tests::{Node, within};
use alloy::providers::{Provider, ProviderBuilder, ext::AnvilApi};
use std::time::Duration;
use tower::ServiceBuilder;

const LIMIT: Duration = Duration::from_secs(30);

/// The next so many block numbers; they follow one another.
async fn follow(provider: &impl Provider, act: impl AsyncFn()) -> Vec<u64> {
    let mut blocks = provider.subscribe_blocks().await.expect("the frontend is still there");
    act().await;
    let mut numbers = Vec::new();
    for _ in 0..3 {
        numbers.push(within(LIMIT, blocks.recv()).await.expect("a header").number);
    }
    provider.unsubscribe(*blocks.local_id()).await.unwrap();
    numbers
}

#[tokio::test]
async fn blocks_mined_on_demand_arrive_through_one_layer() {
    let node = Node::start();
    let builder = ProviderBuilder::new().layer(RetryLayer::new());
    let provider = builder.connect_ws(node.ws()).await.unwrap();
    let mine = async || node.direct().anvil_mine(Some(3), None).await.unwrap();
    assert_eq!(follow(&provider, mine).await, [1, 2, 3]);
    assert_eq!(follow(&provider, mine).await, [4, 5, 6]);
}

#[tokio::test]
async fn blocks_mined_on_demand_arrive_through_two_layers_and_a_foreign_one() {
    let node = Node::start();
    let provider = ProviderBuilder::new()
        .layer(RetryLayer::new())
        .layer(TimeoutLayer::new(Duration::from_secs(5)))
        .layer(TransportLayers(ServiceBuilder::new().concurrency_limit(8)))
        .connect_ws(node.ws())
        .await
        .unwrap();
    // Mined through the same socket.
    let mine = async || provider.anvil_mine(Some(3), None).await.unwrap();
    assert_eq!(follow(&provider, mine).await, [1, 2, 3]);
    assert_eq!(provider.get_block_number().await.unwrap(), 3);
}

#[tokio::test]
async fn blocks_that_come_by_themselves_arrive_while_calls_are_made() {
    let node = Node::start_with(&["--block-time", "1"]);
    let provider = ProviderBuilder::new()
        .layer(RetryLayer::new())
        .layer(TimeoutLayer::new(Duration::from_secs(5)))
        .connect_ws(node.ws())
        .await
        .unwrap();
    let ask = async || {
        for _ in 0..100 {
            assert_eq!(provider.get_chain_id().await.unwrap(), 31_337);
        }
    };
    let numbers = follow(&provider, ask).await;
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
}
