//! The one bound for an inner service.

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::TransportError;
use tower::Service;

/// What a layer of alclad can stand on: any cloneable service from request packets to response
/// packets whose error is alloy's.
///
/// Every alloy transport is one, and so is every tower layer over one that keeps the error type.
/// It is implemented for all of them; there is nothing to implement.
pub trait Upstream:
    Service<
        RequestPacket,
        Response = ResponsePacket,
        Error = TransportError,
        Future: Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Upstream for S where
    S: Service<
            RequestPacket,
            Response = ResponsePacket,
            Error = TransportError,
            Future: Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static
{
}
