//! An endpoint that moves to another chain shows other blocks than the others.

mod nodes;

use alclad_testkit::{Disruption, SimNode, request, single};
use nodes::Nodes;
use serde_json::json;
use std::time::Duration;
use tokio::{task::yield_now, time::advance};
use tower::ServiceExt;

async fn read_blocks(nodes: &Nodes, label: &str) {
    for number in 10..20 {
        let params = json!([format!("0x{number:x}"), false]);
        let packet = single(request(number, "eth_getBlockByNumber", params));
        let answer = nodes.rotation.pinned(label).oneshot(packet).await;
        assert!(answer.is_ok_and(|answer| answer.is_success()));
    }
    // What is asked beside the calls is asked then.
    yield_now().await;
}

fn checks(nodes: &Nodes) -> [u64; 3] {
    [0, 1, 2].map(|node| nodes.nodes[node].calls("eth_chainId"))
}

#[tokio::test(start_paused = true)]
async fn who_shows_another_block_is_asked_for_its_chain_now_and_then() {
    let nodes = Nodes::new();
    read_blocks(&nodes, "a").await;
    read_blocks(&nodes, "b").await;
    assert_eq!(checks(&nodes), [0; 3], "they agree");
    nodes.nodes[1].set(Disruption::WrongChain(nodes.chain.twin(1337)));
    for seconds in 1..=3 {
        read_blocks(&nodes, "b").await;
        assert_eq!(checks(&nodes), [0, seconds, 0]);
        advance(Duration::from_millis(1001)).await;
    }
    // Two that agree are looked at as well: who is right is for their guards to say.
    nodes.nodes.iter().for_each(SimNode::reset_counters);
    read_blocks(&nodes, "a").await;
    read_blocks(&nodes, "c").await;
    assert_eq!(checks(&nodes), [1, 0, 1]);
}
