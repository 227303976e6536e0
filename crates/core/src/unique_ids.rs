//! Ids that are unique over all clients of one pubsub connection.

use alloy_json_rpc::{Id, Request, RequestPacket, ResponsePacket, SerializedRequest};
use alloy_transport::{Transport, TransportError, TransportFut};
use std::{
    future::ready,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::{Context, Poll},
};
use tower::{Layer, Service};

/// The next id. Alloy's frontend keeps its calls in flight in a map by id and overwrites, but it
/// has no identity that a counter could hang on, so one counter serves the process. It starts
/// above what alloy's own clients count to (and above the fixed id of alloy's `eth_unsubscribe`),
/// and stays an exact JSON number.
static NEXT: AtomicU64 = AtomicU64::new(1 << 40);

/// Stands directly on a pubsub transport (WebSocket, IPC) and gives every request an id of its
/// own, so that two clients, a probe or a retry on one connection never get each other's answers.
///
/// The caller gets its own id back. The provider door and `Endpoint` put it there by themselves;
/// only a client that is built over a shared frontend by hand needs it.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct UniqueIdsLayer;

impl UniqueIdsLayer {
    /// The layer has no settings.
    pub const fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for UniqueIdsLayer {
    type Service = UniqueIds<S>;

    fn layer(&self, inner: S) -> UniqueIds<S> {
        UniqueIds::new(inner)
    }
}

/// The service of [`UniqueIdsLayer`].
#[derive(Clone, Debug)]
pub struct UniqueIds<S> {
    inner: S,
    renumbers: bool,
}

// === impl UniqueIds ===

impl<S> UniqueIds<S> {
    /// Stands on a pubsub transport.
    pub const fn new(inner: S) -> Self {
        Self { inner, renumbers: true }
    }

    /// Stands on any transport, and does something only if that `is_pubsub`.
    pub const fn only_if(is_pubsub: bool, inner: S) -> Self {
        Self { inner, renumbers: is_pubsub }
    }
}

impl<S: Transport> Service<RequestPacket> for UniqueIds<S> {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut packet: RequestPacket) -> Self::Future {
        if !self.renumbers {
            return self.inner.call(packet);
        }
        let first = NEXT.fetch_add(packet.len() as u64, Relaxed);
        match renumber(&mut packet, first) {
            Ok(callers) => Box::pin(restore(self.inner.call(packet), first, callers)),
            Err(error) => Box::pin(ready(Err(TransportError::ser_err(error)))),
        }
    }
}

/// Gives the members ids from `first` on, and returns the caller's.
fn renumber(packet: &mut RequestPacket, first: u64) -> serde_json::Result<Vec<Id>> {
    let members = (first..).zip(packet.requests_mut());
    members.map(|(number, request)| replace_id(request, Id::Number(number))).collect()
}

async fn restore(
    answer: TransportFut<'static>,
    first: u64,
    callers: Vec<Id>,
) -> Result<ResponsePacket, TransportError> {
    let mut answer = answer.await?;
    let responses = match &mut answer {
        ResponsePacket::Single(response) => std::slice::from_mut(response),
        ResponsePacket::Batch(responses) => responses.as_mut_slice(),
    };
    for response in responses {
        let number = response.id.as_number().and_then(|number| number.checked_sub(first));
        if let Some(caller) = number.and_then(|index| callers.get(usize::try_from(index).ok()?)) {
            response.id = caller.clone();
        } else if !response.id.is_none() && callers.contains(&response.id) {
            // It was not sent, so it is no answer to the caller who has this id.
            response.id = Id::Number(first);
        }
    }
    Ok(answer)
}

fn replace_id(request: &mut SerializedRequest, id: Id) -> serde_json::Result<Id> {
    let mut meta = request.meta().clone();
    let caller = std::mem::replace(&mut meta.id, id);
    let params = request.params().map(ToOwned::to_owned);
    *request = match params {
        Some(params) => Request { meta, params }.serialize()?,
        None => Request { meta, params: () }.serialize()?,
    };
    Ok(caller)
}
