//! Before an endpoint is verified, and when it turns out to be another chain's.

mod support;

use alclad_chain_guard::ChainGuardLayer;
use alclad_core::{
    ChainBaseline, Fault,
    error::{ChainMismatch, cause},
    note,
};
use alclad_testkit::{Disruption, SimChain, SimNode, answer, mock};
use alloy_transport::{TransportError, TransportErrorKind};
use futures::future::join_all;
use serde_json::json;
use std::time::Duration;
use support::{CHAIN, ask, read, serve_chain_id};
use tokio::time::sleep;
use tower::{Layer, ServiceExt};

fn fault(error: &TransportError) -> Fault {
    Fault::of_error("eth_call", error)
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_before_the_endpoint_is_verified() {
    let (transport, mut upstream) = mock();
    let service = ChainGuardLayer::expect(CHAIN).layer(transport);
    let calls = [1, 2].map(|id| tokio::spawn(service.clone().oneshot(read(id))));
    tokio::task::yield_now().await;
    let question = upstream.next().await.unwrap();
    assert!(upstream.is_idle());
    question.fail(TransportErrorKind::http_error(503, "later".to_owned()));
    // All that waited have the endpoint's own error, and the next call tries again.
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        let http = error.as_transport_err().unwrap().as_http_error().unwrap();
        assert_eq!((http.status, &*http.body), (503, "later"));
    }
    let call = tokio::spawn(service.oneshot(read(3)));
    serve_chain_id(&mut upstream, CHAIN).await;
    upstream.expect(&[(3, "eth_call")]).await.answer(answer(3, "0x"));
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_first_calls_cause_one_question() {
    let node = SimNode::new(&SimChain::new(7));
    node.set(Disruption::SlowBy(Duration::from_millis(50)));
    let service = ChainGuardLayer::expect(CHAIN).layer(node.transport());
    let calls = join_all((0..1000).map(|_| ask(&service, "eth_gasPrice", json!([])))).await;
    assert!(calls.iter().all(Result::is_ok));
    assert_eq!((node.calls("eth_chainId"), node.calls("eth_gasPrice")), (1, 1000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_first_calls_from_many_threads_cause_one_question() {
    let node = SimNode::new(&SimChain::new(7));
    node.set(Disruption::SlowBy(Duration::from_millis(5)));
    let service = ChainGuardLayer::expect(CHAIN).layer(node.transport());
    let calls = (0..1000).map(|id| tokio::spawn(service.clone().oneshot(read(id))));
    for call in calls.collect::<Vec<_>>() {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!(node.calls("eth_chainId"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_first_calls_that_nobody_answers_cause_one_question() {
    let node = SimNode::new(&SimChain::new(7));
    node.set(Disruption::SlowBy(Duration::from_millis(50)));
    node.add(Disruption::LoseAnswer);
    let service = ChainGuardLayer::expect(CHAIN).layer(node.transport());
    let calls = join_all((0..1000).map(|_| ask(&service, "eth_gasPrice", json!([])))).await;
    for error in calls.into_iter().map(Result::unwrap_err) {
        assert_eq!(fault(&error), Fault::Connection { maybe_sent: true });
        assert!(cause::<std::io::Error>(&error).is_some());
    }
    assert_eq!(node.total_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn if_the_call_that_asks_is_dropped_another_one_asks() {
    let node = SimNode::new(&SimChain::new(7));
    node.set(Disruption::BlackHole.times(3));
    let service = ChainGuardLayer::expect(CHAIN).layer(node.transport());
    let calls: Vec<_> = (0..10).map(|id| tokio::spawn(service.clone().oneshot(read(id)))).collect();
    for (asked, call) in calls.iter().enumerate().take(3) {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(node.calls("eth_chainId"), asked as u64 + 1);
        call.abort();
    }
    for call in calls.into_iter().skip(3) {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!((node.calls("eth_chainId"), node.calls("eth_call")), (4, 7));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_of_another_chain_is_not_asked_anything_else() {
    let chain = SimChain::new(7);
    let node = SimNode::new(&chain.twin(1337));
    let service = ChainGuardLayer::expect(CHAIN).layer(node.transport());
    let ask = async || ask(&service, "eth_gasPrice", json!([])).await;
    for _ in 0..100 {
        let (answer, _) = note::capture_at("vendor".into(), ask()).await;
        let error = answer.unwrap_err();
        assert_eq!(fault(&error), Fault::WrongChain);
        let mismatch = cause::<ChainMismatch>(&error).unwrap();
        assert_eq!((mismatch.expected, mismatch.actual), (CHAIN, 1337));
        let text = "endpoint vendor: it serves chain 1337, and chain 1 is expected; \
                    correct its URL, or take it out";
        assert_eq!(error.to_string(), text);
    }
    assert_eq!(node.total_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mismatch_is_checked_again_later_and_later() {
    let chain = SimChain::new(7);
    let node = SimNode::new(&chain);
    node.set(Disruption::WrongChain(chain.twin(1337)));
    let (first, most) = (Duration::from_secs(5), Duration::from_secs(30));
    let layer = ChainGuardLayer::expect(CHAIN).with_recheck(first, most);
    let service = layer.layer(node.transport());
    let mut asked_at = Vec::new();
    for second in 0..100 {
        assert!(ask(&service, "eth_gasPrice", json!([])).await.is_err());
        if node.calls("eth_chainId") > asked_at.len() as u64 {
            asked_at.push(second);
        }
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(asked_at, [0, 5, 15, 35, 65, 95]);
    // Once it is mended it comes back.
    node.clear();
    sleep(most).await;
    assert!(ask(&service, "eth_gasPrice", json!([])).await.is_ok());
    assert_eq!(node.calls("eth_gasPrice"), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_while_a_mismatch_is_checked_again_and_no_answer_mends_nothing() {
    let chain = SimChain::new(7);
    let node = SimNode::new(&chain);
    node.set(Disruption::WrongChain(chain.twin(1337)));
    let service = ChainGuardLayer::expect(CHAIN).layer(node.transport());
    assert!(ask(&service, "eth_gasPrice", json!([])).await.is_err());

    sleep(Duration::from_secs(5)).await;
    node.set(Disruption::SlowBy(Duration::from_secs(1)));
    node.add(Disruption::LoseAnswer);
    let mut asks = Box::pin(ask(&service, "eth_gasPrice", json!([])));
    assert!(futures::poll!(&mut asks).is_pending());
    let mut other = Box::pin(ask(&service, "eth_gasPrice", json!([])));
    assert!(futures::poll!(&mut other).is_ready());
    assert_eq!(fault(&asks.await.unwrap_err()), Fault::WrongChain);
    assert_eq!(node.calls("eth_chainId"), 2);
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_not_a_mismatch() {
    let node = SimNode::new(&SimChain::new(7));
    let service = ChainGuardLayer::expect(CHAIN).layer(node.transport());
    let limited = Disruption::too_many_requests(Some(alclad_testkit::RetryAfter::Seconds(3)));
    for (disruption, name) in [
        (Disruption::Dead, "Connection"),
        (Disruption::Html, "ServerError"),
        (Disruption::NullAnswers, "Malformed"),
        (Disruption::ForeignIds, "Malformed"),
        (Disruption::http_status(503), "ServerError"),
        (Disruption::http_status(401), "Unauthorized"),
        (limited, "RateLimited"),
        (Disruption::rpc_error(-32005, "daily request count exceeded"), "QuotaExhausted"),
    ] {
        node.set(disruption.times(1));
        let error = ask(&service, "eth_gasPrice", json!([])).await.unwrap_err();
        assert_eq!(fault(&error).name(), name);
    }
    assert!(ask(&service, "eth_gasPrice", json!([])).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_first_endpoint_that_answers_decides_for_all_of_one_baseline() {
    let chain = SimChain::new(7);
    let nodes = [chain.clone(), chain.twin(1337), chain].map(|chain| SimNode::new(&chain));
    let layer = ChainGuardLayer::learn(ChainBaseline::new());
    let services = nodes.each_ref().map(|node| layer.layer(node.transport()));
    let mut right = Vec::new();
    for service in &services {
        right.push(ask(service, "eth_gasPrice", json!([])).await.is_ok());
    }
    assert_eq!(right, [true, false, true]);
    assert_eq!(layer.baseline().chain_id(), Some(CHAIN));
    // Each was asked by itself.
    assert!(nodes.iter().all(|node| node.calls("eth_chainId") == 1));
}
