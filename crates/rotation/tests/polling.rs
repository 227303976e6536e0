//! Heads that are asked for, so that they are known also of endpoints that are not asked otherwise.

mod nodes;
mod stage;

use alclad_core::{Headroom, UniqueIds, headroom};
use alclad_rotation::{Endpoint, Role, RotationBuilder};
use alclad_testkit::{Disruption, RetryAfter, SimChain, SimNode, request, single};
use alloy_json_rpc::SerializedRequest;
use nodes::{Nodes, in_order};
use serde_json::json;
use stage::{dressed, ms, secs, three};
use std::sync::Arc;
use tokio::time::sleep;
use tower::{ServiceExt, layer::layer_fn};

const HEAD: &str = "eth_blockNumber";

fn polled() -> RotationBuilder {
    in_order().with_head_polling()
}

/// For so many seconds nothing is asked by anybody but the task that polls.
async fn after(nodes: &Nodes, seconds: u64) -> [u64; 3] {
    nodes.read_well().await;
    nodes.nodes.iter().for_each(SimNode::reset_counters);
    sleep(secs(seconds)).await;
    nodes.calls_of(HEAD)
}

#[tokio::test(start_paused = true)]
async fn every_endpoint_is_asked_about_once_per_block_time() {
    let nodes = three(polled());
    let polls = after(&nodes, 120).await;
    assert!(polls.iter().all(|polls| (9..=12).contains(polls)), "{polls:?} in ten block times");
    let nodes = three(polled().with_block_time(secs(2)));
    let polls = after(&nodes, 120).await;
    assert!(polls.iter().all(|polls| (54..=68).contains(polls)), "{polls:?} in sixty");
    let nodes = three(polled().with_block_time(ms(250)));
    let polls = after(&nodes, 60).await;
    assert!(polls.iter().all(|polls| (54..=68).contains(polls)), "{polls:?}: at most 1 per second");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_polled_unless_asked_for_and_before_the_first_call() {
    let nodes = three(in_order());
    assert_eq!(after(&nodes, 120).await, [0, 0, 0]);
    let nodes = three(polled());
    sleep(secs(120)).await;
    assert_eq!(nodes.calls(), [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_the_calls_tell_is_not_polled() {
    let nodes = three(polled());
    nodes.head().await;
    nodes.nodes.iter().for_each(SimNode::reset_counters);
    for _ in 0..120 {
        sleep(secs(1)).await;
        nodes.result("eth_getBlockByNumber", json!(["latest", false])).await;
    }
    let [first, second, _] = nodes.calls_of(HEAD);
    assert!(first == 0 && second >= 9, "{first}, {second}");
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_rotation() {
    let nodes = three(polled());
    after(&nodes, 24).await;
    let Nodes { nodes, rotation, .. } = nodes;
    drop(rotation);
    sleep(secs(24)).await;
    nodes.iter().for_each(SimNode::reset_counters);
    sleep(secs(240)).await;
    assert!(nodes.iter().all(|node| node.total_calls() == 0));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_lags_unseen_is_known_to_before_it_is_asked() {
    let nodes = three(polled());
    nodes.nodes[1].set_lag(5);
    after(&nodes, 24).await;
    assert!(nodes.seat(1).lagging);
    nodes.nodes[0].set(Disruption::Dead);
    nodes.balance_at("latest").await;
    assert_eq!(nodes.calls_of("eth_getBalance"), [0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_are_off_or_removed_are_not_polled() {
    let nodes = three(polled());
    nodes.rotation.disable(&"b".into());
    nodes.rotation.remove(&"c".into());
    assert_eq!(after(&nodes, 120).await[1..], [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_wants_to_be_left_alone_is_left_alone() {
    for trouble in [
        Disruption::too_many_requests(Some(RetryAfter::Seconds(600))),
        Disruption::http_status(401),
        Disruption::http_status(402),
    ] {
        let nodes = three(polled());
        nodes.nodes[0].set(trouble.clone());
        let polls = after(&nodes, 300).await;
        assert!(polls[0] <= 1, "{} polls after {trouble:?}", polls[0]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_for_transactions_alone_is_not_polled() {
    let nodes = dressed(polled(), |label, endpoint| match label {
        "c" => endpoint.with_role(Role::Write),
        _ => endpoint,
    });
    assert_eq!(after(&nodes, 120).await[2], 0);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_whose_limiter_is_empty_is_not_polled() {
    let chain = SimChain::new(7);
    let node = SimNode::new(&chain);
    let limiter: Arc<dyn Headroom> = Arc::new(|_: &[SerializedRequest]| secs(3600));
    let limit = layer_fn(move |inner: UniqueIds<_>| {
        assert!(headroom::register(Arc::clone(&limiter)));
        inner
    });
    let other = SimNode::new(&chain);
    let rotation = polled()
        .endpoint(Endpoint::new("a", node.transport()).layer(limit))
        .endpoint(Endpoint::new("b", other.transport()))
        .build();
    rotation.clone().oneshot(single(request(1, "eth_chainId", ()))).await.expect("b answers");
    sleep(secs(120)).await;
    assert_eq!(node.total_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_is_polled_without_piling_up() {
    let nodes = three(polled().with_block_time(secs(1)));
    nodes.nodes[1].set(Disruption::BlackHole);
    nodes.read_well().await;
    for _ in 0..120 {
        sleep(secs(1)).await;
        assert!(nodes.nodes[1].in_flight() <= 12, "{} at once", nodes.nodes[1].in_flight());
    }
    assert!(nodes.seat(1).faults.contains_key("Timeout"));
}
