//! A chain of four blocks a second is polled, by a guard that was not told how fast it is.

mod support;

use alclad_chain_guard::ChainGuardLayer;
use alclad_testkit::{ChainSpec, SimChain, SimNode};
use serde_json::json;
use std::time::Duration;
use support::{CHAIN, ask};
use tokio::time::sleep;
use tower::Layer;

/// How often the endpoint is asked for its chain while somebody asks for the head, every so often,
/// for ten minutes.
async fn questions(block_time: Duration, between: Duration) -> u64 {
    let chain = SimChain::start(ChainSpec::new(7).with_block_time(block_time));
    chain.mine(100);
    let _miner = chain.mine_on_schedule();
    let node = SimNode::new(&chain);
    let service = ChainGuardLayer::expect(CHAIN).layer(node.transport());
    for _ in 0..600_000 / between.as_millis() {
        ask(&service, "eth_blockNumber", json!([])).await.unwrap();
        sleep(between).await;
    }
    node.calls("eth_chainId")
}

#[tokio::test(start_paused = true)]
async fn its_pace_is_no_jump_for_long_however_seldom_its_head_is_asked() {
    for seconds in [1, 7, 30, 50] {
        let asked = questions(Duration::from_millis(250), Duration::from_secs(seconds)).await;
        // Ten for the ten minutes, and a few until the pace is known.
        assert!(asked <= 14, "{asked} questions with a poll every {seconds} s");
    }
}
