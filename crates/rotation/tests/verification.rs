//! Asking every endpoint who it is, before the first call.

mod nodes;
mod stage;

use alclad_core::Fault;
use alclad_rotation::{Disagreement, EndpointState, Unverified};
use alclad_testkit::{Disruption, SimChain, request, single};
use nodes::Nodes;
use serde_json::json;
use stage::{ms, secs};
use tokio::time::{Instant, advance};

#[tokio::test(start_paused = true)]
async fn the_table_has_chain_head_and_latency_of_every_endpoint() {
    let nodes = Nodes::new();
    nodes.nodes[1].set_lag(3);
    nodes.nodes[2].set(Disruption::SlowBy(ms(40)));
    let table = nodes.rotation.verify().await;
    assert_eq!(table.chain_id(), Ok(1));
    assert_eq!(table.unverified().count(), 0);
    let heads: Vec<_> = table.endpoints.iter().map(|row| row.head).collect();
    assert_eq!(heads, [Some(20), Some(17), Some(20)]);
    assert_eq!(table.endpoints[2].latency, Some(ms(40)));
    let shown = table.to_string();
    assert!(shown.lines().count() == 4 && shown.contains("latency"), "{shown}");
    let json = serde_json::to_value(&table).expect("it can be serialised");
    assert_eq!(
        (&json["endpoints"][0]["chain_id"], &json["endpoints"][1]["head"]),
        (&json!(1), &json!(17))
    );
}

#[tokio::test(start_paused = true)]
async fn all_are_asked_at_the_same_time() {
    let nodes = Nodes::new();
    nodes.nodes.iter().for_each(|node| node.set(Disruption::SlowBy(ms(100))));
    let begun = Instant::now();
    nodes.rotation.verify().await;
    assert_eq!(begun.elapsed(), ms(300), "three questions, whoever is asked");
}

#[tokio::test(start_paused = true)]
async fn two_chains_are_a_disagreement_that_names_both_and_who_serves_them() {
    let nodes = Nodes::new();
    nodes.nodes[1].set(Disruption::WrongChain(nodes.chain.twin(137)));
    let table = nodes.rotation.verify().await;
    let Err(Disagreement::Chains(chains)) = table.chain_id() else { panic!("{table}") };
    assert_eq!(chains.keys().copied().collect::<Vec<_>>(), [1, 137]);
    let shown = table.chain_id().expect_err("two chains").to_string();
    assert!(shown.contains("1 (a, c)") && shown.contains("137 (b)"), "{shown}");
    assert_eq!(nodes.state(1), EndpointState::WrongChain);
    nodes.nodes[1].reset_counters();
    nodes.nodes[0].set(Disruption::Dead);
    for _ in 0..10 {
        nodes.read_well().await;
    }
    assert_eq!(nodes.nodes[1].total_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn of_two_that_disagree_neither_is_put_away() {
    let nodes = Nodes::new();
    nodes.rotation.remove(&"c".into());
    nodes.nodes[1].set(Disruption::WrongChain(nodes.chain.twin(137)));
    let table = nodes.rotation.verify().await;
    assert!(matches!(table.chain_id(), Err(Disagreement::Chains(_))), "{table}");
    assert_eq!([nodes.state(0), nodes.state(1)], [EndpointState::Closed; 2]);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_is_borne_and_said() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::Dead);
    let table = nodes.rotation.verify().await;
    assert_eq!(table.chain_id(), Ok(1));
    let unverified: Vec<_> = table.unverified().collect();
    let refused = Fault::Connection { maybe_sent: false };
    assert_eq!(unverified, [(&"a".into(), Unverified::NoAnswer(refused))]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_another_thing_than_no_answer() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::http_status(403));
    nodes.nodes[1].set(Disruption::http_status(401));
    nodes.nodes[2].set(Disruption::http_status(503));
    let table = nodes.rotation.verify().await;
    let said: Vec<_> = table.unverified().map(|(_, why)| why).collect();
    let refused = Unverified::KeyRefused(Fault::Unauthorized);
    assert_eq!(said, [refused, refused, Unverified::NoAnswer(Fault::ServerError)]);
    assert_eq!(table.chain_id(), Err(Disagreement::Silence));
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_is_waited_for_ten_seconds_and_no_longer() {
    let nodes = Nodes::new();
    nodes.nodes[1].set(Disruption::BlackHole);
    let begun = Instant::now();
    let table = nodes.rotation.verify().await;
    assert_eq!(begun.elapsed(), secs(10));
    let unverified: Vec<_> = table.unverified().map(|(_, why)| why).collect();
    assert_eq!(unverified, [Unverified::NoAnswer(Fault::Timeout)]);
    assert_eq!(nodes.rotation.snapshot()[1].in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn those_that_are_off_or_left_alone_are_asked_too() {
    let nodes = Nodes::new();
    nodes.rotation.disable(&"a".into());
    nodes.nodes[1].set(Disruption::http_status(401));
    nodes.read_well().await;
    nodes.nodes[1].clear();
    let table = nodes.rotation.verify().await;
    assert_eq!((table.chain_id(), table.unverified().count()), (Ok(1), 0));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_was_put_right_serves_after_the_next_verification() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::WrongChain(nodes.chain.twin(137)));
    nodes.rotation.verify().await;
    nodes.nodes[0].clear();
    assert_eq!(nodes.rotation.verify().await.chain_id(), Ok(1));
    assert_eq!(nodes.state(0), EndpointState::Closed);
}

#[tokio::test(start_paused = true)]
async fn heads_are_those_of_the_verification() {
    let nodes = Nodes::new();
    let far = SimChain::new(8);
    far.mine(500);
    nodes.nodes[0].set(Disruption::WrongChain(far));
    nodes.send(single(request(1, "eth_blockNumber", ()))).await.expect("an answer");
    nodes.nodes[0].clear();
    advance(secs(1)).await;
    nodes.rotation.verify().await;
    assert_eq!(nodes.rotation.heads().latest(), Some(20));
    assert_eq!(nodes.head().await, 20);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_endpoints_is_verified_before_there_is_a_rotation() {
    let nodes = Nodes::new();
    nodes.nodes[1].set(Disruption::Dead);
    let endpoint = |(label, node): (&str, &alclad_testkit::SimNode)| {
        alclad_rotation::Endpoint::new(label, node.transport())
    };
    let endpoints: Vec<_> = ["a", "b", "c"].into_iter().zip(&nodes.nodes).map(endpoint).collect();
    let verification = alclad_rotation::verify(endpoints.clone()).await;
    assert_eq!(verification.chain_id(), Ok(1));
    let silent: Vec<_> = verification.unverified().map(|(endpoint, _)| endpoint.as_str()).collect();
    assert_eq!(silent, ["b"]);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_of_another_chain_stays_out_until_it_is_verified_again() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::WrongChain(nodes.chain.twin(137)));
    nodes.rotation.verify().await;
    let asked = nodes.nodes[0].total_calls();
    for _ in 0..10 {
        advance(secs(61)).await;
        nodes.read_well().await;
    }
    assert_eq!(nodes.nodes[0].total_calls(), asked);
    assert_eq!(nodes.state(0), EndpointState::WrongChain);
    nodes.nodes[0].clear();
    nodes.rotation.verify().await;
    nodes.read_well().await;
    assert!(nodes.nodes[0].calls("eth_getBalance") > 0);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_of_another_chain_does_not_come_back_because_nobody_else_answers() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::WrongChain(nodes.chain.twin(137)));
    nodes.rotation.verify().await;
    nodes.nodes[1].set(Disruption::Dead);
    nodes.nodes[2].set(Disruption::Dead);
    nodes.rotation.verify().await;
    nodes.nodes[0].reset_counters();
    nodes.try_ask("eth_getBalance", json!([nodes.chain.accounts()[0], "0x5"])).await.unwrap_err();
    assert_eq!((nodes.nodes[0].total_calls(), nodes.state(0)), (0, EndpointState::WrongChain));
    // When those others are taken out, it is all there is.
    assert!(nodes.rotation.remove(&"b".into()) && nodes.rotation.remove(&"c".into()));
    assert_eq!(nodes.rotation.verify().await.chain_id(), Ok(137));
    assert_eq!(nodes.rotation.snapshot()[0].state, EndpointState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_verification_that_nobody_answers_takes_nothing_back() {
    let nodes = Nodes::new();
    assert_eq!(nodes.head().await, 20);
    nodes.nodes.iter().for_each(|node| node.set(Disruption::Dead));
    nodes.rotation.verify().await;
    assert_eq!(nodes.rotation.heads().latest(), Some(20));
    nodes.nodes.iter().for_each(|node| {
        node.clear();
        node.set_lag(4);
    });
    advance(secs(2)).await;
    assert_eq!(nodes.head().await, 20);
}
