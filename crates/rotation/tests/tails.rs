//! A tail of half a second, at one endpoint or at all of them: how late the calls are, and what
//! that costs. On the paused clock; `tests/rotation_runs.rs` has the same over HTTP.

mod nodes;
mod stage;

use alclad_rotation::{LeastLatency, Rotation};
use alclad_testkit::Disruption;
use alloy::primitives::B256;
use futures::{StreamExt, stream};
use nodes::Nodes;
use serde_json::{Value, json};
use stage::{ms, three};
use std::time::Duration;
use tokio::time::Instant;

const CALLS: u64 = 2000;
const CONCURRENCY: usize = 16;

struct Score {
    /// Of all calls 1 % took longer.
    p99: Duration,
    /// Upstream calls per call.
    cost: f64,
}

/// Every node takes 3 ms, and the first ones of them half a second more for a share of their calls.
async fn run(late_nodes: usize, share: f64) -> Score {
    let seed = fastrand::u64(..);
    let strategy = LeastLatency::new().with_seed(seed);
    let nodes = three(Rotation::builder().with_strategy(strategy));
    nodes.nodes.iter().for_each(|node| node.set(Disruption::SlowBy(ms(3))));
    for node in &nodes.nodes[..late_nodes] {
        node.add(Disruption::SlowBy(ms(500)).with_share(share));
    }
    let hashes = transactions(&nodes);
    let calls = stream::iter(0..CALLS).map(|index| timed(&nodes, index, &hashes));
    let mut times: Vec<_> = calls.buffer_unordered(CONCURRENCY).collect().await;
    times.sort_unstable();
    let p99 = times[times.len() * 99 / 100 - 1];
    let cost = nodes.calls().iter().sum::<u64>() as f64 / CALLS as f64;
    println!("seed {seed}: {share} at {late_nodes}: p99 {p99:?}, cost {cost:.4}");
    Score { p99, cost }
}

/// How long a call takes, whose answer is right.
async fn timed(nodes: &Nodes, index: u64, hashes: &[B256]) -> Duration {
    let (method, params) = call(nodes, index, hashes);
    let truth = nodes.chain.answer(method, params.clone()).expect("the truth");
    let begun = Instant::now();
    assert_eq!(nodes.result(method, params).await, truth);
    begun.elapsed()
}

/// Blocks by number and by tag near the head, receipts, balances, logs.
fn call(nodes: &Nodes, index: u64, hashes: &[B256]) -> (&'static str, Value) {
    let block = format!("0x{:x}", 20 - index / 5 % 8);
    match index % 5 {
        0 => ("eth_getBlockByNumber", json!([block, false])),
        1 => ("eth_getBlockByNumber", json!(["latest", false])),
        2 => ("eth_getTransactionReceipt", json!([hashes[index as usize / 5 % hashes.len()]])),
        3 => ("eth_getBalance", json!([nodes.chain.accounts()[0], block])),
        _ => ("eth_getLogs", json!([{ "fromBlock": block, "toBlock": "latest" }])),
    }
}

fn transactions(nodes: &Nodes) -> Vec<B256> {
    let blocks = (1..=20).filter_map(|number| nodes.chain.block(number));
    blocks.flat_map(|block| block.transactions.hashes().collect::<Vec<_>>()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_tail_at_one_endpoint_is_not_seen() {
    let healthy = run(0, 0.0).await;
    assert_eq!((healthy.p99, healthy.cost), (ms(3), 1.0));
    let Score { p99, cost } = run(1, 0.05).await;
    assert!(p99 < 3 * healthy.p99 && cost <= 1.05, "{p99:?} at {cost}");
}

#[tokio::test(start_paused = true)]
async fn a_tail_at_all_endpoints_is_cut_off() {
    for share in [0.01, 0.04, 0.05] {
        let Score { p99, cost } = run(3, share).await;
        assert!(p99 < ms(30) && cost <= 1.07, "{p99:?} at {cost} with a tail of {share}");
    }
}

/// More calls are late than the budget has hedges: those stay late, and it costs no more.
#[tokio::test(start_paused = true)]
async fn a_longer_tail_costs_no_more_than_the_budget() {
    for share in [0.06, 0.09, 0.5] {
        let Score { cost, .. } = run(3, share).await;
        assert!(cost <= 1.07, "{cost} with a tail of {share}");
    }
}
