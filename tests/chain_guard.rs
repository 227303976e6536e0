//! Two real chains in one rotation: every answer is of the right one, and nothing is sent that was
//! signed for the other.

use alclad::{
    BlockCacheLayer, ChainGuardLayer, Endpoint, Ordered, RetryLayer, Rotation, RotationBuilder,
    Sends, TimeoutLayer, TxGuardLayer, WeightedRoundRobin,
    core::error::{RefusedTransaction, cause},
};
use alclad_testkit::{ChainSpec, Disruption, SimChain, SimNode};
use alclad_tests::{LossyRelay, Node, within};
use alloy::{
    consensus::TxEnvelope,
    eips::Encodable2718,
    network::{Ethereum, NetworkTransactionBuilder, TransactionBuilder},
    primitives::{Address, U256},
    providers::{Provider, ProviderBuilder},
    rpc::{client::RpcClient, types::TransactionRequest},
};
use serde_json::{Value, json};
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

/// What it answered before anybody could know is not given any longer once it is known.
#[tokio::test(start_paused = true)]
async fn an_answer_of_another_chain_is_not_kept_when_the_guard_has_noticed() {
    let chain = SimChain::start(ChainSpec::new(7).with_finality(32, 64));
    chain.mine(200);
    let node = SimNode::new(&chain);
    let interval = Duration::from_secs(60);
    let guard = ChainGuardLayer::expect(chain.chain_id()).with_interval(interval);
    let endpoint = Endpoint::new("a", node.transport()).layer(guard);
    let rotation = Rotation::builder().endpoint(endpoint).build();
    let cache = BlockCacheLayer::new().with_heads(rotation.heads());
    let client = RpcClient::builder()
        .layer(cache.with_chain_id(chain.chain_id()))
        .transport(rotation.clone(), true);
    let question = [json!(chain.accounts()[0]), json!("0x5")];
    let ask = async || client.request::<_, U256>("eth_getBalance", &question).await;
    client.request::<_, Value>("eth_getBlockByNumber", ("finalized", false)).await.unwrap();

    let twin = chain.twin(OTHER);
    let of_twin = twin.answer("eth_getBalance", json!(question)).unwrap();
    let truth = chain.answer("eth_getBalance", json!(question)).unwrap();
    assert_ne!(truth, of_twin);
    node.set(Disruption::WrongChain(twin));
    assert_eq!(json!(ask().await.unwrap()), of_twin, "nobody can know yet");
    tokio::time::advance(2 * interval).await;
    client.request_noparams::<U256>("eth_gasPrice").await.unwrap_err();
    ask().await.unwrap_err();
    node.clear();
    tokio::time::advance(10 * interval).await;
    assert_eq!(json!(ask().await.unwrap()), truth);
}

/// Long before the guard would ask again.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_moves_is_found_out_by_its_blocks() {
    let chain = SimChain::new(7);
    chain.mine(20);
    let nodes = [(); 2].map(|()| SimNode::new(&chain));
    let guard = ChainGuardLayer::expect(chain.chain_id());
    let endpoint = |(label, node): (&'static str, &SimNode)| {
        Endpoint::new(label, node.transport()).layer(guard.clone())
    };
    let endpoints = ["a", "b"].into_iter().zip(&nodes).map(endpoint);
    let rotation = Rotation::builder().endpoints(endpoints);
    let rotation = rotation.with_strategy(WeightedRoundRobin::new()).build();
    let client = RpcClient::new(rotation, true);
    let mut wrong = 0;
    for turn in 0..100 {
        if turn == 50 {
            nodes[0].set(Disruption::WrongChain(chain.twin(OTHER)));
        }
        let params = json!([format!("0x{:x}", 10 + turn % 10), false]);
        let block: Value = client.request("eth_getBlockByNumber", &params).await.unwrap();
        wrong += u32::from(block != chain.answer("eth_getBlockByNumber", params).unwrap());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(wrong, 1);
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
