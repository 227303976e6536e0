//! What every layer of the house owes to tower and to the caller.

mod support;

use alclad_core::TransportLayers;
use alclad_retry::RetryLayer;
use alclad_testkit::{
    ErrorObject, MockUpstream, answer, assert_ids, error_object, mock, request, single,
};
use alloy_transport::{BoxTransport, IntoBoxTransport, TransportErrorKind};
use std::{pin::pin, sync::Arc, time::Duration};
use support::{Conversation, exact, http, read, reads};
use tokio::sync::Semaphore;
use tower::{
    Layer, Service, ServiceExt,
    limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer},
};

#[tokio::test(start_paused = true)]
async fn the_readied_instance_is_the_one_that_is_called() {
    let (transport, mut upstream) = mock();
    let mut service = exact().layer(ConcurrencyLimitLayer::new(1).layer(transport));
    // There is no permit for another one.
    let mut call = service.ready().await.unwrap().call(read());
    assert!(futures::poll!(&mut call).is_pending());
    assert!(!upstream.is_idle());
    upstream.expect(&[(1, "eth_call")]).await.answer(answer(1, "0x"));
    assert!(call.await.unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn a_clone_of_a_ready_service_is_not_ready() {
    let (transport, _upstream) = mock();
    let mut service = exact().layer(ConcurrencyLimitLayer::new(1).layer(transport));
    service.ready().await.unwrap();
    let mut clone = service.clone();
    assert!(futures::poll!(pin!(clone.ready())).is_pending());
    drop(service);
    assert!(futures::poll!(pin!(clone.ready())).is_ready());
}

#[tokio::test(start_paused = true)]
async fn every_further_attempt_waits_until_the_service_is_ready() {
    let (transport, mut upstream) = mock();
    upstream.allow(1);
    let call = tokio::spawn(exact().layer(transport).oneshot(read()));
    upstream.expect(&[(1, "eth_call")]).await.fail(http(503));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(upstream.is_idle());
    upstream.allow(1);
    upstream.expect(&[(1, "eth_call")]).await.answer(answer(1, "0x"));
    assert!(call.await.unwrap().unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_cannot_become_ready_says_so() {
    let (transport, mut upstream) = mock();
    let mut service = exact().layer(transport);
    upstream.fail_ready(TransportErrorKind::backend_gone());
    let error = service.ready().await.unwrap_err();
    assert!(error.as_transport_err().unwrap().is_backend_gone());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_gives_everything_back() {
    let permits = Arc::new(Semaphore::new(2));
    let limit = GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&permits));
    let (transport, mut upstream) = mock();
    let service = exact().layer(limit.layer(transport));
    // Never polled, waiting for its answer, waiting for its next attempt, and in it.
    for stage in 0..4 {
        let mut service = service.clone();
        service.ready().await.unwrap();
        assert_eq!(permits.available_permits(), 1);
        let mut call = service.call(read());
        if stage > 0 {
            assert!(futures::poll!(&mut call).is_pending());
            let first = upstream.next().await.unwrap();
            if stage > 1 {
                first.fail(http(503));
                assert!(futures::poll!(&mut call).is_pending());
                assert_eq!(permits.available_permits(), 2);
            }
            if stage > 2 {
                tokio::time::advance(Duration::from_millis(100)).await;
                assert!(futures::poll!(&mut call).is_pending());
                assert_eq!(permits.available_permits(), 1);
                drop(upstream.next().await.unwrap());
            }
        }
        drop(call);
        assert_eq!(permits.available_permits(), 2, "stage {stage}");
    }
    service.clone().ready().await.unwrap();
    assert_eq!(permits.available_permits(), 2, "a ready service that was dropped");
}

#[tokio::test(start_paused = true)]
async fn the_order_of_a_batch_is_kept() {
    let mut talk = Conversation::of(&exact(), reads([3, 1, 2]));
    let packet = talk.hears(0, &[(3, "eth_call"), (1, "eth_call"), (2, "eth_call")]).await;
    packet.answer_batch([answer(1, "0x"), answer(2, "0x"), answer(3, "0x")]);
    assert_ids(&talk.ends(0).await.unwrap(), &[3, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn errors_pass_through_unchanged() {
    let mut talk = Conversation::of(&exact(), read());
    let own = ErrorObject::new(-32099, "something of its own").with_data("and more");
    talk.hears_read(0).await.answer(error_object(1, own));
    let answer = talk.ends(0).await.unwrap();
    let error = answer.as_error().unwrap();
    assert_eq!((error.code, &*error.message), (-32099, "something of its own"));
    assert_eq!(error.data.as_ref().unwrap().get(), "\"and more\"");

    let mut talk = Conversation::of(&exact(), read());
    talk.hears_read(0).await.fail(TransportErrorKind::http_error(403, "no".to_owned()));
    let error = talk.ends(0).await.unwrap_err();
    let error = error.as_transport_err().unwrap().as_http_error().unwrap();
    assert_eq!((error.status, &*error.body), (403, "no"));
}

async fn works_with_one_permit(transport: BoxTransport, mut upstream: MockUpstream) {
    let calls = [transport.clone(), transport].map(|one| tokio::spawn(one.oneshot(read())));
    for _ in 0..2 {
        upstream.expect(&[(1, "eth_call")]).await.fail(http(503));
    }
    for _ in 0..2 {
        upstream.expect(&[(1, "eth_call")]).await.answer(answer(1, "0x"));
    }
    for call in calls {
        assert!(call.await.unwrap().unwrap().is_success());
    }
}

#[tokio::test(start_paused = true)]
async fn it_works_over_a_concurrency_limit_of_one() {
    let limit = ConcurrencyLimitLayer::new(1);
    let (transport, upstream) = mock();
    let limited = exact().layer(limit.layer(transport));
    works_with_one_permit(limited.into_box_transport(), upstream).await;
    let (transport, upstream) = mock();
    let limited = exact().layer(TransportLayers(limit).layer(transport));
    works_with_one_permit(limited.into_box_transport(), upstream).await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_passed_on_once_and_untouched() {
    for method in ["eth_subscribe", "eth_unsubscribe", "debug_subscribe"] {
        for failure in [http(503), http(429)] {
            let mut marked = request(1, method, ("newHeads",));
            marked.set_is_subscription();
            let mut talk = Conversation::of(&RetryLayer::new(), single(marked.clone()));
            let call = talk.hears(0, &[(1, method)]).await;
            let passed = call.packet().as_single().unwrap();
            assert_eq!(passed.serialized().get(), marked.serialized().get());
            assert!(passed.is_subscription());
            call.fail(failure);
            assert!(talk.ends(0).await.is_err());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_goes_well_takes_no_time_and_one_request() {
    let mut talk = Conversation::of(&RetryLayer::new(), read());
    talk.hears_read(0).await.answer(answer(1, "0x"));
    assert!(talk.ends(0).await.unwrap().is_success());
}
