//! A node over WebSocket.

use alclad_testkit::{Disruption, SimChain, SimNode, SimServer};
use alloy::{
    providers::{DynProvider, Provider, ProviderBuilder, WsConnect},
    rpc::types::Filter,
};
use std::time::Duration;
use tokio::time::timeout;

async fn connect() -> (SimNode, SimServer, DynProvider) {
    let chain = SimChain::new(41);
    chain.mine(5);
    let node = SimNode::new(&chain);
    let server = node.serve_ws().await;
    let connect = WsConnect::new(server.url()).with_max_retries(0);
    let provider = ProviderBuilder::new().connect_ws(connect).await.unwrap().erased();
    (node, server, provider)
}

async fn soon<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(10), future).await.expect("within ten seconds")
}

#[tokio::test]
async fn calls_are_answered_beside_each_other() {
    let (node, _server, provider) = connect().await;
    node.set(Disruption::SlowBy(Duration::from_secs(600)).on("eth_gasPrice"));
    let slow = provider.clone();
    let slow = tokio::spawn(async move { slow.get_gas_price().await });
    assert_eq!(soon(provider.get_block_number()).await.unwrap(), 5);
    assert_eq!(soon(provider.get_chain_id()).await.unwrap(), 1);
    slow.abort();
}

#[tokio::test]
async fn new_heads_are_told_one_by_one_and_again_after_a_reorg() {
    let (node, _server, provider) = connect().await;
    let mut heads = provider.subscribe_blocks().await.unwrap();
    node.chain().mine(2);
    assert_eq!(soon(heads.recv()).await.unwrap().number, 6);
    assert_eq!(soon(heads.recv()).await.unwrap(), node.chain().head());
    let reorg = node.chain().reorg_to(1, 2);
    assert_eq!(soon(heads.recv()).await.unwrap().hash, reorg.adopted[0]);
    assert_eq!(soon(heads.recv()).await.unwrap().hash, reorg.adopted[1]);
}

#[tokio::test]
async fn a_lagging_node_tells_its_heads_later() {
    let (node, _server, provider) = connect().await;
    node.set_lag(2);
    let mut heads = provider.subscribe_blocks().await.unwrap();
    node.chain().mine(2);
    assert_eq!(soon(heads.recv()).await.unwrap().number, 4);
    assert_eq!(soon(heads.recv()).await.unwrap().number, 5);
    node.set_lag(0);
    assert_eq!(soon(heads.recv()).await.unwrap().number, 6);
}

#[tokio::test]
async fn logs_are_told_as_they_come() {
    let (node, _server, provider) = connect().await;
    let contract = node.chain().contracts()[0];
    let mut logs = provider.subscribe_logs(&Filter::new().address(contract)).await.unwrap();
    (0..5).for_each(|_| node.chain().mine_with(4, 1));
    let log = soon(logs.recv()).await.unwrap();
    assert_eq!(log.address(), contract);
}

#[tokio::test]
async fn a_black_hole_tells_no_heads_either() {
    let (node, _server, provider) = connect().await;
    let mut heads = provider.subscribe_blocks().await.unwrap();
    node.set(Disruption::BlackHole);
    node.chain().mine(1);
    assert!(timeout(Duration::from_millis(200), heads.recv()).await.is_err());
    node.clear();
    assert_eq!(soon(heads.recv()).await.unwrap().number, 6);
}

#[tokio::test]
async fn a_dead_node_drops_its_connections() {
    let (node, server, provider) = connect().await;
    node.set(Disruption::Dead);
    server.settled().await;
    assert!(soon(provider.get_chain_id()).await.is_err());
    node.clear();
    server.settled().await;
    let again = ProviderBuilder::new().connect_ws(WsConnect::new(server.url())).await.unwrap();
    assert_eq!(soon(again.get_chain_id()).await.unwrap(), 1);
}

#[tokio::test]
async fn subscriptions_need_a_connection_that_can_push() {
    let (node, _server, _provider) = connect().await;
    let client = alloy::rpc::client::RpcClient::new(node.transport(), true);
    let error = client.request::<_, String>("eth_subscribe", ("newHeads",)).await.unwrap_err();
    assert_eq!(error.as_error_resp().unwrap().message, "notifications not supported");
}
