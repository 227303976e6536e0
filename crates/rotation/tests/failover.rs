//! Which endpoint is asked, and which one next.

mod nodes;

use alclad_core::{
    CallOptions, Fault,
    error::{AllParked, AttemptTimeout, DeadlineExceeded, NoEndpoint, cause},
};
use alclad_rotation::{Endpoint, EndpointState};
use alclad_testkit::{Disruption, SimChain, SimNode, batch, request, single};
use alloy_json_rpc::{Id, ResponsePacket};
use nodes::{Nodes, code, in_order, value};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;
use tower::ServiceExt;

#[tokio::test(start_paused = true)]
async fn the_first_endpoint_serves_all_while_it_is_healthy() {
    let nodes = Nodes::new();
    for _ in 0..50 {
        nodes.read_well().await;
    }
    assert_eq!(nodes.calls(), [50, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_the_next_one_answers() {
    let troubles = [
        Disruption::Dead,
        Disruption::Reset,
        Disruption::Html,
        Disruption::TruncatedJson,
        Disruption::ForeignIds,
        Disruption::http_status(500),
        Disruption::http_status(401),
        Disruption::http_status(404),
        Disruption::too_many_requests(None),
        Disruption::rpc_error(-32005, "limit exceeded"),
        Disruption::rpc_error(-32601, "the method does not exist"),
        Disruption::rpc_error(-32000, "missing trie node 12ab"),
        Disruption::rpc_error(-32099, "the flux capacitor is cold"),
    ];
    for trouble in troubles {
        let nodes = Nodes::new();
        nodes.nodes[0].set(trouble.clone());
        nodes.read_well().await;
        assert_eq!(nodes.calls()[1..], [1, 0], "{trouble:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_one_is_always_reached() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::Dead);
    nodes.nodes[1].set(Disruption::http_status(503));
    for _ in 0..200 {
        nodes.read_well().await;
    }
    assert_eq!(nodes.nodes[2].total_calls(), 200);
    assert_eq!(nodes.nodes[1].total_calls(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_request_itself_is_final_and_harms_nobody() {
    let nodes = Nodes::new();
    let call = json!([{ "to": alclad_testkit::REVERTING }, "0x5"]);
    for _ in 0..100 {
        assert_eq!(code(&nodes.ask("eth_call", call.clone()).await), 3);
    }
    assert_eq!(nodes.calls(), [100, 0, 0]);
    assert_eq!(nodes.state(0), EndpointState::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_error_of_one_bad_call_opens_no_circuit() {
    let nodes = Nodes::new();
    for node in &nodes.nodes {
        node.set(Disruption::rpc_error(-32099, "the flux capacitor is cold").on("eth_getCode"));
    }
    let poison = json!([nodes.chain.accounts()[0], "0x5"]);
    for _ in 0..1000 {
        assert_eq!(code(&nodes.ask("eth_getCode", poison.clone()).await), -32099);
        nodes.read_well().await;
    }
    assert_eq!([0, 1, 2].map(|node| nodes.state(node)), [EndpointState::Closed; 3]);
    // Two endpoints that agree are believed; the third is not asked.
    assert_eq!(nodes.calls(), [2000, 1000, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_server_error_of_one_bad_call_opens_no_circuit() {
    let nodes = Nodes::new();
    for node in &nodes.nodes {
        node.set(Disruption::rpc_error(-32603, "Internal error").on("eth_getCode"));
    }
    let poison = json!([nodes.chain.accounts()[0], "0x5"]);
    for _ in 0..200 {
        assert_eq!(code(&nodes.ask("eth_getCode", poison.clone()).await), -32603);
    }
    assert_eq!([0, 1, 2].map(|node| nodes.state(node)), [EndpointState::Closed; 3]);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_error_counts_once_another_endpoint_answers_well() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::rpc_error(-32099, "the flux capacitor is cold"));
    for _ in 0..50 {
        nodes.read_well().await;
    }
    assert_eq!(nodes.calls(), [5, 50, 0]);
    assert!(matches!(nodes.state(0), EndpointState::Open { fault: Some(Fault::Unknown), .. }));
}

#[tokio::test(start_paused = true)]
async fn a_method_that_an_endpoint_does_not_offer_is_not_asked_there_again() {
    let nodes = Nodes::new();
    let refusal = Disruption::rpc_error(-32601, "the method eth_getCode does not exist");
    nodes.nodes[0].set(refusal.on("eth_getCode"));
    let params = json!([nodes.chain.accounts()[0], "0x5"]);
    for _ in 0..10 {
        value(&nodes.ask("eth_getCode", params.clone()).await);
        nodes.read_well().await;
    }
    assert_eq!(nodes.nodes[0].calls("eth_getCode"), 1);
    assert_eq!(nodes.nodes[0].calls("eth_getBalance"), 10);
    assert_eq!(nodes.rotation.snapshot()[0].unsupported, ["eth_getCode"]);
}

#[tokio::test(start_paused = true)]
async fn a_method_that_nobody_offers_gets_the_endpoints_own_error() {
    let nodes = Nodes::new();
    for _ in 0..10 {
        assert_eq!(code(&nodes.ask("debug_getRawBlock", json!(["0x1"])).await), -32601);
    }
    // Once all have said so, only one is asked, so that the caller sees why.
    assert_eq!(nodes.calls(), [10, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_null_of_a_lagging_endpoint_is_asked_for_elsewhere() {
    let nodes = Nodes::new();
    nodes.nodes[0].set_lag(5);
    for _ in 0..100 {
        let block = nodes.ask("eth_getBlockByNumber", json!(["0x14", false])).await;
        assert_eq!(value(&block)["number"], "0x14");
    }
    assert_eq!(nodes.state(0), EndpointState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_null_that_two_endpoints_give_is_the_answer() {
    let nodes = Nodes::new();
    let block = nodes.ask("eth_getBlockByNumber", json!(["0xffff", false])).await;
    assert!(value(&block).is_null());
    assert_eq!(nodes.calls(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_null_stands_if_the_other_endpoint_fails() {
    let nodes = Nodes::new();
    nodes.nodes[1].set(Disruption::rpc_error(-32603, "Internal error"));
    let block = nodes.ask("eth_getBlockByNumber", json!(["0xffff", false])).await;
    assert!(value(&block).is_null());
}

#[tokio::test(start_paused = true)]
async fn a_polled_receipt_does_not_double_the_cost_for_ever() {
    let nodes = Nodes::new();
    let hash = format!("0x{}", "ab".repeat(32));
    for _ in 0..1000 {
        assert!(value(&nodes.ask("eth_getTransactionReceipt", json!([hash])).await).is_null());
    }
    let [first, second, _] = nodes.calls();
    assert_eq!(first, 1000);
    assert!(second <= 211, "{second} confirmations");
}

#[tokio::test(start_paused = true)]
async fn receipts_that_an_endpoint_does_not_have_are_found_elsewhere_every_time() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::NullReceipts);
    nodes.chain.mine_with(1, 1);
    let block = nodes.chain.answer("eth_getBlockByNumber", json!(["0x15", false]));
    let hash = &block.expect("the new block")["transactions"][0];
    for _ in 0..500 {
        let receipt = nodes.ask("eth_getTransactionReceipt", json!([hash])).await;
        assert_eq!(&value(&receipt)["transactionHash"], hash);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tier_is_asked_only_when_the_ones_before_it_cannot_serve() {
    let chain = SimChain::new(7);
    let [backup, main] = [(); 2].map(|()| SimNode::new(&chain));
    let rotation = in_order()
        .endpoint(Endpoint::new("backup", backup.transport()).with_tier(1))
        .endpoint(Endpoint::new("main", main.transport()))
        .build();
    let ask = || rotation.clone().oneshot(single(request(1, "eth_chainId", ())));
    ask().await.expect("an answer");
    assert_eq!([backup.total_calls(), main.total_calls()], [0, 1]);
    main.set(Disruption::Dead);
    ask().await.expect("an answer");
    assert_eq!([backup.total_calls(), main.total_calls()], [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_pinned_call_goes_to_its_endpoint_and_nowhere_else() {
    let nodes = Nodes::new();
    let pinned = nodes.rotation.pinned("c");
    let ask = |id| pinned.clone().oneshot(single(request(id, "eth_chainId", ())));
    ask(1).await.expect("an answer");
    assert_eq!(nodes.calls(), [0, 0, 1]);
    nodes.nodes[2].set(Disruption::Dead);
    ask(2).await.expect_err("only c may be asked");
    assert_eq!(nodes.calls(), [0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_pin_to_an_endpoint_that_is_not_there_says_so() {
    let nodes = Nodes::new();
    let packet = single(request(1, "eth_chainId", ()));
    let error = CallOptions::new().pinned_to("z").scope(nodes.send(packet)).await.unwrap_err();
    assert!(matches!(cause(&error), Some(NoEndpoint::Unknown(id)) if id.as_str() == "z"));
    assert!(error.to_string().contains("the endpoint z"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_rotation_says_so() {
    let empty = in_order().build();
    let error = empty.oneshot(single(request(1, "eth_chainId", ()))).await.unwrap_err();
    assert!(matches!(cause(&error), Some(NoEndpoint::Empty)), "{error}");
}

#[cfg(feature = "http")]
#[test]
fn a_url_that_does_not_parse_is_an_error_that_keeps_its_key() {
    for text in ["", "https://", "ftp://example.org/hunter2", "hunter2", "http://[hunter2"] {
        let error = Endpoint::parse("vendor", text).expect_err("it is no HTTP URL");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("vendor"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let endpoint = Endpoint::parse("vendor", "https://example.org/v2/hunter2").expect("a URL");
    assert!(!format!("{endpoint:?}").contains("hunter2"));
}

#[tokio::test(start_paused = true)]
async fn two_endpoints_with_one_name_are_told_apart() {
    let chain = SimChain::new(7);
    let [one, two] = [(); 2].map(|()| SimNode::new(&chain));
    let rotation = in_order()
        .endpoint(Endpoint::new("own", one.transport()))
        .endpoint(Endpoint::new("own", two.transport()))
        .build();
    let ids: Vec<_> = rotation.snapshot().into_iter().map(|e| e.id.to_string()).collect();
    assert_eq!(ids, ["own", "own#2"]);
}

#[tokio::test(start_paused = true)]
async fn when_all_are_rate_limited_the_soonest_time_comes_back_at_once() {
    let nodes = Nodes::new();
    for (node, seconds) in nodes.nodes.iter().zip([9, 4, 7]) {
        let after = alclad_testkit::RetryAfter::Seconds(seconds);
        node.set(Disruption::too_many_requests(Some(after)));
    }
    let packet = || single(request(1, "eth_chainId", ()));
    nodes.send(packet()).await.expect_err("all are limited");
    assert_eq!(nodes.calls(), [1, 1, 1]);
    let start = Instant::now();
    let error = nodes.send(packet()).await.unwrap_err();
    let parked = cause::<AllParked>(&error).expect("nobody was asked");
    assert_eq!(parked.retry_after, Duration::from_secs(4));
    assert_eq!((start.elapsed(), nodes.calls()), (Duration::ZERO, [1, 1, 1]));
    let fault = Fault::of_error("eth_chainId", &error);
    assert!(matches!(fault, Fault::RateLimited { retry_after: Some(_), .. }));
}

#[tokio::test(start_paused = true)]
async fn no_call_outlives_its_deadline() {
    let nodes = Nodes::new();
    nodes.nodes.iter().for_each(|node| node.set(Disruption::BlackHole));
    let start = Instant::now();
    let options = CallOptions::new().with_timeout(Duration::from_secs(3));
    let packet = single(request(1, "eth_chainId", ()));
    let error = options.scope(nodes.send(packet)).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    assert!(cause::<DeadlineExceeded>(&error).is_some(), "{error}");
    assert!(cause::<AttemptTimeout>(&error).is_none());
    assert_eq!(nodes.rotation.snapshot()[0].in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn an_empty_batch_has_an_empty_answer_and_asks_nobody() {
    let nodes = Nodes::new();
    let answer = nodes.send(batch([])).await.expect("an answer");
    assert!(matches!(answer, ResponsePacket::Batch(answers) if answers.is_empty()));
    assert_eq!(nodes.calls(), [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn options_that_forbid_another_attempt_are_heeded() {
    for options in [CallOptions::new().without_retry(), CallOptions::new().ignoring_errors()] {
        let nodes = Nodes::new();
        nodes.nodes[0].set(Disruption::http_status(500));
        let ignores = options.ignore_errors;
        for _ in 0..5 {
            let packet = single(request(1, "eth_chainId", ()));
            options.clone().scope(nodes.send(packet)).await.expect_err("the first one's error");
        }
        let opened = matches!(nodes.state(0), EndpointState::Open { .. });
        assert_eq!(opened, !ignores, "errors that are ignored are not held against anybody");
    }
}

#[tokio::test(start_paused = true)]
async fn ids_of_every_type_come_back_as_they_were() {
    let nodes = Nodes::new();
    for id in [Id::Number(u64::MAX), Id::String("a-b".into())] {
        let packet = single(alclad_testkit::request_with_id(id.clone(), "eth_chainId", ()));
        let answer = nodes.send(packet).await.expect("an answer");
        assert_eq!(answer.as_single().expect("a single").id, id);
    }
}
