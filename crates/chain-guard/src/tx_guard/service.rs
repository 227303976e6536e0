use super::{caps::Caps, send::Send};
use crate::question::{CHAIN_ID, ask};
use alclad_core::{
    ChainBaseline, Inner, Members, Questions, Ready, StandIn, Upstream,
    error::{RefusedTransaction, TypedError},
    names, note,
};
use alloy_json_rpc::{
    ErrorPayload, Id, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest,
};
use alloy_transport::{TransportError, TransportFut};
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

/// The service of [`TxGuardLayer`](crate::TxGuardLayer).
#[derive(Debug)]
pub struct TxGuard<S> {
    inner: Inner<S, Arc<Settings>>,
}

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) baseline: ChainBaseline,
    pub(super) caps: Caps,
}

// === impl TxGuard ===

impl<S> TxGuard<S> {
    pub(super) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner: Inner::new(inner, settings) }
    }
}

impl<S> Clone for TxGuard<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<S: Upstream> Service<RequestPacket> for TxGuard<S> {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let mut inner = self.inner.take_ready();
        let sends = packet.requests().iter().any(|request| Send::of(request.method()).is_some());
        match sends {
            true => Box::pin(send(inner, packet)),
            false => Box::pin(inner.call(packet)),
        }
    }
}

/// `inner` is ready for one call, and makes itself ready for the others.
async fn send<S: Upstream>(
    mut inner: Ready<S, Arc<Settings>>,
    packet: RequestPacket,
) -> Result<ResponsePacket, TransportError> {
    let settings = Arc::clone(inner.state());
    let chain_id = match settings.baseline.chain_id() {
        Some(chain_id) => chain_id,
        None => {
            let (chain_id, _) = note::capture(ask(&mut inner, CHAIN_ID)).await;
            settings.baseline.learn(chain_id?)
        }
    };
    let check = |request: &SerializedRequest| settings.check(request, chain_id);
    let requests = match &packet {
        RequestPacket::Single(request) => {
            check(request).map_err(RefusedTransaction::into_transport_error)?;
            return inner.call(packet).await;
        }
        RequestPacket::Batch(requests) => requests,
    };
    let verdicts: Vec<_> = requests.iter().map(|request| check(request).err()).collect();
    match verdicts.iter().flatten().next() {
        None => inner.call(packet).await,
        Some(first) if verdicts.iter().all(Option::is_some) => {
            Err(first.clone().into_transport_error())
        }
        Some(_) => send_rest(&mut inner, packet, verdicts).await,
    }
}

/// Sends the members that may be sent; each of the others gets an error member of its own.
async fn send_rest<S: Upstream>(
    inner: &mut Ready<S, Arc<Settings>>,
    packet: RequestPacket,
    verdicts: Vec<Option<RefusedTransaction>>,
) -> Result<ResponsePacket, TransportError> {
    let mut members = Members::new(Questions::new(&packet, true)?);
    let passed = |index: &usize| verdicts[*index].is_none();
    let asked: Vec<_> = (0..members.len()).filter(passed).collect();
    let (answer, notes) = note::capture(inner.call(members.packet(&asked))).await;
    members.absorb(&asked, answer, &notes, None);
    for (index, refused) in verdicts.into_iter().enumerate() {
        if let Some(refused) = refused {
            let id = members[index].question().id().clone();
            members[index].answer(stand_in(id, &refused));
        }
    }
    members.finish()
}

/// Core's error member, which the classifier knows, with the reason for its text.
fn stand_in(id: Id, refused: &RefusedTransaction) -> Response {
    let stand_in = StandIn { fault: refused.fault(), endpoint: None, status: None, attempts: 0 };
    let message = refused.to_string().into();
    let payload = ErrorPayload { message, ..stand_in.into_payload() };
    Response { id, payload: ResponsePayload::Failure(payload) }
}

// === impl Settings ===

impl Settings {
    fn check(&self, request: &SerializedRequest, chain_id: u64) -> Result<(), RefusedTransaction> {
        let Some(send) = Send::of(request.method()) else { return Ok(()) };
        let verdict = send.check(request, &self.caps, chain_id);
        verdict.inspect_err(|refused| {
            let reason = refused.name();
            metrics::counter!(names::REFUSED_TRANSACTIONS, names::REASON => reason).increment(1);
            tracing::debug!(method = request.method(), reason, "a transaction was not sent");
        })
    }
}
