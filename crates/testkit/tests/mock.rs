//! The transport whose answers are written by hand.

use alclad_testkit::{
    ErrorObject, REVERT_DATA, StrictTransport, answer, assert_ids, batch, error, error_object,
    mock, request, single,
};
use alloy::{
    rpc::client::RpcClient,
    transports::{BoxTransport, IntoBoxTransport, TransportErrorKind},
};
use tower::{Service, ServiceExt};

#[tokio::test]
async fn it_boxes_into_alloys_transport_and_serves_a_client() {
    fn is_sync<T: Send + Sync + Clone>(_: &T) {}
    let (transport, mut upstream) = mock();
    is_sync(&transport);
    let boxed: BoxTransport = transport.into_box_transport();
    let client = RpcClient::new(boxed, true);
    let call = tokio::spawn(async move { client.request_noparams::<String>("eth_chainId").await });
    upstream.expect(&[(0, "eth_chainId")]).await.answer(answer(0, "0x1"));
    assert_eq!(call.await.unwrap().unwrap(), "0x1");
}

#[tokio::test]
#[should_panic(expected = "not ready")]
async fn a_call_that_was_not_readied_panics() {
    let (mut transport, _upstream) = mock();
    drop(transport.call(single(request(1, "eth_chainId", ()))));
}

#[tokio::test]
#[should_panic(expected = "not ready")]
async fn a_clone_of_a_ready_transport_is_not_ready() {
    let (mut transport, _upstream) = mock();
    transport.ready().await.unwrap();
    let mut clone: StrictTransport = transport.clone();
    drop(clone.call(single(request(1, "eth_chainId", ()))));
}

#[tokio::test]
async fn errors_come_out_as_they_went_in() {
    let (transport, mut upstream) = mock();
    let call = transport.clone().oneshot(single(request(1, "eth_chainId", ())));
    let call = tokio::spawn(call);
    let waiting = upstream.next().await.unwrap();
    waiting.fail(TransportErrorKind::http_error(503, "busy".to_owned()));
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.as_transport_err().unwrap().as_http_error().unwrap().status, 503);

    upstream.fail_ready(TransportErrorKind::backend_gone());
    let error = transport.oneshot(single(request(2, "eth_chainId", ()))).await.unwrap_err();
    assert!(error.as_transport_err().unwrap().is_backend_gone());
}

#[tokio::test]
async fn a_batch_is_answered_member_by_member() {
    let (transport, mut upstream) = mock();
    let packet =
        batch([request(1, "eth_call", ()), request(2, "eth_call", ()), request(3, "eth_call", ())]);
    assert!(upstream.is_idle());
    let call = tokio::spawn(transport.oneshot(packet));
    tokio::task::yield_now().await;
    assert!(!upstream.is_idle());
    let waiting = upstream.expect(&[(1, "eth_call"), (2, "eth_call"), (3, "eth_call")]).await;
    assert!(upstream.is_idle());
    let reverted = error_object(2, ErrorObject::reverted(REVERT_DATA));
    waiting.answer_batch([answer(1, "0x"), reverted, error(3, -32000, "header not found")]);
    let response = call.await.unwrap().unwrap();
    assert_ids(&response, &[1, 2, 3]);
    assert_eq!(response.first_error_code(), Some(3));
    assert!(upstream.next().await.is_none());
}
