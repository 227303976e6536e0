//! Three real nodes of one chain: one is killed, another is frozen, and the reads go on.

use alclad::{Endpoint, Ordered, RetryLayer, Rotation, TimeoutLayer};
use alclad_tests::{Node, within};
use alloy::{
    primitives::{Address, B256, U256},
    providers::{Provider, ProviderBuilder, ext::AnvilApi},
    rpc::client::RpcClient,
};
use futures::{StreamExt, stream};
use std::time::Duration;

const BLOCKS: u64 = 20;
const READS: usize = 1500;

/// Nodes that know the same blocks, accounts included.
async fn nodes_of_one_chain() -> [Node; 3] {
    let nodes = [Node::start(), Node::start(), Node::start()];
    let [first, others @ ..] = &nodes;
    let first = first.direct();
    for index in 1..=BLOCKS {
        first.anvil_set_balance(account(index), U256::from(index * 1000)).await.unwrap();
        first.anvil_mine(Some(1), None).await.unwrap();
    }
    let state = first.anvil_dump_state_with_history().await.unwrap();
    for other in others {
        assert!(other.direct().anvil_load_state(state.clone()).await.unwrap());
    }
    nodes
}

fn account(index: u64) -> Address {
    Address::left_padding_from(&(0xa11c_0000 + index).to_be_bytes())
}

/// What the chain says at one height.
type Facts = (U256, B256);

async fn facts(provider: &impl Provider, height: u64) -> Option<Facts> {
    let balance = provider.get_balance(account(height)).await.ok()?;
    let block = provider.get_block_by_number(height.into()).await.ok()??;
    Some((balance, block.header.hash))
}

fn stack(rotation: &Rotation) -> impl Provider + use<> {
    let retry = RetryLayer::new().with_budget(rotation.budget());
    let client = RpcClient::builder().layer(retry).transport(rotation.clone(), true);
    ProviderBuilder::new().connect_client(client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_while_one_node_is_killed_and_another_frozen() {
    let nodes = nodes_of_one_chain().await;
    let endpoint = |label: &str, node: &Node| {
        Endpoint::http(label, node.url()).layer(TimeoutLayer::new(Duration::from_millis(500)))
    };
    let rotation = Rotation::builder()
        .with_strategy(Ordered::strict())
        .endpoint(endpoint("killed", &nodes[0]))
        .endpoint(endpoint("frozen", &nodes[1]))
        .endpoint(endpoint("healthy", &nodes[2]))
        .build();
    let provider = stack(&rotation);
    let (truth_teller, mut truth) = (nodes[2].direct(), Vec::new());
    for height in 1..=BLOCKS {
        truth.push(facts(&truth_teller, height).await.unwrap());
    }

    let read = async |index: usize| {
        match index {
            500 => nodes[0].kill(),
            1000 => nodes[1].freeze(),
            _ => {}
        }
        let expected = &truth[index % truth.len()];
        facts(&provider, 1 + (index % truth.len()) as u64).await.as_ref() == Some(expected)
    };
    let reads = stream::iter(0..READS).map(read).buffer_unordered(16);
    let right = reads.filter(|right| std::future::ready(*right)).count();
    assert_eq!(within(Duration::from_secs(60), right).await, READS);

    let [killed, frozen, healthy] = rotation.snapshot().try_into().unwrap();
    assert!(killed.faults.contains_key("Connection"), "{killed:?}");
    assert!(frozen.faults.contains_key("Timeout"), "{frozen:?}");
    assert!(healthy.faults.is_empty(), "{healthy:?}");
    let asked = killed.requests + frozen.requests + healthy.requests;
    // Five in a hundred for hedges, and what it takes to find out who is killed and who is frozen.
    assert!(asked <= READS as u64 * 2 * 108 / 100, "{asked} for {READS} pairs of calls");
}

#[tokio::test]
async fn a_node_that_thaws_is_asked_again() {
    let nodes = [Node::start(), Node::start()];
    let timeout = TimeoutLayer::new(Duration::from_millis(200));
    let rotation = Rotation::builder()
        .with_strategy(Ordered::strict())
        .endpoint(Endpoint::http("frozen", nodes[0].url()).layer(timeout))
        .endpoint(Endpoint::http("spare", nodes[1].url()))
        .build();
    let provider = stack(&rotation);
    let spared = || rotation.snapshot()[1].requests;

    nodes[0].freeze();
    for _ in 0..20 {
        assert_eq!(provider.get_block_number().await.unwrap(), 0);
    }
    assert_eq!(spared(), 20);

    nodes[0].thaw();
    let is_back = async {
        while {
            let before = spared();
            assert_eq!(provider.get_block_number().await.unwrap(), 0);
            spared() > before
        } {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within(Duration::from_secs(30), is_back).await;
}
