//! What every service of alclad promises to tower and to alloy.

use alclad_rotation::{Endpoint, Rotation};
use alclad_testkit::{MockUpstream, StrictTransport, answer, mock, request, single};
use alloy_transport::{BoxTransport, IntoBoxTransport};
use tower::{Layer, ServiceExt, limit::ConcurrencyLimitLayer};

fn over(transport: StrictTransport) -> Rotation {
    Rotation::builder().endpoint(Endpoint::new("a", transport)).build()
}

async fn answer_one(upstream: &mut MockUpstream, id: u64) {
    upstream.expect(&[(id, "eth_chainId")]).await.answer(answer(id, "0x1"));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_made_ready_before_every_call() {
    let (transport, mut upstream) = mock();
    let rotation = over(transport);
    for id in 0..3 {
        let call = tokio::spawn(rotation.clone().oneshot(single(request(id, "eth_chainId", ()))));
        answer_one(&mut upstream, id).await;
        call.await.expect("no panic").expect("an answer");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_an_endpoint_that_is_not_ready_yet() {
    let (transport, mut upstream) = mock();
    upstream.allow(0);
    let rotation = over(transport);
    let call = tokio::spawn(rotation.oneshot(single(request(1, "eth_chainId", ()))));
    tokio::task::yield_now().await;
    assert!(!call.is_finished());
    upstream.allow(1);
    answer_one(&mut upstream, 1).await;
    call.await.expect("no panic").expect("an answer");
}

#[tokio::test(start_paused = true)]
async fn works_over_towers_concurrency_limit() {
    let (transport, mut upstream) = mock();
    let limited = alclad_core::TransportLayers(ConcurrencyLimitLayer::new(1));
    let rotation =
        Rotation::builder().endpoint(Endpoint::new("a", transport).layer(limited)).build();
    let call = |id| tokio::spawn(rotation.clone().oneshot(single(request(id, "eth_chainId", ()))));

    let first = call(1);
    let in_flight = upstream.expect(&[(1, "eth_chainId")]).await;
    let second = call(2);
    tokio::task::yield_now().await;
    assert!(upstream.is_idle(), "the second waits for the first");

    // A dropped call gives its permit back.
    first.abort();
    answer_one(&mut upstream, 2).await;
    second.await.expect("no panic").expect("an answer");
    drop(in_flight);
    assert_eq!(rotation.snapshot()[0].in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn is_a_transport_and_keeps_one_state_over_all_clones() {
    let (transport, mut upstream) = mock();
    let rotation = over(transport);
    let boxed: BoxTransport = rotation.clone().into_box_transport();
    let call = tokio::spawn(boxed.oneshot(single(request(1, "eth_chainId", ()))));
    answer_one(&mut upstream, 1).await;
    call.await.expect("no panic").expect("an answer");
    assert_eq!(rotation.snapshot()[0].requests, 1);
    let _ = tower::layer::util::Identity::new().layer(rotation);
}
