//! Foreign tower layers where alloy wants a transport.

use alclad_core::{
    EndpointId, Fault, TransportLayers,
    error::{AttemptTimeout, cause},
    note,
};
use alclad_testkit::{MockUpstream, StrictTransport, answer, mock, request, single};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{BoxTransport, IntoBoxTransport, TransportError, TransportErrorKind};
use futures::FutureExt;
use std::{io, time::Duration};
use tower::{
    BoxError, Layer, Service, ServiceBuilder, ServiceExt, load_shed::error::Overloaded, service_fn,
};

fn read() -> RequestPacket {
    single(request(1, "eth_call", ()))
}

/// A mock below the layers.
fn below<L>(layers: L) -> (BoxTransport, MockUpstream)
where
    L: Layer<StrictTransport>,
    TransportLayers<L>: Layer<StrictTransport, Service: IntoBoxTransport>,
{
    let (transport, upstream) = mock();
    (TransportLayers(layers).layer(transport).into_box_transport(), upstream)
}

/// A foreign service that fails so.
async fn failing(error: impl Fn() -> BoxError + Clone + Send + Sync + 'static) -> TransportError {
    let foreign = tower::layer::layer_fn(move |_| {
        let error = error.clone();
        service_fn(move |_: RequestPacket| {
            let error = error();
            async { Err::<ResponsePacket, _>(error) }
        })
    });
    let (transport, _upstream) = below(foreign);
    transport.oneshot(read()).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_stack_of_foreign_layers_is_a_transport() {
    let layers = ServiceBuilder::new()
        .concurrency_limit(2)
        .timeout(Duration::from_secs(5))
        .map_request(|packet: RequestPacket| packet);
    let (transport, mut upstream) = below(layers);
    let call = tokio::spawn(transport.oneshot(read()));
    upstream.expect(&[(1, "eth_call")]).await.answer(answer(1, "0x"));
    assert!(call.await.unwrap().unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn an_error_of_ours_comes_out_of_a_foreign_one_as_it_was() {
    let (transport, mut upstream) = below(ServiceBuilder::new().timeout(Duration::from_secs(5)));
    let call = tokio::spawn(transport.oneshot(read()));
    let busy = TransportErrorKind::http_error(503, "busy".to_owned());
    upstream.next().await.unwrap().fail(busy);
    let error = call.await.unwrap().unwrap_err();
    let http = error.as_transport_err().unwrap().as_http_error().unwrap();
    assert_eq!((http.status, &*http.body), (503, "busy"));
}

#[tokio::test(start_paused = true)]
async fn so_does_one_of_readiness() {
    let (mut transport, mut upstream) =
        below(ServiceBuilder::new().timeout(Duration::from_secs(5)));
    upstream.fail_ready(TransportErrorKind::backend_gone());
    let error = transport.ready().await.unwrap_err();
    assert!(error.as_transport_err().unwrap().is_backend_gone());
}

#[tokio::test(start_paused = true)]
async fn towers_timeout_is_ours() {
    let (transport, _upstream) = below(ServiceBuilder::new().timeout(Duration::from_secs(5)));
    let start = tokio::time::Instant::now();
    let call = note::capture_at(EndpointId::new("a"), transport.oneshot(read()));
    let error = call.await.0.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert_eq!(Fault::of_error("eth_call", &error), Fault::Timeout);
    let timeout = cause::<AttemptTimeout>(&error).unwrap();
    assert_eq!(timeout.endpoint, Some(EndpointId::new("a")));
}

#[tokio::test(start_paused = true)]
async fn any_other_error_is_carried_and_can_be_found() {
    let (mut transport, _upstream) = below(ServiceBuilder::new().load_shed().concurrency_limit(1));
    let _in_flight = transport.ready().await.unwrap().call(read());
    let error = transport.clone().oneshot(read()).await.unwrap_err();
    assert!(cause::<Overloaded>(&error).is_some());

    let error = failing(|| io::Error::from(io::ErrorKind::ConnectionRefused).into()).await;
    assert_eq!(cause::<io::Error>(&error).unwrap().kind(), io::ErrorKind::ConnectionRefused);
    let refused = Fault::Connection { maybe_sent: false };
    assert_eq!(Fault::of_error("eth_call", &error), refused);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_says_nothing_is_unknown() {
    let error = failing(|| "out of cheese".into()).await;
    assert_eq!(error.to_string(), "out of cheese");
    assert_eq!(Fault::of_error("eth_call", &error), Fault::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_gives_its_permit_back() {
    let (mut transport, _upstream) = below(ServiceBuilder::new().concurrency_limit(1));
    let call = transport.ready().await.unwrap().call(read());
    let mut other = transport.clone();
    assert!(other.ready().now_or_never().is_none());
    drop(call);
    other.ready().await.unwrap();
}
