//! A filter lives in the node that made it.

mod nodes;
mod stage;

use alclad_core::error::{NoEndpoint, cause};
use alclad_rotation::{Endpoint, Role, Rotation, WeightedRoundRobin};
use alclad_testkit::{Disruption, SimNode, answer, batch, error, request, single};
use alloy_json_rpc::{RequestPacket, Response, ResponsePacket};
use alloy_transport::TransportFut;
use nodes::{Nodes, code, in_order, value};
use serde_json::{Value, json};
use stage::{dressed, secs, three};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use tokio::time::advance;
use tower::{ServiceExt, service_fn};

fn by_turns() -> Nodes {
    three(Rotation::builder().with_strategy(WeightedRoundRobin::new()))
}

#[tokio::test(start_paused = true)]
async fn every_filter_is_asked_about_where_it_was_made() {
    let nodes = by_turns();
    let mut filters = Vec::new();
    for _ in 0..9 {
        filters.push(nodes.result("eth_newBlockFilter", json!([])).await);
    }
    assert_eq!(nodes.calls_of("eth_newBlockFilter"), [3, 3, 3]);
    let block = nodes.chain.answer("eth_getBlockByNumber", json!(["0x15", false]));
    assert_eq!(block, Ok(Value::Null));
    nodes.chain.mine(1);
    let hash = nodes.chain.block(21).expect("the new block").header.hash;
    for filter in &filters {
        let changes = nodes.result("eth_getFilterChanges", json!([filter])).await;
        assert_eq!(changes, json!([hash]));
    }
    for filter in &filters {
        assert_eq!(nodes.result("eth_uninstallFilter", json!([filter])).await, json!(true));
    }
    assert_eq!(nodes.calls_of("eth_getFilterChanges"), [3, 3, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_about_filters_of_all_endpoints_is_answered_in_order() {
    let nodes = by_turns();
    let mut filters = Vec::new();
    for _ in 0..6 {
        filters.push(nodes.result("eth_newBlockFilter", json!([])).await);
    }
    let ask = |(filter, id): (&Value, u64)| request(id, "eth_getFilterChanges", json!([filter]));
    let members = filters.iter().zip(0..).map(ask);
    let answer = nodes.send(batch(members)).await.expect("answers");
    alclad_testkit::assert_ids(&answer, &[0, 1, 2, 3, 4, 5]);
    assert!(answer.responses().iter().all(|answer| value(answer) == json!([])));
}

#[tokio::test(start_paused = true)]
async fn a_filter_is_asked_about_nowhere_else_when_its_endpoint_fails() {
    let nodes = Nodes::new();
    let filter = nodes.result("eth_newBlockFilter", json!([])).await;
    nodes.nodes[0].set(Disruption::Dead);
    for _ in 0..10 {
        let error = nodes.try_ask("eth_getFilterChanges", json!([filter])).await;
        error.expect_err("its node is dead");
    }
    assert_eq!(nodes.calls(), [1, 0, 0]);
    nodes.nodes[0].clear();
    assert_eq!(nodes.result("eth_getFilterChanges", json!([filter])).await, json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_filter_whose_endpoint_is_gone_says_so() {
    let nodes = Nodes::new();
    let filter = nodes.result("eth_newBlockFilter", json!([])).await;
    nodes.rotation.remove(&"a".into());
    let error = nodes.try_ask("eth_getFilterChanges", json!([filter])).await;
    let error = error.expect_err("its node was removed");
    assert!(matches!(cause(&error), Some(NoEndpoint::Unknown(id)) if id.as_str() == "a"));
    assert_eq!(nodes.calls()[1..], [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_nobody_made_here_is_asked_about_at_the_first_endpoint() {
    let nodes = Nodes::new();
    let answer = nodes.ask("eth_getFilterChanges", json!(["0x77"])).await;
    assert_eq!((code(&answer), nodes.calls()), (-32000, [1, 0, 0]));
    for odd in [json!([]), json!([5]), json!(["0x1", "0x2"]), json!({}), json!([{}])] {
        let answer = nodes.ask("eth_getFilterChanges", odd).await;
        assert!(!answer.is_success());
    }
    assert_eq!(nodes.calls()[1..], [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_nobody_made_here_is_asked_about_though_a_writer_comes_first() {
    let nodes = dressed(in_order(), |label, endpoint| match label {
        "a" => endpoint.with_role(Role::Write),
        _ => endpoint,
    });
    let answer = nodes.try_ask("eth_getFilterChanges", json!(["0x77"])).await;
    assert_eq!(code(&answer.expect("a reader's own words")), -32000);
}

#[tokio::test(start_paused = true)]
async fn a_filter_is_made_elsewhere_only_if_it_was_not_made() {
    for (trouble, moves) in [
        (Disruption::Dead, true),
        (Disruption::too_many_requests(None), true),
        (Disruption::Reset, false),
        (Disruption::http_status(503), false),
    ] {
        let nodes = Nodes::new();
        nodes.nodes[0].set(trouble.clone());
        let made = nodes.try_ask("eth_newBlockFilter", json!([])).await;
        assert_eq!(made.is_ok(), moves, "{trouble:?}");
        assert_eq!(nodes.nodes[1].total_calls(), u64::from(moves));
    }
}

#[tokio::test(start_paused = true)]
async fn a_filter_in_use_is_not_forgotten() {
    let nodes = by_turns();
    let filter = nodes.result("eth_newBlockFilter", json!([])).await;
    for _ in 0..10 {
        advance(secs(600)).await;
        nodes.result("eth_newBlockFilter", json!([])).await;
        assert_eq!(nodes.result("eth_getFilterChanges", json!([filter])).await, json!([]));
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_filters_those_in_use_are_remembered() {
    let nodes = by_turns();
    let made = async || nodes.result("eth_newBlockFilter", json!([])).await;
    let (in_use, idle) = (made().await, made().await);
    for call in 0..5_000 {
        made().await;
        if call % 100 == 0 {
            advance(secs(1)).await;
            nodes.result("eth_getFilterChanges", json!([in_use])).await;
        }
    }
    assert_eq!(nodes.result("eth_getFilterChanges", json!([in_use])).await, json!([]));
    nodes.nodes.iter().for_each(SimNode::reset_counters);
    // Nobody knows any more that it is the second endpoint's.
    nodes.ask("eth_getFilterChanges", json!([idle])).await;
    assert_eq!(nodes.calls_of("eth_getFilterChanges"), [1, 0, 0]);
}

/// A node whose filters are called 0x1, 0x2 and so on, as those of many are.
fn counting(name: &'static str) -> Endpoint<impl alloy_transport::Transport + Clone> {
    let made = Arc::new(AtomicU64::new(0));
    let reply = move |request: &alloy_json_rpc::SerializedRequest| -> Response {
        let id = request.id().as_number().expect("a number");
        let known = |filter: &str| {
            let number = u64::from_str_radix(filter.trim_start_matches("0x"), 16);
            number.is_ok_and(|number| number <= made.load(Relaxed))
        };
        let params = request.params().map(|p| serde_json::from_str::<Vec<String>>(p.get()));
        match (request.method(), params) {
            ("eth_newBlockFilter", _) => {
                answer(id, format!("0x{:x}", made.fetch_add(1, Relaxed) + 1))
            }
            (_, Some(Ok(filter))) if known(&filter[0]) => answer(id, (name, &filter[0])),
            _ => error(id, -32000, "filter not found"),
        }
    };
    let reply = Arc::new(reply);
    Endpoint::new(
        name,
        service_fn(move |packet: RequestPacket| -> TransportFut<'static> {
            let reply = Arc::clone(&reply);
            Box::pin(async move {
                Ok(match &packet {
                    RequestPacket::Single(one) => ResponsePacket::Single(reply(one)),
                    RequestPacket::Batch(all) => {
                        all.iter().map(|one| reply(one)).collect::<Vec<_>>().into()
                    }
                })
            })
        }),
    )
}

async fn ask(rotation: &Rotation, method: &'static str, params: Value) -> Response {
    let packet = single(request(1, method, params));
    match rotation.clone().oneshot(packet).await.expect("an answer") {
        ResponsePacket::Single(answer) => answer,
        ResponsePacket::Batch(_) => panic!("a batch for a single call"),
    }
}

#[tokio::test(start_paused = true)]
async fn filters_of_the_same_name_are_told_apart() {
    let rotation = Rotation::builder()
        .with_strategy(WeightedRoundRobin::new())
        .endpoint(counting("a"))
        .endpoint(counting("b"))
        .endpoint(counting("c"))
        .build();
    let mut filters = Vec::new();
    for turn in 0..12 {
        let filter = value(&ask(&rotation, "eth_newBlockFilter", json!([])).await);
        assert!(!filters.contains(&filter), "{filter} twice");
        filters.push(filter);
        for (filter, made) in filters.iter().zip(0..=turn) {
            let own = (["a", "b", "c"][made % 3], format!("0x{:x}", made / 3 + 1));
            for method in ["eth_getFilterChanges", "eth_getFilterLogs", "eth_uninstallFilter"] {
                assert_eq!(value(&ask(&rotation, method, json!([filter])).await), json!(own));
            }
        }
    }
    let members =
        filters.iter().zip(0..).map(|(f, id)| request(id, "eth_getFilterLogs", json!([f])));
    let answer = rotation.oneshot(batch(members)).await.expect("answers");
    let names: Vec<_> = answer.responses().iter().map(|answer| value(answer)[0].clone()).collect();
    assert_eq!(names, ["a", "b", "c"].repeat(4));
}

#[tokio::test(start_paused = true)]
async fn a_filter_made_by_a_pinned_call_is_known_to_all() {
    let nodes = Nodes::new();
    let made = nodes.rotation.pinned("c").oneshot(single(request(1, "eth_newBlockFilter", ())));
    let filter = value(&made.await.expect("an answer").responses()[0]);
    assert_eq!(nodes.result("eth_getFilterChanges", json!([filter])).await, json!([]));
    // And its endpoint counts for more than another pin.
    let other = nodes.rotation.pinned("a");
    let changes = other.oneshot(single(request(1, "eth_getFilterChanges", json!([filter]))));
    assert_eq!(value(&changes.await.expect("an answer").responses()[0]), json!([]));
    assert_eq!(nodes.calls(), [0, 0, 3]);
    nodes.nodes.iter().for_each(SimNode::clear);
}
