//! Strategies and tiers, end to end.

mod nodes;
mod stage;

use alclad_rotation::{Candidates, LeastLatency, Ordered, Rotation, WeightedRoundRobin};
use alclad_testkit::{Disruption, RetryAfter, SimNode, batch, request};
use futures::future::join_all;
use nodes::{Nodes, in_order};
use serde_json::json;
use stage::{dressed, ms, secs, three};
use std::num::NonZeroU32;
use tokio::time::{advance, sleep};

fn sticky() -> Nodes {
    three(Rotation::builder().with_strategy(Ordered::new()))
}

async fn reads(nodes: &Nodes, calls: usize) -> [u64; 3] {
    nodes.nodes.iter().for_each(SimNode::reset_counters);
    for _ in 0..calls {
        nodes.read_well().await;
    }
    nodes.calls()
}

#[tokio::test(start_paused = true)]
async fn a_backup_sees_nothing_at_all_while_a_better_tier_can_serve() {
    let nodes =
        dressed(Rotation::builder(), |label, endpoint| endpoint.with_tier(u8::from(label == "c")));
    let missing = json!([format!("0x{}", "ab".repeat(32))]);
    for round in 0..100 {
        nodes.nodes[0].set(Disruption::http_status(503).with_share(f64::from(round) / 100.0));
        nodes.read_well().await;
        nodes.head().await;
        nodes.ask("eth_getTransactionReceipt", missing.clone()).await;
        let members = (0..5).map(|id| request(id, "eth_chainId", ()));
        nodes.send(batch(members)).await.expect("answers");
        sleep(ms(100)).await;
    }
    assert_eq!(nodes.calls()[2], 0);
}

#[tokio::test(start_paused = true)]
async fn a_null_that_is_most_often_right_is_not_confirmed_at_a_backup() {
    let nodes = dressed(in_order(), |label, endpoint| endpoint.with_tier(u8::from(label != "a")));
    for number in 0..100 {
        nodes.ask("eth_getTransactionReceipt", json!([format!("0x{number:064x}")])).await;
    }
    assert_eq!(nodes.calls(), [100, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_backup_serves_when_the_better_tier_cannot_and_no_longer() {
    let nodes = dressed(in_order(), |label, endpoint| endpoint.with_tier(u8::from(label == "c")));
    nodes.nodes[0].set(Disruption::Reset);
    nodes.nodes[1].set(Disruption::Reset);
    assert_eq!(reads(&nodes, 20).await, [5, 5, 20]);
    nodes.nodes[1].clear();
    advance(ms(1001)).await;
    let [_, second, backup] = reads(&nodes, 20).await;
    assert_eq!((second, backup), (20, 0));
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_is_parked_gives_way_and_comes_back() {
    let nodes = dressed(in_order(), |label, endpoint| endpoint.with_tier(u8::from(label != "a")));
    nodes.nodes[0].set(Disruption::too_many_requests(Some(RetryAfter::Seconds(5))));
    assert_eq!(reads(&nodes, 10).await, [1, 10, 0]);
    nodes.nodes[0].clear();
    advance(ms(5001)).await;
    assert_eq!(reads(&nodes, 10).await, [10, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_ordered_rotation_stays_where_it_went_and_returns_after_half_a_minute_of_health() {
    let nodes = sticky();
    nodes.nodes[0].set(Disruption::Reset);
    assert_eq!(reads(&nodes, 10).await, [5, 10, 0]);
    nodes.nodes[0].clear();
    advance(ms(1001)).await;
    assert_eq!(reads(&nodes, 10).await, [3, 7, 0], "three probes, and it is closed");
    advance(secs(29)).await;
    assert_eq!(reads(&nodes, 10).await, [0, 10, 0]);
    advance(secs(1)).await;
    assert_eq!(reads(&nodes, 10).await, [10, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_ordered_rotation_returns_also_to_a_primary_that_was_only_throttled() {
    let nodes = sticky();
    nodes.nodes[0].set(Disruption::too_many_requests(Some(RetryAfter::Seconds(1))));
    reads(&nodes, 2).await;
    nodes.nodes[0].clear();
    for _ in 0..60 {
        advance(secs(1)).await;
        nodes.read_well().await;
    }
    assert_eq!(reads(&nodes, 10).await, [10, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn one_call_that_fails_over_moves_nobody_else() {
    let nodes = sticky();
    nodes.nodes[0].set(Disruption::http_status(503).times(1));
    assert_eq!(reads(&nodes, 10).await, [10, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn weights_are_shares() {
    let nodes =
        dressed(Rotation::builder().with_strategy(WeightedRoundRobin::new()), |label, endpoint| {
            let weight = if label == "a" { 5 } else { 1 };
            endpoint.with_weight(NonZeroU32::new(weight).expect("not zero"))
        });
    assert_eq!(reads(&nodes, 70).await, [50, 10, 10]);
    nodes.nodes[0].set(Disruption::http_status(401));
    assert_eq!(reads(&nodes, 21).await[0], 1);
    let [_, second, third] = reads(&nodes, 20).await;
    assert_eq!(second.abs_diff(third), 0);
}

/// With a seed of its own, so that a failure can be seen again.
fn by_latency() -> Nodes {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    three(Rotation::builder().with_strategy(LeastLatency::new().with_seed(seed)))
}

async fn concurrent_reads(nodes: &Nodes, rounds: usize) -> [u64; 3] {
    nodes.nodes.iter().for_each(SimNode::reset_counters);
    for _ in 0..rounds {
        join_all((0..8).map(|_| nodes.read_well())).await;
        sleep(ms(20)).await;
    }
    nodes.calls()
}

#[tokio::test(start_paused = true)]
async fn the_fastest_endpoint_gets_the_most() {
    let nodes = by_latency();
    for (node, time) in nodes.nodes.iter().zip([5, 50, 50]) {
        node.set(Disruption::SlowBy(ms(time)));
    }
    concurrent_reads(&nodes, 20).await;
    let [fast, second, third] = concurrent_reads(&nodes, 100).await;
    // Of three pairs two have the fast one: two thirds of the calls, but for what is explored.
    assert!(2 * fast > 3 * (second + third), "{fast}, {second}, {third}");
}

#[tokio::test(start_paused = true)]
async fn equally_fast_endpoints_share_evenly() {
    let nodes = by_latency();
    nodes.nodes.iter().for_each(|node| node.set(Disruption::SlowBy(ms(10))));
    let shares = concurrent_reads(&nodes, 200).await;
    assert!(shares.iter().all(|share| (400..=670).contains(share)), "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_becomes_faster_is_found() {
    let nodes = by_latency();
    for (node, time) in nodes.nodes.iter().zip([20, 200, 20]) {
        node.set(Disruption::SlowBy(ms(time)));
    }
    concurrent_reads(&nodes, 50).await;
    nodes.nodes[1].set(Disruption::SlowBy(ms(2)));
    concurrent_reads(&nodes, 1000).await;
    let [first, second, third] = concurrent_reads(&nodes, 100).await;
    assert!(second > first + third, "{first}, {second}, {third}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_has_healed_is_found() {
    let nodes = by_latency();
    nodes.nodes.iter().for_each(|node| node.set(Disruption::SlowBy(ms(10))));
    nodes.nodes[0].add(Disruption::Reset);
    concurrent_reads(&nodes, 50).await;
    nodes.nodes[0].set(Disruption::SlowBy(ms(10)));
    sleep(secs(61)).await;
    concurrent_reads(&nodes, 100).await;
    let [first, ..] = concurrent_reads(&nodes, 100).await;
    assert!(first > 150, "{first} of 800");
}

#[tokio::test(start_paused = true)]
async fn a_closure_is_a_strategy() {
    let last = |candidates: &Candidates<'_>| candidates.len() - 1;
    let nodes = three(Rotation::builder().with_strategy(last));
    assert_eq!(reads(&nodes, 10).await, [0, 0, 10]);
}
