//! What every layer of the house owes to tower and to the caller.

mod support;

use alclad_chain_guard::{ChainGuard, ChainGuardLayer, TxGuard, TxGuardLayer};
use alclad_core::TransportLayers;
use alclad_testkit::{
    Disruption, ErrorObject, MockUpstream, SimChain, SimNode, StrictTransport, answer, assert_ids,
    batch, error_object, mock, request,
};
use alloy_transport::{BoxTransport, IntoBoxTransport, TransportErrorKind};
use std::{pin::pin, sync::Arc, time::Duration};
use support::{CHAIN, read, serve_chain_id};
use tokio::sync::Semaphore;
use tower::{
    Layer, Service, ServiceExt,
    limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer},
};

fn chain_guard() -> ChainGuardLayer {
    ChainGuardLayer::expect(CHAIN)
}

fn tx_guard() -> TxGuardLayer {
    TxGuardLayer::expect(CHAIN)
}

/// A chain guard that has verified its endpoint.
async fn verified() -> (ChainGuard<StrictTransport>, MockUpstream) {
    let (transport, mut upstream) = mock();
    let service = chain_guard().layer(transport);
    let call = tokio::spawn(service.clone().oneshot(read(0)));
    serve_chain_id(&mut upstream, CHAIN).await;
    upstream.expect(&[(0, "eth_call")]).await.answer(answer(0, "0x"));
    call.await.unwrap().unwrap();
    (service, upstream)
}

fn guarded_sends() -> (TxGuard<StrictTransport>, MockUpstream) {
    let (transport, upstream) = mock();
    (tx_guard().layer(transport), upstream)
}

#[tokio::test(start_paused = true)]
async fn the_readied_instance_is_the_one_that_is_called() {
    let (transport, mut upstream) = mock();
    let limited = ConcurrencyLimitLayer::new(1).layer(transport);
    let mut service = tx_guard().layer(chain_guard().layer(limited));
    // There is no permit for another one: the question and then the call have the same.
    let call = tokio::spawn(service.ready().await.unwrap().call(read(1)));
    serve_chain_id(&mut upstream, CHAIN).await;
    upstream.expect(&[(1, "eth_call")]).await.answer(answer(1, "0x"));
    assert!(call.await.unwrap().unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn a_clone_of_a_ready_service_is_not_ready() {
    let (transport, _upstream) = mock();
    let limited = ConcurrencyLimitLayer::new(1).layer(transport);
    let mut service = tx_guard().layer(chain_guard().layer(limited));
    service.ready().await.unwrap();
    let mut clone = service.clone();
    assert!(futures::poll!(pin!(clone.ready())).is_pending());
    drop(service);
    assert!(futures::poll!(pin!(clone.ready())).is_ready());
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_is_passed_on() {
    let (transport, mut upstream) = mock();
    let mut service = tx_guard().layer(chain_guard().layer(transport));
    upstream.fail_ready(TransportErrorKind::backend_gone());
    let error = service.ready().await.unwrap_err();
    assert!(error.as_transport_err().unwrap().is_backend_gone());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_gives_its_permit_back() {
    let permits = Arc::new(Semaphore::new(1));
    let limit = GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&permits));
    let node = SimNode::new(&SimChain::new(7));
    let service = tx_guard().layer(chain_guard().layer(limit.layer(node.transport())));
    for hanging in ["eth_chainId", "eth_call"] {
        node.set(Disruption::BlackHole.on(hanging));
        let call = tokio::spawn(service.clone().oneshot(read(1)));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!((permits.available_permits(), node.in_flight()), (0, 1));
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        assert_eq!((permits.available_permits(), node.in_flight()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn the_order_of_a_batch_is_kept() {
    let (chain_guard, upstream) = verified().await;
    keeps_the_order(chain_guard.into_box_transport(), upstream).await;
    let (tx_guard, upstream) = guarded_sends();
    keeps_the_order(tx_guard.into_box_transport(), upstream).await;
}

async fn keeps_the_order(service: BoxTransport, mut upstream: MockUpstream) {
    let questions = [3, 1, 2].map(|id| request(id, "eth_call", ()));
    let call = tokio::spawn(service.oneshot(batch(questions)));
    let packet = upstream.expect(&[(3, "eth_call"), (1, "eth_call"), (2, "eth_call")]).await;
    packet.answer_batch([3, 1, 2].map(|id| answer(id, "0x")));
    assert_ids(&call.await.unwrap().unwrap(), &[3, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn errors_pass_through_unchanged() {
    let (chain_guard, upstream) = verified().await;
    passes_errors_through(chain_guard.into_box_transport(), upstream).await;
    let (tx_guard, upstream) = guarded_sends();
    passes_errors_through(tx_guard.into_box_transport(), upstream).await;
}

async fn passes_errors_through(service: BoxTransport, mut upstream: MockUpstream) {
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
    serve_chain_id(&mut upstream, CHAIN).await;
    // The permit of the question goes to whoever waits longest for one.
    for _ in 0..2 {
        let call = upstream.next().await.unwrap();
        let id = call.packet().as_single().unwrap().id().as_number().unwrap();
        call.answer(answer(id, "0x"));
    }
    for call in calls {
        assert!(call.await.unwrap().unwrap().is_success());
    }
}

#[tokio::test(start_paused = true)]
async fn it_works_over_a_concurrency_limit_of_one() {
    let limit = ConcurrencyLimitLayer::new(1);
    let (transport, upstream) = mock();
    let limited = tx_guard().layer(chain_guard().layer(limit.layer(transport)));
    works_with_one_permit(limited.into_box_transport(), upstream).await;
    let (transport, upstream) = mock();
    let limited = chain_guard().layer(TransportLayers(limit).layer(transport));
    works_with_one_permit(limited.into_box_transport(), upstream).await;
}
