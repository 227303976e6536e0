//! Two real chains in one rotation: every answer is of the right one, and nothing is sent that was
//! signed for the other.

use alclad::{
    ChainGuardLayer, Endpoint, Ordered, RetryLayer, Rotation, RotationBuilder, Sends, TimeoutLayer,
    TxGuardLayer,
    core::error::{RefusedTransaction, cause},
};
use alclad_testkit::{SimChain, SimNode};
use alclad_tests::{LossyRelay, Node, within};
use alloy::{
    consensus::TxEnvelope,
    eips::Encodable2718,
    network::{Ethereum, NetworkTransactionBuilder, TransactionBuilder},
    primitives::{Address, U256},
    providers::{Provider, ProviderBuilder},
    rpc::{client::RpcClient, types::TransactionRequest},
};
use std::time::Duration;

const CHAIN: u64 = 31337;
const OTHER: u64 = 1337;
const LIMIT: Duration = Duration::from_secs(60);

fn guarded<'a>(nodes: impl IntoIterator<Item = (&'a str, &'a Node)>) -> RotationBuilder {
    let guard = ChainGuardLayer::expect(CHAIN);
    let endpoint = |(label, node): (&str, &Node)| {
        let patience = TimeoutLayer::new(Duration::from_secs(5));
        Endpoint::http(label, node.url()).layer(guard.clone()).layer(patience)
    };
    Rotation::builder().endpoints(nodes.into_iter().map(endpoint))
}

fn client(rotation: &Rotation) -> RpcClient {
    let retry = RetryLayer::new().with_budget(rotation.budget());
    let guard = TxGuardLayer::expect(CHAIN);
    RpcClient::builder().layer(guard).layer(retry).transport(rotation.clone(), true)
}

async fn transfer(node: &Node, chain_id: u64) -> TxEnvelope {
    let transfer = TransactionRequest::default()
        .with_to(Address::repeat_byte(0xaa))
        .with_value(U256::from(7))
        .with_chain_id(chain_id)
        .with_nonce(0)
        .with_gas_limit(21_000)
        .with_max_fee_per_gas(10_000_000_000)
        .with_max_priority_fee_per_gas(1_000_000_000);
    NetworkTransactionBuilder::<Ethereum>::build(transfer, &node.wallet())
        .await
        .expect("it is whole")
}

#[tokio::test]
async fn every_answer_is_of_the_right_chain() {
    let right = Node::start();
    let wrong = Node::start_with(&["--chain-id", "1337", "--timestamp", "1700000000"]);
    let truth = right.direct().get_block(0.into()).await.unwrap().unwrap().header.hash;
    let order = || guarded([("wrong", &wrong), ("right", &right)]);
    for rotation in [order().with_strategy(Ordered::new()), order()] {
        let rotation = rotation.build();
        let provider = ProviderBuilder::new().connect_client(client(&rotation));
        for _ in 0..200 {
            let block = within(LIMIT, provider.get_block(0.into())).await.unwrap().unwrap();
            assert_eq!(block.header.hash, truth);
            assert_eq!(provider.get_chain_id().await.unwrap(), CHAIN);
        }
    }
}

#[tokio::test]
async fn a_transaction_for_another_chain_is_not_sent() {
    let node = Node::start();
    let other_node = Node::start_with(&["--chain-id", "1337"]);
    let relay = LossyRelay::before(node.address()).await.unwrap();
    let guard = ChainGuardLayer::expect(CHAIN);
    let endpoints = [("other", other_node.url()), ("relay", relay.url())];
    let endpoint = |(label, url)| Endpoint::http(label, url).layer(guard.clone());
    let rotation = Rotation::builder()
        .endpoints(endpoints.map(endpoint))
        .with_sends(Sends::All)
        .with_strategy(Ordered::new())
        .build();
    let provider = ProviderBuilder::new().connect_client(client(&rotation));

    let other = transfer(&node, OTHER).await.encoded_2718();
    let error = within(LIMIT, provider.send_raw_transaction(&other)).await.unwrap_err();
    let refused = RefusedTransaction::OtherChain { expected: CHAIN, actual: OTHER };
    assert_eq!(cause::<RefusedTransaction>(&error), Some(&refused));
    assert_eq!(relay.sends(), 0);

    let own = transfer(&node, CHAIN).await.encoded_2718();
    let sent = within(LIMIT, provider.send_raw_transaction(&own)).await.unwrap();
    assert!(within(LIMIT, sent.get_receipt()).await.unwrap().status());
    assert!(relay.sends() > 0);
    // The node that would have taken the first one was sent neither.
    assert_eq!(other_node.direct().get_block_number().await.unwrap(), 0);
}

#[tokio::test]
async fn two_paths_of_one_host_are_two_endpoints_and_both_are_verified() {
    let node = SimNode::new(&SimChain::new(7));
    let server = node.serve_http().await;
    let guard = ChainGuardLayer::expect(1);
    let endpoint = |label: &str| {
        let url = server.url().join(&format!("v2/{label}")).expect("a path");
        Endpoint::http(label, url).layer(guard.clone())
    };
    let rotation = Rotation::builder().endpoints(["one", "two"].map(endpoint)).build();
    for label in ["one", "two", "one", "two"] {
        let client = RpcClient::new(rotation.pinned(label), true);
        client.request_noparams::<U256>("eth_gasPrice").await.unwrap();
    }
    assert_eq!((node.calls("eth_chainId"), node.calls("eth_gasPrice")), (2, 4));
}
