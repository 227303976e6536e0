use alloy_json_rpc::RequestPacket;
use alloy_transport::{Transport, TransportFut};
use std::{
    future::{poll_fn, ready},
    task::{Context, Poll, Waker},
};

/// An endpoint's ring of layers, erased.
pub(crate) trait Target: Send + Sync {
    /// Sends a packet through a clone of the ring, which is made ready first.
    fn send(&self, packet: RequestPacket) -> TransportFut<'static>;
}

pub(crate) struct Ring<S>(pub(crate) S);

impl<S: Transport + Clone> Target for Ring<S> {
    fn send(&self, packet: RequestPacket) -> TransportFut<'static> {
        let mut service = self.0.clone();
        // A ring is nearly always ready, and then nothing is boxed but its own future. If it is
        // not, it is polled again by the task that waits for it.
        match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => service.call(packet),
            Poll::Ready(Err(error)) => Box::pin(ready(Err(error))),
            Poll::Pending => Box::pin(async move {
                poll_fn(|cx| service.poll_ready(cx)).await?;
                service.call(packet).await
            }),
        }
    }
}
