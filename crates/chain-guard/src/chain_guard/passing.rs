use super::{
    gate::{Gate, Pass},
    service::settle,
    watch::Watch,
};
use alclad_core::{Attempt, Ready, Upstream};
use alloy_json_rpc::ResponsePacket;
use alloy_transport::{TransportError, TransportFut};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

pin_project! {
    /// A plain packet that has left through an open gate: nearly every call of all. Written by hand,
    /// for an async function would move the answer about.
    pub(super) struct Passing<S: Upstream> {
        // Gone with its end: its place below is free then, for a verification may need it.
        #[pin]
        attempt: Option<Attempt<S>>,
        inner: Option<Ready<S, Arc<Gate>>>,
        pass: Pass,
        waited: bool,
        // An answer that may not be passed up as it is.
        kept: Option<TransportFut<'static>>,
    }
}

// === impl Passing ===

impl<S: Upstream> Passing<S> {
    pub(super) const fn new(inner: Ready<S, Arc<Gate>>, attempt: Attempt<S>, pass: Pass) -> Self {
        Self { attempt: Some(attempt), inner: Some(inner), pass, waited: false, kept: None }
    }
}

impl<S: Upstream> Future for Passing<S> {
    type Output = Result<ResponsePacket, TransportError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut polled = match this.attempt.as_mut().as_pin_mut() {
            Some(attempt) => attempt.poll(cx),
            None => Poll::Pending,
        };
        let gate = this.inner.as_ref().map(Ready::state);
        let may_pass = match &polled {
            Poll::Ready(Ok(_)) => gate.is_some_and(|gate| gate.lets_up(*this.pass, *this.waited)),
            Poll::Ready(Err(_)) => false,
            Poll::Pending => {
                *this.waited = true;
                this.kept.is_none()
            }
        };
        if !may_pass {
            if let Poll::Ready(answer) = polled {
                this.attempt.set(None);
                let pass = *this.pass;
                *this.kept =
                    this.inner.take().map(|inner| Box::pin(keep(inner, answer, pass)) as _);
            }
            polled = this.kept.as_mut().map_or(Poll::Pending, |kept| kept.as_mut().poll(cx));
        }
        polled
    }
}

async fn keep<S: Upstream>(
    mut inner: Ready<S, Arc<Gate>>,
    answer: Result<ResponsePacket, TransportError>,
    pass: Pass,
) -> Result<ResponsePacket, TransportError> {
    settle(&mut inner, answer, Watch::default(), pass).await
}
