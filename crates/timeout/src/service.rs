use crate::limits::Limits;
use alclad_core::{
    Inner, Ready, Upstream,
    error::{AttemptTimeout, TypedError},
    names,
};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportFut};
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::Service;

/// The service of [`TimeoutLayer`](crate::TimeoutLayer).
#[derive(Debug)]
pub struct Timeout<S> {
    inner: Inner<S, Arc<Limits>>,
}

// === impl Timeout ===

impl<S> Timeout<S> {
    pub(crate) fn new(inner: S, limits: Arc<Limits>) -> Self {
        Self { inner: Inner::new(inner, limits) }
    }
}

impl<S> Clone for Timeout<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<S: Upstream> Service<RequestPacket> for Timeout<S> {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let limit = self.inner.state().of(&packet);
        Box::pin(answer_within(limit, self.inner.take_ready(), packet))
    }
}

/// `inner` is ready.
async fn answer_within<S: Upstream>(
    limit: Option<Duration>,
    mut inner: Ready<S, Arc<Limits>>,
    packet: RequestPacket,
) -> Result<ResponsePacket, TransportError> {
    let Some(limit) = limit else { return inner.call(packet).await };
    match tokio::time::timeout(limit, inner.call(packet)).await {
        Ok(answer) => answer,
        Err(_) => {
            let timeout = AttemptTimeout::new(Some(limit));
            let endpoint = timeout.endpoint.as_ref().map_or("", |endpoint| endpoint.as_str());
            metrics::counter!(names::TIMEOUTS, names::ENDPOINT => endpoint.to_owned()).increment(1);
            Err(timeout.into_transport_error())
        }
    }
}
