//! Foreign tower layers as alloy transports.

use crate::{
    Upstream,
    error::{AttemptTimeout, TypedError},
};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};
use std::task::{Context, Poll};
use tower::{BoxError, Layer, Service, timeout::error::Elapsed};

/// Brings foreign tower layers, as one layer, to where alloy wants a transport.
///
/// It boxes the future and turns the error into alloy's: a [`TransportError`] inside the foreign
/// error comes out unchanged, tower's `Elapsed` is our [`AttemptTimeout`], anything else is
/// carried in `Custom`.
///
/// ```
/// # use alclad_core::TransportLayers;
/// # use alloy_transport::{BoxTransport, IntoBoxTransport};
/// # use tower::{Layer, ServiceBuilder};
/// # use std::time::Duration;
/// # fn example(transport: BoxTransport) -> BoxTransport {
/// let layers = ServiceBuilder::new().concurrency_limit(200).timeout(Duration::from_secs(5));
/// TransportLayers(layers).layer(transport).into_box_transport()
/// # }
/// ```
///
/// A service that is not `Sync` cannot be a transport:
///
/// ```compile_fail,E0277
/// # use alclad_core::TransportLayers;
/// # use alloy_transport::{BoxTransport, IntoBoxTransport};
/// # use tower::{Layer, util::BoxCloneService};
/// # fn example(transport: BoxTransport) -> BoxTransport {
/// let layers = tower::layer::layer_fn(BoxCloneService::new); // Send, but not Sync
/// TransportLayers(layers).layer(transport).into_box_transport()
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TransportLayers<L>(pub L);

impl<L, S> Layer<S> for TransportLayers<L>
where
    L: Layer<S>,
{
    type Service = Foreign<L::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        Foreign(self.0.layer(inner))
    }
}

/// A foreign service as an alloy transport; see [`TransportLayers`].
#[derive(Clone, Copy, Debug)]
pub struct Foreign<S>(S);

impl<S> Service<RequestPacket> for Foreign<S>
where
    S: Service<
            RequestPacket,
            Response = ResponsePacket,
            Error: Into<BoxError>,
            Future: Send + 'static,
        >,
{
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.0.poll_ready(cx).map_err(into_transport_error)
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let answer = self.0.call(packet);
        Box::pin(async move { answer.await.map_err(into_transport_error) })
    }
}

fn into_transport_error(error: impl Into<BoxError>) -> TransportError {
    match error.into().downcast::<TransportError>() {
        Ok(error) => *error,
        Err(error) if error.is::<Elapsed>() => AttemptTimeout::new(None).into_transport_error(),
        Err(error) => TransportErrorKind::Custom(error).into(),
    }
}

// What the door lets through is an upstream for our own layers too.
const _: fn() = || {
    fn upstream<S: Upstream>() {}
    let _ = upstream::<Foreign<tower::timeout::Timeout<alloy_transport::BoxTransport>>>;
};
