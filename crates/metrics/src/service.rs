use crate::{layer::Settings, watch::Watch};
use alclad_core::{
    Attempt, Inner, Ready, Upstream,
    note::{self, Capture},
};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportFut};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower::Service;

/// The service of [`MetricsLayer`](crate::MetricsLayer).
#[derive(Debug)]
pub struct Metrics<S> {
    inner: Inner<S, Settings>,
}

// === impl Metrics ===

impl<S> Metrics<S> {
    pub(crate) fn new(inner: S, settings: Settings) -> Self {
        Self { inner: Inner::new(inner, settings) }
    }
}

impl<S> Clone for Metrics<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<S: Upstream> Service<RequestPacket> for Metrics<S> {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let mut inner = self.inner.take_ready();
        match Watch::begin(inner.state(), &packet) {
            None => Box::pin(inner.call(packet)),
            Some(watch) => {
                let answer = watch.in_scope(|| inner.call(packet));
                let call = match watch.is_traced() {
                    true => Call::Heard { answer: note::capture(answer) },
                    false => Call::Plain { answer },
                };
                Box::pin(Watched { call, inner, watch })
            }
        }
    }
}

pin_project! {
    /// A call, and what is counted of it.
    struct Watched<S: Upstream> {
        #[pin]
        call: Call<Attempt<S>>,
        // For the settings alone.
        inner: Ready<S, Settings>,
        watch: Watch,
    }

    impl<S: Upstream> PinnedDrop for Watched<S> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.watch.close(this.inner.state());
        }
    }
}

pin_project! {
    /// A call, of which a trace also shows what was noted of it.
    #[project = CallProjection]
    enum Call<F> {
        Plain { #[pin] answer: F },
        Heard { #[pin] answer: Capture<F> },
    }
}

impl<S: Upstream> Future for Watched<S> {
    type Output = Result<ResponsePacket, TransportError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (watch, settings) = (this.watch, this.inner.state());
        watch.set_begun();
        match this.call.project() {
            CallProjection::Plain { answer } => {
                let answer = ready!(answer.poll(cx));
                watch.end(settings, &answer, None);
                Poll::Ready(answer)
            }
            CallProjection::Heard { answer } => {
                let (answer, notes) = ready!(watch.in_scope(|| answer.poll(cx)));
                watch.end(settings, &answer, Some(&notes));
                notes.pass_up();
                Poll::Ready(answer)
            }
        }
    }
}
