//! The service below a layer, together with the layer's own state.

use crate::Upstream;
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::TransportError;
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// The service below a layer and the state that the layer's clones share, behind one `Arc`.
///
/// Cloning it costs one reference count, however deep the stack below is: a boxed stack of k
/// layers would otherwise clone k, then k - 1, then k - 2 boxes on the way down. The clone of the
/// service that is polled for readiness is made on demand and belongs to this instance alone.
pub struct Inner<S, T> {
    shared: Arc<Shared<S, T>>,
    polled: Option<S>,
}

struct Shared<S, T> {
    service: S,
    state: T,
}

impl<S, T> Inner<S, T> {
    /// Stands on `service`, with `state` for all clones.
    pub fn new(service: S, state: T) -> Self {
        Self { shared: Arc::new(Shared { service, state }), polled: None }
    }

    /// What all clones share.
    pub fn state(&self) -> &T {
        &self.shared.state
    }
}

impl<S: Upstream, T> Inner<S, T> {
    /// Forwards readiness; to be called from the layer's `poll_ready`.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.polled.get_or_insert_with(|| self.shared.service.clone()).poll_ready(cx)
    }

    /// Moves the polled service out, for one call's future to own.
    pub fn take_ready(&mut self) -> Ready<S, T> {
        Ready { shared: Arc::clone(&self.shared), polled: self.polled.take() }
    }
}

impl<S, T> Clone for Inner<S, T> {
    // Readiness is not cloned: it was given to one instance.
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), polled: None }
    }
}

impl<S, T> fmt::Debug for Inner<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}

/// A service that is ready for one call, and can be made ready for more.
pub struct Ready<S, T> {
    shared: Arc<Shared<S, T>>,
    polled: Option<S>,
}

impl<S, T> Ready<S, T> {
    /// What all clones of the layer's service share.
    pub fn state(&self) -> &T {
        &self.shared.state
    }

    /// Another one, that has not been made ready.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), polled: None }
    }

    /// Gives the readiness back, for a future that has to wait before it calls: the place below
    /// that came with it is free for others. The next call is made ready anew.
    pub fn release(&mut self) {
        self.polled = None;
    }
}

impl<S: Upstream, T> Ready<S, T> {
    /// Sends one packet. The first call uses the service that was polled; every further one makes
    /// a fresh clone ready first. The answer, or the error, is the inner service's.
    pub fn call(&mut self, packet: RequestPacket) -> Attempt<S> {
        match self.polled.take() {
            Some(mut service) => Attempt::Sent { answer: service.call(packet) },
            None => Attempt::Waits { service: self.shared.service.clone(), packet: Some(packet) },
        }
    }
}

pin_project! {
    /// The future of [`Ready::call`].
    #[project = AttemptProjection]
    pub enum Attempt<S: Upstream> {
        #[doc(hidden)]
        Waits { service: S, packet: Option<RequestPacket> },
        #[doc(hidden)]
        Sent { #[pin] answer: S::Future },
        /// It has its answer.
        Answered,
    }
}

impl<S: Upstream> Future for Attempt<S> {
    type Output = Result<ResponsePacket, TransportError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match self.as_mut().project() {
                AttemptProjection::Waits { service, packet } => {
                    ready!(service.poll_ready(cx))?;
                    let packet = packet.take().expect("it is taken once");
                    let answer = service.call(packet);
                    self.set(Self::Sent { answer });
                }
                AttemptProjection::Sent { answer } => {
                    let answer = ready!(answer.poll(cx));
                    // A permit that the inner future holds is free at once.
                    self.set(Self::Answered);
                    return Poll::Ready(answer);
                }
                AttemptProjection::Answered => panic!("polled after its answer"),
            }
        }
    }
}

impl<S: Upstream> fmt::Debug for Attempt<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").finish_non_exhaustive()
    }
}

impl<S, T> fmt::Debug for Ready<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").finish_non_exhaustive()
    }
}
