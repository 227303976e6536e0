//! The endpoints change while calls are in flight, and no call is lost.

mod nodes;
mod stage;

use alclad_core::{
    EndpointId,
    error::{NoEndpoint, cause},
};
use alclad_http::HttpTransport;
use alclad_rotation::{Endpoint, EndpointState, Ordered, Rotation, WeightedRoundRobin};
use alclad_testkit::{Disruption, RetryAfter, SimChain, SimNode, request, single};
use futures::future::join_all;
use nodes::{Nodes, in_order, value};
use serde_json::{Value, json};
use stage::{ms, secs, three};
use tokio::time::{advance, sleep};
use tower::ServiceExt;

fn id(label: &str) -> EndpointId {
    label.into()
}

/// 64 calls that take a tenth of a second, during which this is done.
async fn while_64_calls_are_in_flight(nodes: &Nodes, act: impl FnOnce()) {
    nodes.nodes.iter().for_each(|node| node.set(Disruption::SlowBy(ms(100))));
    let calls = join_all((0..64).map(|_| nodes.read_well()));
    let acts = async {
        sleep(ms(50)).await;
        act();
    };
    futures::join!(calls, acts);
}

#[tokio::test(start_paused = true)]
async fn whatever_changes_no_call_in_flight_is_lost() {
    type Act = fn(&Rotation, &SimNode);
    let acts: [(&str, Act); 8] = [
        ("add", |rotation, node| drop(rotation.add(Endpoint::new("d", node.transport())))),
        ("remove", |rotation, _| assert!(rotation.remove(&id("a")))),
        ("remove all", |rotation, _| {
            ["a", "b", "c"].map(id).iter().for_each(|id| assert!(rotation.remove(id)))
        }),
        ("disable", |rotation, _| assert!(rotation.disable(&id("b")))),
        ("enable", |rotation, _| assert!(rotation.disable(&id("b")) && rotation.enable(&id("b")))),
        ("set_weight", |rotation, _| assert!(rotation.set_weight(&id("c"), 9))),
        ("switch_to", |rotation, _| assert!(rotation.switch_to(&id("c")))),
        ("reset", |rotation, _| rotation.reset()),
    ];
    for (name, act) in acts {
        println!("{name}");
        let nodes = three(Rotation::builder().with_strategy(WeightedRoundRobin::new()));
        while_64_calls_are_in_flight(&nodes, || act(&nodes.rotation, &nodes.nodes[0])).await;
        let answered: u64 = nodes.nodes.iter().map(SimNode::answered).sum();
        assert_eq!(answered, 64, "{name}");
        assert!(nodes.rotation.snapshot().iter().all(|endpoint| endpoint.in_flight == 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_was_removed_is_asked_nothing_more() {
    let nodes = three(Rotation::builder().with_strategy(WeightedRoundRobin::new()));
    assert!(nodes.rotation.remove(&id("a")));
    assert!(!nodes.rotation.remove(&id("a")), "it is gone already");
    for _ in 0..30 {
        nodes.read_well().await;
    }
    assert_eq!(nodes.calls(), [0, 15, 15]);
    let ids: Vec<_> = nodes.rotation.snapshot().into_iter().map(|seat| seat.id).collect();
    assert_eq!(ids, [id("b"), id("c")]);
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_does_not_go_on_to_an_endpoint_that_was_removed() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::SlowBy(ms(100)));
    nodes.nodes[0].add(Disruption::http_status(500));
    nodes.nodes[1].set(Disruption::http_status(500));
    let call = nodes.send(single(request(1, "eth_chainId", ())));
    let remove = async {
        sleep(ms(50)).await;
        nodes.rotation.remove(&id("c"));
    };
    let _ = futures::join!(call, remove);
    assert_eq!(nodes.calls(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_added_serves_at_once_and_is_named_apart() {
    let nodes = Nodes::new();
    let fourth = SimNode::new(&nodes.chain);
    let added = nodes.rotation.add(Endpoint::new("a", fourth.transport()));
    assert_eq!(added, id("a#2"));
    nodes.nodes.iter().for_each(|node| node.set(Disruption::Dead));
    nodes.read_well().await;
    assert_eq!(fourth.total_calls(), 1);
    let better = SimNode::new(&nodes.chain);
    nodes.nodes.iter().for_each(SimNode::clear);
    nodes.rotation.add(Endpoint::new("d", better.transport()));
    nodes.rotation.switch_to(&id("d"));
    nodes.read_well().await;
    assert_eq!(better.total_calls(), 1);
}

#[test]
fn endpoints_that_are_added_at_once_have_labels_of_their_own() {
    let chain = SimChain::new(7);
    let node = SimNode::new(&chain);
    for _ in 0..50 {
        let rotation = in_order().build();
        let add = || (0..10).for_each(|_| drop(rotation.add(Endpoint::new("x", node.transport()))));
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(add))));
        let ids = rotation.snapshot().into_iter().map(|seat| seat.id.to_string());
        let ids: std::collections::BTreeSet<_> = ids.collect();
        assert_eq!(ids.len(), 40);
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_off_is_asked_nothing_until_it_is_on() {
    let nodes = Nodes::new();
    nodes.rotation.disable(&id("a"));
    nodes.read_well().await;
    assert_eq!((nodes.calls(), nodes.seat(0).enabled), ([0, 1, 0], false));
    nodes.rotation.enable(&id("a"));
    nodes.read_well().await;
    assert_eq!(nodes.calls(), [1, 1, 0]);
    ["a", "b", "c"].map(id).iter().for_each(|id| assert!(nodes.rotation.disable(id)));
    let error = nodes.try_ask("eth_chainId", json!([])).await.expect_err("all are off");
    assert!(matches!(cause(&error), Some(NoEndpoint::Unwilling)), "{error}");
    assert!(!nodes.rotation.enable(&id("z")) && !nodes.rotation.disable(&id("z")));
}

#[tokio::test(start_paused = true)]
async fn weights_change_the_shares_at_once() {
    let nodes = three(Rotation::builder().with_strategy(WeightedRoundRobin::new()));
    assert!(nodes.rotation.set_weight(&id("a"), 8));
    assert!(!nodes.rotation.set_weight(&id("z"), 8));
    for _ in 0..100 {
        nodes.read_well().await;
    }
    assert_eq!((nodes.calls(), nodes.seat(0).weight), ([80, 10, 10], 8));
    nodes.rotation.set_weight(&id("a"), 0);
    for _ in 0..20 {
        nodes.read_well().await;
    }
    assert_eq!(nodes.calls(), [80, 20, 20]);
}

#[tokio::test(start_paused = true)]
async fn switching_by_hand_holds_while_that_endpoint_is_healthy_and_until_a_reset() {
    let nodes = three(Rotation::builder().with_strategy(Ordered::new()));
    assert!(nodes.rotation.switch_to(&id("c")) && !nodes.rotation.switch_to(&id("z")));
    for _ in 0..10 {
        nodes.read_well().await;
    }
    assert_eq!(nodes.calls(), [0, 0, 10]);
    nodes.nodes[2].set(Disruption::Reset);
    for _ in 0..10 {
        nodes.read_well().await;
    }
    assert_eq!(nodes.calls(), [10, 0, 15], "five failures, and its circuit is open");
    nodes.nodes[2].clear();
    advance(ms(1001)).await;
    for _ in 0..10 {
        nodes.read_well().await;
    }
    assert_eq!(nodes.calls(), [10, 0, 25], "healed, it is the one again");
    nodes.rotation.reset();
    nodes.read_well().await;
    assert_eq!(nodes.calls(), [11, 0, 25]);
}

#[tokio::test(start_paused = true)]
async fn removing_the_endpoint_switched_to_ends_the_switch() {
    let nodes = Nodes::new();
    nodes.rotation.switch_to(&id("b"));
    nodes.rotation.remove(&id("a"));
    nodes.read_well().await;
    assert_eq!(nodes.calls(), [0, 1, 0], "the others' places do not matter");
    nodes.rotation.remove(&id("b"));
    nodes.read_well().await;
    assert_eq!(nodes.calls(), [0, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_reset_closes_all_circuits_and_begins_with_the_first() {
    let nodes = three(Rotation::builder().with_strategy(Ordered::new()));
    nodes.nodes[0].set(Disruption::too_many_requests(Some(RetryAfter::Seconds(100))));
    nodes.nodes[1].set(Disruption::http_status(401));
    nodes.read_well().await;
    nodes.nodes.iter().for_each(SimNode::clear);
    nodes.rotation.reset();
    assert_eq!([0, 1, 2].map(|node| nodes.state(node)), [EndpointState::Closed; 3]);
    nodes.nodes[0].reset_counters();
    nodes.read_well().await;
    assert_eq!(nodes.nodes[0].total_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_can_be_emptied_and_filled_again() {
    let nodes = Nodes::new();
    ["a", "b", "c"].map(id).iter().for_each(|id| assert!(nodes.rotation.remove(id)));
    let error = nodes.try_ask("eth_chainId", json!([])).await.expect_err("there is nobody");
    assert!(matches!(cause(&error), Some(NoEndpoint::Empty)), "{error}");
    nodes.rotation.add(Endpoint::new("a", nodes.nodes[0].transport()));
    nodes.read_well().await;
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_has_all_that_is_to_be_known_and_is_json() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::too_many_requests(Some(RetryAfter::Seconds(7))));
    nodes.nodes[1].set(Disruption::SlowBy(ms(20)));
    nodes.nodes[2].set_lag(5);
    nodes.show_heads_of_those_that_answer().await;
    for _ in 0..30 {
        nodes.read_well().await;
    }
    let [a, b, c]: [Value; 3] = serde_json::from_value(
        serde_json::to_value(nodes.rotation.snapshot()).expect("it can be serialised"),
    )
    .expect("three endpoints");
    for (endpoint, label) in [(&a, "a"), (&b, "b"), (&c, "c")] {
        assert_eq!(endpoint["id"], label);
        assert_eq!((&endpoint["tier"], &endpoint["weight"]), (&json!(0), &json!(1)));
        assert_eq!((&endpoint["role"], &endpoint["enabled"]), (&json!("read-write"), &json!(true)));
        for field in ["requests", "in_flight", "hedges", "throttles"] {
            assert!(endpoint[field].is_u64(), "{field} of {endpoint}");
        }
        for field in ["latency_ms", "p50_ms", "p99_ms", "head", "lag", "lagging", "unsupported"] {
            assert!(endpoint.get(field).is_some(), "{field} of {endpoint}");
        }
    }
    assert_eq!(a["state"]["state"], "parked");
    assert_eq!((&a["state"]["fault"], &a["throttles"]), (&json!("RateLimited"), &json!(1)));
    assert!(a["state"]["left_ms"].as_f64().is_some_and(|left| left > 6000.0 && left <= 7000.0));
    assert_eq!(a["faults"], json!({ "RateLimited": 1 }));
    assert_eq!((&b["state"]["state"], &b["head"]), (&json!("closed"), &json!(20)));
    assert!(b["p50_ms"].as_f64().is_some_and(|p50| (16.0..25.0).contains(&p50)), "{b}");
    assert_eq!((&c["lag"], &c["lagging"], &c["head"]), (&json!(5), &json!(true), &json!(15)));
    sleep(secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_is_closed_by_hand_is_asked_at_once() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::http_status(401));
    nodes.read_well().await;
    assert!(!nodes.seat(0).is_healthy());
    nodes.nodes[0].clear();
    assert!(nodes.rotation.close(&id("a")) && !nodes.rotation.close(&id("z")));
    assert!(nodes.seat(0).is_healthy());
    nodes.nodes[0].reset_counters();
    nodes.read_well().await;
    assert_eq!(nodes.nodes[0].total_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_speaks_against_an_endpoint_is_counted_and_dated() {
    let nodes = Nodes::new();
    let seat = nodes.seat(0);
    assert_eq!((seat.errors, seat.strikes, seat.failed, seat.seen), (0, 0, None, None));
    nodes.nodes[0].set(Disruption::http_status(500).times(2));
    nodes.read_well().await;
    nodes.read_well().await;
    advance(secs(3)).await;
    let seat = nodes.seat(0);
    assert_eq!((seat.errors, seat.strikes, seat.failed), (2, 2, Some(secs(3))));
    nodes.read_well().await;
    let seat = nodes.seat(0);
    assert_eq!((seat.errors, seat.strikes, seat.failed), (2, 0, Some(secs(3))));
    nodes.show_heads_of_those_that_answer().await;
    advance(secs(2)).await;
    assert_eq!(nodes.seat(0).seen, Some(secs(2)));
    assert_eq!(nodes.seat(0).origin, None, "it has no URL");
}

#[tokio::test(start_paused = true)]
async fn the_latest_changes_are_told_with_their_reasons() {
    let nodes = three(Rotation::builder().with_strategy(Ordered::new()));
    nodes.read_well().await;
    assert!(nodes.rotation.changes().is_empty());
    nodes.nodes[0].set(Disruption::Reset);
    for _ in 0..6 {
        nodes.read_well().await;
    }
    nodes.nodes[0].clear();
    advance(ms(1001)).await;
    for _ in 0..2 {
        nodes.rotation.disable(&id("c"));
        nodes.rotation.enable(&id("c"));
    }
    nodes.rotation.switch_to(&id("b"));
    nodes.rotation.add(Endpoint::new("d", nodes.nodes[0].transport()));
    nodes.rotation.remove(&id("d"));
    let told = nodes.rotation.changes().into_iter().rev();
    let told = told.map(|change| format!("{} {}", change.endpoint, change.event.name()));
    let expected = [
        "a open",
        "b moved_to",
        "c disabled",
        "c enabled",
        "c disabled",
        "c enabled",
        "b switched_to",
        "d added",
        "d removed",
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let first = nodes.rotation.changes().pop().expect("nine changes");
    assert_eq!(
        (first.age, first.event.to_string()),
        (ms(1001), "open for 1.0 s: Connection".into())
    );
    let json = serde_json::to_value(&first).expect("it can be serialised");
    let text = "open for 1.0 s: Connection";
    assert_eq!(json, json!({ "age_ms": 1001.0, "endpoint": "a", "event": "open", "text": text }));
    for _ in 0..100 {
        nodes.rotation.disable(&id("c"));
        nodes.rotation.enable(&id("c"));
    }
    assert_eq!(nodes.rotation.changes().len(), 64);
}

#[tokio::test]
async fn of_a_url_only_its_origin_is_told() {
    let url = "https://user:KEY@x.example:8443/v3/KEY?a=KEY";
    let transport: HttpTransport = url.parse().unwrap();
    let endpoints = [Endpoint::parse("a", url).unwrap(), Endpoint::http("b", transport)];
    let rotation = Rotation::builder().endpoints(endpoints).build();
    for endpoint in rotation.snapshot() {
        assert_eq!(endpoint.origin.as_deref(), Some("https://x.example:8443"));
        assert!(!format!("{endpoint:?}").contains("KEY"));
    }
}

impl Nodes {
    async fn show_heads_of_those_that_answer(&self) {
        for label in ["a", "b", "c"] {
            let packet = single(request(1, "eth_blockNumber", ()));
            if let Ok(answer) = self.rotation.pinned(label).oneshot(packet).await {
                value(&answer.responses()[0]);
            }
        }
    }
}
