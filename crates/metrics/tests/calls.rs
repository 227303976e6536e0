//! What is counted of calls and of attempts.

mod support;

use alclad_core::{Fault, note};
use alclad_metrics::MetricsLayer;
use alclad_testkit::{
    Disruption, ErrorObject, SimChain, SimNode, answer, batch, error_object, mock, request, single,
};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use metrics_util::debugging::DebuggingRecorder;
use std::time::Duration;
use support::seen;
use tokio::time::advance;
use tower::{Layer, Service, ServiceExt};

fn read(id: u64) -> RequestPacket {
    single(request(id, "eth_call", ()))
}

#[tokio::test(start_paused = true)]
async fn a_call_is_counted_by_method_and_outcome_timed_and_weighed() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let (transport, mut upstream) = mock();
    let call = tokio::spawn(MetricsLayer::new().layer(transport).oneshot(read(1)));
    let asked = upstream.next().await.unwrap();
    let flying = seen(&recorder.snapshotter());
    assert_eq!(flying["alclad_calls_in_flight{}"], 1.0);
    advance(Duration::from_millis(250)).await;
    asked.answer(answer(1, "0x1234"));
    call.await.unwrap().unwrap();

    let seen = seen(&recorder.snapshotter());
    let request = request(1, "eth_call", ()).serialized().get().len() as f64;
    assert_eq!(seen["alclad_calls_total{method=eth_call,outcome=ok}"], 1.0);
    assert_eq!(seen["alclad_call_duration_seconds{method=eth_call} sum"], 0.25);
    assert_eq!(seen["alclad_call_response_bytes_total{method=eth_call}"], 8.0);
    // A snapshot takes what it shows.
    assert_eq!(flying["alclad_calls_in_flight{}"] + seen["alclad_calls_in_flight{}"], 0.0);
    assert_eq!(seen["alclad_call_batch_size{} count"], 0.0);
    assert_eq!(flying["alclad_call_request_bytes_total{method=eth_call}"], request);
}

#[tokio::test(start_paused = true)]
async fn each_member_of_a_batch_is_counted_by_itself() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let (transport, mut upstream) = mock();
    let methods = ["eth_call", "eth_getLogs", "eth_gasPrice", "eth_chainId", "eth_getBalance"];
    let asked = (1..).zip(methods).map(|(id, method)| request(id, method, ()));
    let call =
        tokio::spawn(MetricsLayer::for_endpoint("own").layer(transport).oneshot(batch(asked)));
    let reverted = ErrorObject::new(3, "execution reverted");
    // In another order; one is missing, and one comes twice.
    upstream.next().await.unwrap().answer_batch([
        answer(3, "0x7"),
        answer(2, Vec::<u8>::new()),
        error_object(1, reverted),
        answer(5, "0x1"),
        answer(5, "0x2"),
    ]);
    let passed = call.await.unwrap().unwrap();
    assert_eq!(passed.responses().len(), 5, "it passes on what came");

    let seen = seen(&recorder.snapshotter());
    for (method, outcome) in [
        ("eth_call", "Reverted"),
        ("eth_getLogs", "empty"),
        ("eth_gasPrice", "ok"),
        ("eth_chainId", "Malformed"),
        ("eth_getBalance", "Malformed"),
    ] {
        let name =
            format!("alclad_attempts_total{{endpoint=own,method={method},outcome={outcome}}}");
        assert_eq!(seen.get(&name), Some(&1.0), "{name}: {seen:#?}");
    }
    assert_eq!(seen["alclad_attempt_batch_size{endpoint=own} sum"], 5.0);
    assert_eq!(seen["alclad_attempts_in_flight{endpoint=own}"], 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_refused_as_a_whole_fails_each_member() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let (transport, mut upstream) = mock();
    let asked = [1, 2].map(|id| request(id, "eth_call", ()));
    let call = tokio::spawn(MetricsLayer::new().layer(transport).oneshot(batch(asked)));
    let mut refusal = error_object(1, ErrorObject::new(-32005, "too many requests"));
    refusal.id = alloy_json_rpc::Id::None;
    upstream.next().await.unwrap().answer(refusal);
    call.await.unwrap().unwrap();
    let seen = seen(&recorder.snapshotter());
    assert_eq!(seen["alclad_calls_total{method=eth_call,outcome=RateLimited}"], 2.0);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_counted_as_that_and_no_longer_in_flight() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let node = SimNode::new(&SimChain::new(7));
    node.set(Disruption::BlackHole);
    let mut service = MetricsLayer::for_endpoint("own").layer(node.transport());
    let mut polled = service.ready().await.unwrap().call(read(1));
    assert!(futures::poll!(&mut polled).is_pending());
    let never_polled = service.ready().await.unwrap().call(read(2));
    let flying = seen(&recorder.snapshotter());
    assert_eq!(flying["alclad_attempts_in_flight{endpoint=own}"], 2.0);
    drop((polled, never_polled));

    let seen = seen(&recorder.snapshotter());
    assert_eq!(seen["alclad_attempts_in_flight{endpoint=own}"], -2.0, "a snapshot takes");
    let ended = seen["alclad_attempts_total{endpoint=own,method=eth_call,outcome=dropped}"];
    let unsent = seen["alclad_attempts_unsent_total{endpoint=own,method=eth_call}"];
    assert_eq!((ended, unsent), (2.0, 1.0));
    assert_eq!(node.total_calls() as f64, ended - unsent);
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_an_attempt_that_nobody_has_seen() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let node = SimNode::new(&SimChain::new(7));
    let service = MetricsLayer::for_endpoint("own").layer(node.transport());
    for disruption in [Disruption::Dead, Disruption::LoseAnswer] {
        node.set(disruption);
        service.clone().oneshot(read(1)).await.unwrap_err();
    }
    let seen = seen(&recorder.snapshotter());
    assert_eq!(seen["alclad_attempts_total{endpoint=own,method=eth_call,outcome=Connection}"], 2.0);
    assert_eq!(
        (seen["alclad_attempts_unsent_total{endpoint=own,method=eth_call}"], node.total_calls()),
        (1.0, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn what_http_said_around_an_error_is_heard_and_passed_on() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let transport = tower::service_fn(|_| {
        note::record(|note| note.http_status = Some(429));
        let odd = error_object(1, ErrorObject::new(-32099, "please"));
        std::future::ready(Ok(ResponsePacket::Single(odd)))
    });
    let service = MetricsLayer::for_endpoint("own").layer(transport);
    // A retry or a rotation listens.
    let (_, notes) = note::capture(service.oneshot(read(1))).await;
    assert_eq!(notes.of(&1.into()).http_status, Some(429));
    let seen = seen(&recorder.snapshotter());
    assert_eq!(
        seen["alclad_attempts_total{endpoint=own,method=eth_call,outcome=RateLimited}"],
        1.0
    );
}

#[tokio::test(start_paused = true)]
async fn a_classifier_of_ones_own_is_asked_first() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let (transport, mut upstream) = mock();
    let busy = |evidence: &alclad_core::Evidence<'_>| {
        evidence.message.contains("please").then_some(Fault::ServerError)
    };
    let service = MetricsLayer::new().with_classifier(busy).layer(transport);
    let call = tokio::spawn(service.oneshot(read(1)));
    upstream.next().await.unwrap().answer(error_object(1, ErrorObject::new(-32099, "please")));
    call.await.unwrap().unwrap();
    let seen = seen(&recorder.snapshotter());
    assert_eq!(seen["alclad_calls_total{method=eth_call,outcome=ServerError}"], 1.0);
}
