//! The seven defects of web3-ethereum-defi's fallback provider that are not copied.

mod nodes;
mod stage;

use alclad_core::CallOptions;
use alclad_rotation::{Endpoint, EndpointState, Rotation};
use alclad_testkit::{Disruption, RetryAfter, SimChain, SimNode, request, single};
use futures::future::join_all;
use nodes::{Nodes, in_order};
use serde_json::json;
use stage::{ms, on, secs, three, transfer};
use tokio::time::{Instant, advance};
use tower::ServiceExt;

/// Defect 1: a knob that does nothing. Here each of the builder's does something.
#[tokio::test(start_paused = true)]
async fn every_knob_turns_something() {
    // The block time: how often a lagging endpoint is looked at.
    for (seconds, looks) in [(2, 15), (12, 3)] {
        let chain = SimChain::new(7);
        chain.mine(20);
        let nodes = on(chain, in_order().with_block_time(secs(seconds)), |_, endpoint| endpoint);
        nodes.nodes[0].set_lag(5);
        nodes.show_heads().await;
        for _ in 0..30 {
            advance(secs(1)).await;
            nodes.balance_at("latest").await;
            tokio::task::yield_now().await;
        }
        let seen = nodes.nodes[0].calls("eth_blockNumber");
        assert!(seen.abs_diff(looks) <= 1, "{seen} looks in 30 s with blocks of {seconds} s");
    }
    // The attempt timeout: a call is hedged at the latest after half of it.
    let nodes = three(in_order().with_attempt_timeout(ms(30)));
    nodes.nodes.iter().for_each(|node| node.set(Disruption::SlowBy(ms(10))));
    for _ in 0..40 {
        nodes.read_well().await;
    }
    nodes.nodes[0].set(Disruption::SlowBy(ms(500)));
    let begun = Instant::now();
    nodes.read_well().await;
    assert_eq!(begun.elapsed(), ms(15 + 10));
    // Head polling: heads are known without a call that shows one.
    let nodes = three(in_order().with_head_polling());
    nodes.read_well().await;
    tokio::time::sleep(ms(10)).await;
    assert_eq!([0, 1, 2].map(|index| nodes.seat(index).head), [Some(20); 3]);
}

/// Defect 2: two URLs on one host are one provider. Here each has its own name and its own check.
#[cfg(feature = "http")]
#[test]
fn two_paths_on_one_host_are_two_endpoints() {
    use alclad_rotation::Endpoints;
    let line = "https://lb.example.org/ogrpc?network=a https://lb.example.org/ogrpc?network=b";
    let endpoints: Endpoints = line.parse().expect("two URLs");
    let rotation = Rotation::builder().endpoints(endpoints).build();
    let [one, two] = [0, 1].map(|index| rotation.snapshot().swap_remove(index).id);
    assert_ne!(one, two);
}

/// Defect 2.
#[tokio::test(start_paused = true)]
async fn endpoints_of_one_name_are_all_verified() {
    let chain = SimChain::new(7);
    let (good, bad) = (SimNode::new(&chain), SimNode::new(&chain));
    bad.set(Disruption::WrongChain(chain.twin(137)));
    let rotation = in_order()
        .endpoint(Endpoint::new("own", good.transport()))
        .endpoint(Endpoint::new("own", bad.transport()))
        .build();
    let error = rotation.verify().await.chain_id().expect_err("two chains").to_string();
    assert!(error.contains("1 (own)") && error.contains("137 (own#2)"), "{error}");
}

/// Defect 3: an endpoint of another chain replaces the caller's error though a third is fine.
#[tokio::test(start_paused = true)]
async fn a_candidate_of_another_chain_is_skipped_if_a_third_is_fine() {
    let nodes = Nodes::new();
    nodes.nodes[1].set(Disruption::WrongChain(nodes.chain.twin(137)));
    nodes.rotation.verify().await;
    nodes.nodes[0].set(Disruption::Dead);
    nodes.nodes[1].reset_counters();
    for _ in 0..20 {
        nodes.read_well().await;
    }
    assert_eq!(nodes.nodes[1].total_calls(), 0);
}

/// Defect 4: params of another shape than expected break the check of a good answer.
#[tokio::test(start_paused = true)]
async fn params_of_every_shape_keep_their_answer() {
    let nodes = Nodes::new();
    nodes.show_heads().await;
    nodes.nodes[0].set_lag(5);
    nodes.show_heads().await;
    let account = nodes.chain.accounts()[0];
    let hash = nodes.chain.block(12).expect("block 12").header.hash;
    let call = json!({ "to": account, "data": "0x1234" });
    for params in [
        json!([call]),
        json!([call, "0xc"]),
        json!([call, "latest", { account.to_string(): { "balance": "0x1" } }]),
        json!([call, "0xc", {}, {}]),
        json!([call, { "blockNumber": "0xc" }]),
        json!([call, { "blockHash": hash }]),
        json!([call, { "blockHash": hash, "requireCanonical": true }]),
    ] {
        let truth = nodes.chain.answer("eth_call", params.clone()).expect("the truth");
        assert_eq!(nodes.result("eth_call", params.clone()).await, truth, "{params}");
    }
}

/// Defect 5: `0x` of a call to nobody is taken for a missing block, and asked for seven times.
#[tokio::test(start_paused = true)]
async fn an_empty_answer_of_a_call_costs_one_call() {
    let spec = alclad_testkit::ChainSpec::new(7);
    let nobody = alloy::primitives::Address::repeat_byte(1);
    let chain = SimChain::start(spec.with_contract(nobody, |_| Ok(Default::default())));
    chain.mine(20);
    let nodes = on(chain, in_order(), |_, endpoint| endpoint);
    for block in ["0x5", "latest"] {
        let params = json!([{ "to": nobody, "data": "0x1234" }, block]);
        assert_eq!(nodes.result("eth_call", params).await, json!("0x"));
    }
    assert_eq!(nodes.calls(), [2, 0, 0]);
}

/// Defect 6: "nonce too low" is retried with the same bytes.
#[tokio::test(start_paused = true)]
async fn a_used_up_nonce_is_not_sent_again() {
    let nodes = Nodes::new();
    for node in &nodes.nodes {
        node.set(Disruption::rpc_error(-32000, "nonce too low").on("eth_sendRawTransaction"));
    }
    let answer = nodes.submit(&transfer(0).0).await.expect("an answer");
    assert!(!answer.is_success());
    assert_eq!(nodes.sends(), [1, 0, 0]);
}

/// Defect 7: a retry is counted against the provider that is switched to.
#[tokio::test(start_paused = true)]
async fn a_failure_is_counted_against_who_failed() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::http_status(503));
    nodes.read_well().await;
    assert_eq!(nodes.seat(0).faults, [("ServerError", 1)].into());
    assert!(nodes.seat(1).faults.is_empty());
}

/// Defect 7: two calls that fail at the same time switch twice, past a good endpoint.
#[tokio::test(start_paused = true)]
async fn calls_that_fail_together_all_go_to_the_next() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::SlowBy(ms(10)));
    nodes.nodes[0].add(Disruption::Reset);
    join_all((0..50).map(|_| nodes.read_well())).await;
    assert_eq!(nodes.calls(), [50, 50, 0]);
}

/// Defect 7: options that the caller gave are changed.
#[tokio::test(start_paused = true)]
async fn the_callers_options_are_left_as_they_were() {
    let nodes = Nodes::new();
    let options = CallOptions::new().ignoring_errors();
    let mut packet = request(1, "eth_chainId", ());
    packet.meta_mut().extensions_mut().insert(options.clone());
    nodes.send(single(packet.clone())).await.expect("an answer");
    assert_eq!(CallOptions::of(&packet), Some(&options));
}

/// Defect 7: no cooldown, no half-open state.
#[tokio::test(start_paused = true)]
async fn a_bad_endpoint_is_left_alone_and_then_tried_with_one_call() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::Reset);
    for _ in 0..100 {
        nodes.read_well().await;
    }
    assert_eq!(nodes.nodes[0].total_calls(), 5);
    advance(ms(1001)).await;
    assert!(matches!(nodes.state(0), EndpointState::HalfOpen { .. }));
    for _ in 0..100 {
        nodes.read_well().await;
    }
    assert_eq!(nodes.nodes[0].total_calls(), 6);
}

/// Defect 7: no deadline.
#[tokio::test(start_paused = true)]
async fn a_deadline_is_kept_over_all_endpoints() {
    let nodes = Nodes::new();
    nodes.nodes.iter().for_each(|node| node.set(Disruption::SlowBy(ms(700))));
    nodes.nodes.iter().for_each(|node| node.add(Disruption::http_status(503)));
    let begun = Instant::now();
    let options = CallOptions::new().with_timeout(secs(1));
    let call = nodes.rotation.with(options).oneshot(single(request(1, "eth_chainId", ())));
    call.await.expect_err("the deadline passes");
    assert_eq!(begun.elapsed(), secs(1));
}

/// Defect 7: `Retry-After` is ignored.
#[tokio::test(start_paused = true)]
async fn a_hint_is_obeyed() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::too_many_requests(Some(RetryAfter::Seconds(40))));
    for _ in 0..39 {
        nodes.read_well().await;
        advance(secs(1)).await;
    }
    assert_eq!(nodes.nodes[0].total_calls(), 1);
}
