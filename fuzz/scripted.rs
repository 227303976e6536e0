//! A transport that answers at once, as a closure says.

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportFut};
use futures::FutureExt;
use std::{
    future::ready,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use tower::Service;

type Answer = Result<ResponsePacket, TransportError>;

/// The transport.
#[derive(Clone)]
pub(crate) struct Scripted(Arc<dyn Fn(RequestPacket) -> Answer + Send + Sync>);

impl Scripted {
    pub(crate) fn new(answer: impl Fn(RequestPacket) -> Answer + Send + Sync + 'static) -> Self {
        Self(Arc::new(answer))
    }
}

impl Service<RequestPacket> for Scripted {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(ready((self.0)(packet)))
    }
}

/// One call through a stack over such a transport.
pub(crate) fn call<S>(service: &mut S, packet: RequestPacket) -> Answer
where
    S: Service<RequestPacket, Response = ResponsePacket, Error = TransportError>,
{
    assert!(service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready());
    service.call(packet).now_or_never().expect("nothing below waits")
}
