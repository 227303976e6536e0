//! What passes between the layers, written down.

use crate::record::{Place, Recorder};
use alclad::block_cache::BlockCache;
use alloy::{
    rpc::json_rpc::{RequestPacket, ResponsePacket},
    transports::{BoxTransport, TransportError, TransportFut},
};
use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};
use tower::{Layer, Service, ServiceExt, layer::layer_fn};

/// A layer that changes nothing and tells the recorder of every packet and how it ended.
#[derive(Clone)]
pub(crate) struct Tap {
    inner: BoxTransport,
    place: Place,
    recorder: Arc<Recorder>,
}

/// A packet that is under way; one that is dropped has ended too.
struct UnderWay {
    flight: usize,
    recorder: Arc<Recorder>,
    ended: bool,
}

// === impl Tap ===

impl Tap {
    pub(crate) fn at(place: Place, recorder: &Arc<Recorder>, inner: BoxTransport) -> BoxTransport {
        BoxTransport::new(Self { inner, place, recorder: Arc::clone(recorder) })
    }

    /// An endpoint's ring is made ready by the call itself, as a rotation does it: so a packet is
    /// seen when it is sent, and not when a permit is free.
    fn makes_ready(&self) -> bool {
        matches!(self.place, Place::Door(_))
    }
}

impl Service<RequestPacket> for Tap {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        match self.makes_ready() {
            true => Poll::Ready(Ok(())),
            false => self.inner.poll_ready(cx),
        }
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let fresh = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, fresh);
        let recorder = Arc::clone(&self.recorder);
        let flight = recorder.sent(self.place, &packet);
        let mut under_way = UnderWay { flight, recorder, ended: false };
        let answer = match self.makes_ready() {
            true => Box::pin(ready.oneshot(packet)),
            false => ready.call(packet),
        };
        Box::pin(async move {
            let answer = answer.await;
            under_way.ended = true;
            under_way.recorder.ended(under_way.flight, Some(&answer));
            answer
        })
    }
}

/// What has to go for want of room is gone before the next look into the store: moka tidies up
/// when it finds the time, and a run must be the same each time.
#[derive(Clone)]
pub(crate) struct Settling<S> {
    inner: S,
    store: BlockCache,
}

// === impl Settling ===

impl Settling<()> {
    pub(crate) fn layer<S>(store: BlockCache) -> impl Layer<S, Service = Settling<S>> {
        layer_fn(move |inner| Settling { inner, store: store.clone() })
    }
}

impl<S: Service<RequestPacket>> Service<RequestPacket> for Settling<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let _ = self.store.statistics();
        self.inner.call(packet)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.ended {
            self.recorder.ended(self.flight, None);
        }
    }
}
