//! Disruptions over the in-process transport, on a paused clock.

use alclad_testkit::{
    Disruption, ErrorObject, HttpAnswer, RateLimit, RetryAfter, SimChain, SimNode, assert_ids,
    batch, request, request_with_id, single,
};
use alloy::{
    rpc::json_rpc::{Id, RequestPacket, ResponsePacket, RpcError},
    transports::{TransportError, TransportErrorKind},
};
use serde_json::{Value, json, value::RawValue};
use std::{io, num::NonZeroU32, time::Duration};
use tokio::time::{Instant, timeout};
use tower::ServiceExt;

fn node() -> SimNode {
    let chain = SimChain::new(21);
    chain.mine(20);
    SimNode::new(&chain)
}

async fn send(node: &SimNode, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
    node.transport().oneshot(packet).await
}

async fn ask(node: &SimNode, method: &'static str, params: Value) -> Result<Value, ErrorObject> {
    let response = send(node, single(request(1, method, params))).await.expect("an answer");
    let text = |raw: &RawValue| serde_json::from_str(raw.get()).unwrap();
    match &response.responses()[0].payload {
        payload if payload.is_success() => Ok(text(payload.as_success().unwrap())),
        payload => {
            let error = payload.as_error().unwrap();
            Err(ErrorObject::new(error.code, error.message.clone()))
        }
    }
}

async fn transport_error(node: &SimNode) -> TransportErrorKind {
    match send(node, single(request(1, "eth_chainId", ()))).await {
        Err(RpcError::Transport(kind)) => kind,
        other => panic!("{other:?}"),
    }
}

async fn io_error(node: &SimNode) -> io::ErrorKind {
    let kind = transport_error(node).await;
    kind.as_custom().and_then(|error| error.downcast_ref::<io::Error>()).expect("io").kind()
}

fn three() -> RequestPacket {
    batch([
        request(1, "eth_chainId", ()),
        request(2, "eth_blockNumber", ()),
        request(3, "net_version", ()),
    ])
}

#[tokio::test(start_paused = true)]
async fn broken_connections_are_io_errors_and_only_the_dead_execute_nothing() {
    let node = node();
    node.set(Disruption::Dead);
    assert_eq!(io_error(&node).await, io::ErrorKind::ConnectionRefused);
    assert_eq!((node.total_calls(), node.packets()), (0, 0));
    node.set(Disruption::Reset);
    assert_eq!(io_error(&node).await, io::ErrorKind::ConnectionReset);
    node.set(Disruption::LoseAnswer);
    assert_eq!(io_error(&node).await, io::ErrorKind::ConnectionReset);
    assert_eq!((node.calls("eth_chainId"), node.answered()), (2, 0));
    node.clear();
    assert_eq!(ask(&node, "eth_chainId", json!([])).await.unwrap(), "0x1");
}

#[tokio::test(start_paused = true)]
async fn silence_lasts_and_slowness_takes_exactly_its_time() {
    let node = node();
    for silent in [Disruption::BlackHole, Disruption::EndlessBody] {
        node.set(silent);
        let call = send(&node, three());
        assert!(timeout(Duration::from_secs(3_600), call).await.is_err());
        assert_eq!(node.in_flight(), 0);
    }
    node.set(Disruption::SlowBy(Duration::from_millis(300)));
    node.add(Disruption::SlowBy(Duration::from_millis(200)).on("eth_chainId"));
    let start = Instant::now();
    send(&node, three()).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(500));
    ask(&node, "eth_blockNumber", json!([])).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(800));
}

#[tokio::test]
async fn a_failed_status_is_the_error_that_alloy_makes_of_it() {
    let node = node();
    node.set(Disruption::http_status(503));
    let error = transport_error(&node).await;
    assert_eq!(error.as_http_error().unwrap().status, 503);
    node.set(Disruption::too_many_requests(Some(RetryAfter::Seconds(7))));
    let error = transport_error(&node).await;
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    node.set(Disruption::Http(HttpAnswer::new(200).with_body("try again later")));
    let error = send(&node, three()).await.unwrap_err();
    assert!(matches!(error, RpcError::DeserError { text, .. } if text == "try again later"));
    let limited = ErrorObject::new(-32005, "slow down");
    node.set(Disruption::Http(HttpAnswer::new(429).with_rpc_error(limited)));
    let response = send(&node, three()).await.unwrap();
    assert_ids(&response, &[1, 2, 3]);
    assert!(response.payloads().all(|payload| payload.error_code() == Some(-32005)));
}

#[tokio::test]
async fn a_body_that_is_not_json_rpc_is_kept_in_the_error() {
    let node = node();
    node.set(Disruption::Html);
    let error = send(&node, three()).await.unwrap_err();
    assert!(matches!(error, RpcError::DeserError { text, .. } if text.contains("<html>")));
    node.set(Disruption::TruncatedJson);
    let error = send(&node, three()).await.unwrap_err();
    assert!(matches!(error, RpcError::DeserError { text, .. } if text.starts_with(r#"[{"json"#)));
}

#[tokio::test]
async fn batches_lack_repeat_shuffle_and_rename_their_members() {
    let node = node();
    let ids = |response: &ResponsePacket| -> Vec<Id> { response.response_ids().cloned().collect() };
    let asked: Vec<Id> = (1..=3).map(Id::Number).collect();
    for _ in 0..20 {
        node.set(Disruption::MissingMembers);
        let found = ids(&send(&node, three()).await.unwrap());
        assert!(found.len() < 3 && found.iter().all(|id| asked.contains(id)));
        node.set(Disruption::DuplicatedMembers);
        let found = ids(&send(&node, three()).await.unwrap());
        assert!(found.len() == 4 && asked.iter().all(|id| found.contains(id)));
        node.set(Disruption::ReorderedMembers);
        let found = ids(&send(&node, three()).await.unwrap());
        assert!(found.len() == 3 && found != asked);
        assert!(asked.iter().all(|id| found.contains(id)));
    }
    node.set(Disruption::ForeignIds);
    let found = ids(&send(&node, three()).await.unwrap());
    assert!(found.len() == 3 && found.iter().all(|id| !asked.contains(id)));
    let single = send(&node, single(request(1, "eth_chainId", ()))).await.unwrap();
    assert!(matches!(&single, ResponsePacket::Single(response) if response.id != Id::Number(1)));
}

#[tokio::test]
async fn errors_and_nulls_strike_members_by_method() {
    let node = node();
    let hash = node.chain().head().hash;
    node.set(Disruption::rpc_error(-32005, "limit exceeded").on("eth_blockNumber"));
    let response = send(&node, three()).await.unwrap();
    let codes: Vec<_> = response.responses().iter().map(|one| one.error_code()).collect();
    assert_eq!(codes, [None, Some(-32005), None]);
    node.set(Disruption::NullReceipts);
    assert_eq!(ask(&node, "eth_getBlockReceipts", json!(["latest"])).await.unwrap(), Value::Null);
    assert_ne!(ask(&node, "eth_getBlockByHash", json!([hash, false])).await.unwrap(), Value::Null);
    node.set(Disruption::NullAnswers);
    assert_eq!(ask(&node, "eth_chainId", json!([])).await.unwrap(), Value::Null);
}

#[tokio::test]
async fn another_chain_is_another_chain_in_all_it_says() {
    let node = node();
    let twin = node.chain().twin(56);
    node.set(Disruption::WrongChain(twin.clone()));
    assert_eq!(ask(&node, "eth_chainId", json!([])).await.unwrap(), "0x38");
    let block = ask(&node, "eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
    assert_eq!(block["hash"], json!(twin.head().hash));
}

#[tokio::test]
async fn a_pruned_node_has_blocks_but_neither_state_nor_receipts() {
    let node = node();
    node.set(Disruption::Pruned { depth: 5 });
    let balance = |block: &str| json!(["0x0000000000000000000000000000000000000001", block]);
    assert!(ask(&node, "eth_getBalance", balance("0xf")).await.is_ok());
    let error = ask(&node, "eth_getBalance", balance("0xe")).await.unwrap_err();
    assert!(error.message.starts_with("missing trie node"), "{error}");
    assert_eq!(ask(&node, "eth_getBlockReceipts", json!(["0xe"])).await.unwrap(), Value::Null);
    assert!(ask(&node, "eth_getBlockByNumber", json!(["0xe", false])).await.unwrap().is_object());
}

#[tokio::test]
async fn a_head_freezes_lags_and_jumps() {
    let node = node();
    node.set(Disruption::FrozenHead);
    node.chain().mine(5);
    assert_eq!(ask(&node, "eth_blockNumber", json!([])).await.unwrap(), "0x14");
    assert_eq!(node.block_number(), 20);
    node.set(Disruption::Lag(3).with_share(0.5));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let number = ask(&node, "eth_blockNumber", json!([])).await.unwrap();
        seen.insert(number.as_str().unwrap().to_owned());
    }
    assert_eq!(Vec::from_iter(seen), ["0x16", "0x19"]);
}

#[tokio::test]
async fn logs_are_limited_by_range_and_by_number() {
    let node = node();
    let range = |from: &str| json!([{ "fromBlock": from, "toBlock": "latest" }]);
    node.set(Disruption::LogRangeLimit(10));
    assert!(ask(&node, "eth_getLogs", range("0xb")).await.is_ok());
    assert_eq!(ask(&node, "eth_getLogs", range("0xa")).await.unwrap_err().code, -32005);
    node.set(Disruption::LogResultLimit(2));
    let error = ask(&node, "eth_getLogs", range("0x0")).await.unwrap_err();
    assert_eq!(error.message, "query returned more than 2 results");
}

#[tokio::test]
async fn rules_strike_their_share_their_times_and_not_before_their_turn() {
    let node = node();
    node.set(Disruption::rpc_error(-32000, "flaky").with_share(0.2));
    let mut struck = 0;
    for _ in 0..1_000 {
        struck += u32::from(ask(&node, "eth_chainId", json!([])).await.is_err());
    }
    assert!((150..250).contains(&struck), "{struck}");
    node.set(Disruption::rpc_error(-32000, "once").on("eth_chainId").after(2).times(1));
    let mut outcomes = Vec::new();
    for _ in 0..5 {
        ask(&node, "eth_blockNumber", json!([])).await.unwrap();
        outcomes.push(ask(&node, "eth_chainId", json!([])).await.is_ok());
    }
    assert_eq!(outcomes, [true, true, false, true, true]);
}

#[tokio::test]
async fn the_same_seed_strikes_the_same_calls() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let node = node();
        node.set(Disruption::rpc_error(-32000, "flaky").with_share(0.5));
        let mut outcomes = Vec::new();
        for _ in 0..64 {
            outcomes.push(ask(&node, "eth_chainId", json!([])).await.is_ok());
        }
        runs.push(outcomes);
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test(start_paused = true)]
async fn the_rate_limit_counts_members_and_hints_how_long_to_wait() {
    let node = node();
    let (two, four) = (NonZeroU32::new(2).unwrap(), NonZeroU32::new(4).unwrap());
    node.set_rate_limit(RateLimit::per_second(two).with_burst(four));
    send(&node, three()).await.unwrap();
    let error = send(&node, three()).await.unwrap_err();
    let RpcError::Transport(kind) = error else { panic!("{error}") };
    assert_eq!(kind.retry_after(), Some(Duration::from_secs(1)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    send(&node, three()).await.unwrap();
    assert_eq!(node.throttled(), 1);
    node.set_rate_limit(None);
    send(&node, three()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_sliding_window_has_no_second_with_more_than_the_limit() {
    let node = node();
    let six = NonZeroU32::new(6).unwrap();
    let hint = Duration::from_millis(100);
    node.set_rate_limit(RateLimit::in_any_second(six).with_hint(hint));
    let start = Instant::now();
    let mut passed = Vec::new();
    for _ in 0..60 {
        match send(&node, three()).await {
            Ok(_) => passed.push(start.elapsed().as_millis()),
            Err(RpcError::Transport(kind)) => {
                let body = &kind.as_http_error().expect("a 429").body;
                assert_eq!(body, "Too Many Requests, retry in 100ms");
            }
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(passed, [0, 50, 1000, 1050, 2000, 2050]);
    assert_eq!(node.throttled(), 54);
    // Half of it from now on, and what was taken counts.
    node.set_rate_limit(RateLimit::in_any_second(NonZeroU32::new(3).unwrap()));
    assert!(send(&node, three()).await.is_err());
    tokio::time::sleep(Duration::from_millis(50)).await;
    send(&node, three()).await.unwrap();
    assert!(send(&node, three()).await.is_err());
}

#[tokio::test]
async fn filters_belong_to_the_node_that_made_them() {
    let node = node();
    let other = SimNode::new(node.chain());
    let id = ask(&node, "eth_newBlockFilter", json!([])).await.unwrap();
    node.chain().mine(1);
    let error = ask(&other, "eth_getFilterChanges", json!([id])).await.unwrap_err();
    assert_eq!((error.code, &*error.message), (-32000, "filter not found"));
    let changes = ask(&node, "eth_getFilterChanges", json!([id])).await.unwrap();
    assert_eq!(changes, json!([node.chain().head().hash]));
}

#[tokio::test]
async fn ids_of_every_kind_come_back_and_batches_stay_batches() {
    let node = node();
    let ids = [Id::Number(7), Id::String("seven".to_owned()), Id::None];
    let all = ids.clone().map(|id| request_with_id(id, "eth_chainId", ()));
    let response = send(&node, batch(all)).await.unwrap();
    assert_eq!(response.response_ids().cloned().collect::<Vec<_>>(), ids);
    let one = send(&node, batch([request(1, "eth_chainId", ())])).await.unwrap();
    assert!(matches!(one, ResponsePacket::Batch(ref members) if members.len() == 1));
    let none = send(&node, batch([])).await.unwrap();
    assert!(matches!(none, ResponsePacket::Batch(ref members) if members.is_empty()));
}

#[tokio::test]
async fn counters_count_members_packets_and_answers() {
    let node = node();
    send(&node, three()).await.unwrap();
    ask(&node, "eth_chainId", json!([])).await.unwrap();
    assert_eq!((node.calls("eth_chainId"), node.calls("eth_call")), (2, 0));
    assert_eq!((node.total_calls(), node.packets(), node.answered()), (4, 2, 4));
    assert_eq!(node.calls_by_method().len(), 3);
    node.reset_counters();
    assert_eq!((node.total_calls(), node.packets(), node.answered()), (0, 0, 0));
}
