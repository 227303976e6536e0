//! What every layer of the house owes to tower and to the caller.

use alclad_core::TransportLayers;
use alclad_metrics::{Metrics, MetricsLayer, Report};
use alclad_testkit::{
    Disruption, ErrorObject, MockUpstream, SimChain, SimNode, StrictTransport, answer, assert_ids,
    batch, error_object, mock, request, single,
};
use alloy_json_rpc::RequestPacket;
use alloy_transport::{BoxTransport, IntoBoxTransport, TransportErrorKind};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tower::{
    Layer, Service, ServiceExt,
    limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer},
};

/// With a report there is always somebody who wants to know.
fn layer() -> MetricsLayer {
    MetricsLayer::for_endpoint("own").with_report(&Report::new())
}

fn layered() -> (Metrics<StrictTransport>, MockUpstream) {
    let (transport, upstream) = mock();
    (layer().layer(transport), upstream)
}

fn read(id: u64) -> RequestPacket {
    single(request(id, "eth_call", ()))
}

#[tokio::test(start_paused = true)]
async fn the_readied_instance_is_the_one_that_is_called() {
    let (transport, mut upstream) = mock();
    let limited = ConcurrencyLimitLayer::new(1).layer(transport);
    let mut service = layer().layer(limited);
    // There is no permit for another one.
    let mut call = service.ready().await.unwrap().call(read(1));
    assert!(futures::poll!(&mut call).is_pending());
    assert!(!upstream.is_idle());
    upstream.expect(&[(1, "eth_call")]).await.answer(answer(1, "0x"));
    assert!(call.await.unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn a_clone_of_a_ready_service_is_not_ready() {
    let (transport, _upstream) = mock();
    let limited = ConcurrencyLimitLayer::new(1).layer(transport);
    let mut service = layer().layer(limited);
    service.ready().await.unwrap();
    let mut clone = service.clone();
    assert!(futures::poll!(pin!(clone.ready())).is_pending());
    drop(service);
    assert!(futures::poll!(pin!(clone.ready())).is_ready());
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_is_passed_on() {
    let (mut service, mut upstream) = layered();
    upstream.fail_ready(TransportErrorKind::backend_gone());
    let error = service.ready().await.unwrap_err();
    assert!(error.as_transport_err().unwrap().is_backend_gone());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_gives_its_permit_back() {
    let permits = Arc::new(Semaphore::new(1));
    let limit = GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&permits));
    let node = SimNode::new(&SimChain::new(7));
    node.set(Disruption::BlackHole);
    let service = layer().layer(limit.layer(node.transport()));
    let call = tokio::spawn(service.clone().oneshot(read(1)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((permits.available_permits(), node.in_flight()), (0, 1));
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!((permits.available_permits(), node.in_flight()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_order_of_a_batch_is_kept() {
    let (service, mut upstream) = layered();
    let questions = [3, 1, 2].map(|id| request(id, "eth_call", ()));
    let call = tokio::spawn(service.oneshot(batch(questions)));
    let packet = upstream.expect(&[(3, "eth_call"), (1, "eth_call"), (2, "eth_call")]).await;
    packet.answer_batch([3, 1, 2].map(|id| answer(id, "0x")));
    assert_ids(&call.await.unwrap().unwrap(), &[3, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn errors_pass_through_unchanged() {
    let (service, mut upstream) = layered();
    let call = tokio::spawn(service.clone().oneshot(read(1)));
    let own = ErrorObject::new(-32099, "something of its own").with_data("and more");
    upstream.next().await.unwrap().answer(error_object(1, own));
    let answer = call.await.unwrap().unwrap();
    let error = answer.as_error().unwrap();
    assert_eq!((error.code, &*error.message), (-32099, "something of its own"));
    assert_eq!(error.data.as_ref().unwrap().get(), "\"and more\"");

    let call = tokio::spawn(service.oneshot(read(2)));
    let refused = TransportErrorKind::http_error(403, "no".to_owned());
    upstream.next().await.unwrap().fail(refused);
    let error = call.await.unwrap().unwrap_err();
    let error = error.as_transport_err().unwrap().as_http_error().unwrap();
    assert_eq!((error.status, &*error.body), (403, "no"));
}

async fn works_with_one_permit(transport: BoxTransport, mut upstream: MockUpstream) {
    let calls = [1, 2].map(|id| tokio::spawn(transport.clone().oneshot(read(id))));
    for id in [1, 2] {
        upstream.expect(&[(id, "eth_call")]).await.answer(answer(id, "0x"));
    }
    for call in calls {
        assert!(call.await.unwrap().unwrap().is_success());
    }
}

#[tokio::test(start_paused = true)]
async fn it_works_over_a_concurrency_limit_of_one() {
    let (layer, limit) = (layer(), ConcurrencyLimitLayer::new(1));
    let (transport, upstream) = mock();
    let limited = layer.layer(limit.layer(transport));
    works_with_one_permit(limited.into_box_transport(), upstream).await;
    let (transport, upstream) = mock();
    let limited = layer.layer(TransportLayers(limit).layer(transport));
    works_with_one_permit(limited.into_box_transport(), upstream).await;
}
