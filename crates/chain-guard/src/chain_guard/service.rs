use super::{
    gate::{Gate, Pass},
    local,
    passing::Passing,
    record::{Failed, refuse},
    verification::admit,
    watch::{Watch, is_watched},
};
use alclad_core::{
    Attempt, Fault, Inner, Ready, Sighting, Upstream,
    error::{ChainMismatch, TypedError, UnverifiedAnswer},
};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportFut};
use smallvec::SmallVec;
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

/// The service of [`ChainGuardLayer`](crate::ChainGuardLayer).
#[derive(Debug)]
pub struct ChainGuard<S> {
    inner: Inner<S, Arc<Gate>>,
}

// === impl ChainGuard ===

impl<S> ChainGuard<S> {
    pub(super) fn new(inner: S, gate: Gate) -> Self {
        Self { inner: Inner::new(inner, Arc::new(gate)) }
    }
}

impl<S> Clone for ChainGuard<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<S: Upstream> Service<RequestPacket> for ChainGuard<S> {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let mut inner = self.inner.take_ready();
        match inner.state().pass() {
            Some(pass) if is_plain(&packet) => {
                let attempt = inner.call(packet);
                Box::pin(Passing::new(inner, attempt, pass))
            }
            pass => Box::pin(ask(inner, packet, pass)),
        }
    }
}

/// Whether nothing about it, nor about its answer, is a guard's business. What is, is rare.
fn is_plain(packet: &RequestPacket) -> bool {
    let is_business = |method: &str| is_watched(method) || local::is_about_chain(method);
    !packet.requests().iter().any(|request| is_business(request.method()))
}

/// `inner` is ready for one call, and makes itself ready for the others.
async fn ask<S: Upstream>(
    mut inner: Ready<S, Arc<Gate>>,
    packet: RequestPacket,
    pass: Option<Pass>,
) -> Result<ResponsePacket, TransportError> {
    let pass = match pass {
        Some(pass) => pass,
        None => Box::pin(admit(&mut inner)).await.map_err(Failed::into_error)?,
    };
    match inner.state().settings.answers_itself && local::any_in(&packet) {
        true => Box::pin(local::answer(&mut inner, packet, pass)).await,
        false => exchange(&mut inner, packet, pass).await,
    }
}

/// One call of a packet that may leave, whose answer is passed up only if it is of the right chain.
pub(super) async fn exchange<S: Upstream>(
    inner: &mut Ready<S, Arc<Gate>>,
    packet: RequestPacket,
    pass: Pass,
) -> Result<ResponsePacket, TransportError> {
    let watch = Watch::over(&packet);
    let (answer, waited) = end_of(inner.call(packet)).await;
    let gate = inner.state();
    match answer {
        Ok(answer) if gate.lets_up(pass, waited) && is_ordinary(gate, &watch, &answer) => {
            Ok(answer)
        }
        other => Box::pin(settle(inner, other, watch, pass)).await,
    }
}

/// How an attempt ended, and whether it was waited for. Its place below is free then, for a
/// verification may need it.
async fn end_of<S: Upstream>(
    attempt: Attempt<S>,
) -> (Result<ResponsePacket, TransportError>, bool) {
    let (mut attempt, mut waited) = (pin!(attempt), false);
    let answer = poll_fn(|cx| {
        let polled = attempt.as_mut().poll(cx);
        waited |= polled.is_pending();
        polled
    });
    (answer.await, waited)
}

/// Takes what the answers tell, if it is nothing to wonder about.
fn is_ordinary(gate: &Gate, watch: &Watch, answer: &ResponsePacket) -> bool {
    if gate.other_chain(watch, answer).is_some() {
        return false;
    }
    let sightings: SmallVec<[Sighting; 1]> = watch.sightings(answer).collect();
    gate.heights(|heights| {
        let jumps = sightings.iter().any(|sighting| heights.is_jump(sighting));
        if !jumps {
            sightings.iter().for_each(|sighting| heights.take(sighting));
        }
        !jumps
    })
}

/// Learns from an error; keeps an answer until the endpoint is verified, and passes it up if it may
/// be believed.
pub(super) async fn settle<S: Upstream>(
    inner: &mut Ready<S, Arc<Gate>>,
    answer: Result<ResponsePacket, TransportError>,
    watch: Watch,
    pass: Pass,
) -> Result<ResponsePacket, TransportError> {
    let answer = answer.inspect_err(|error| {
        if matches!(Fault::of_error("", error), Fault::Connection { .. }) {
            inner.state().doubt();
        }
    })?;
    let gate = Arc::clone(inner.state());
    let mut doubted = false;
    loop {
        if !gate.lets_up(pass, true) {
            admit(inner).await.map_err(unverified)?;
        }
        if !gate.holds(pass) {
            return Err(gate.last_mismatch().into_error());
        }
        if let Some((expected, actual)) = gate.other_chain(&watch, &answer) {
            gate.doubt();
            return Err(refuse(ChainMismatch::new(expected, actual)));
        }
        if is_ordinary(&gate, &watch, &answer) {
            return Ok(answer);
        }
        if doubted {
            return Err(UnverifiedAnswer::new(None).into_transport_error());
        }
        gate.doubt_head();
        doubted = true;
    }
}

/// Whatever was answered may have been executed: no error may say that it was not.
fn unverified(failed: Failed) -> TransportError {
    match failed {
        Failed::Mismatch(_) => failed.into_error(),
        Failed::NoAnswer(failure) => {
            let fault = Fault::of_error("eth_chainId", &failure.error.to_error());
            UnverifiedAnswer::new(Some(fault)).into_transport_error()
        }
    }
}
