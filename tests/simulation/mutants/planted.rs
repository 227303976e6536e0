//! How the planted bugs misbehave.

use super::Mutant;
use alclad::{
    CallOptions,
    core::{CacheState, Method, note},
};
use alclad_testkit::request_with_id;
use alloy::{
    rpc::json_rpc::{RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest},
    transports::{BoxTransport, TransportError, TransportFut},
};
use futures::{
    FutureExt,
    future::{BoxFuture, WeakShared},
};
use serde_json::value::RawValue;
use std::{
    collections::HashMap,
    future::pending,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Service, util::ServiceExt};

/// So many that none waits for one.
const PERMITS: usize = 1 << 20;

/// An answer for all that wait for it, unless it is an error.
type Flight = WeakShared<BoxFuture<'static, Option<ResponsePacket>>>;

/// What a bug needs to remember.
#[derive(Clone)]
struct Memory {
    answers: Arc<Mutex<HashMap<String, Box<RawValue>>>>,
    flights: Arc<Mutex<HashMap<String, Flight>>>,
    permits: Arc<Semaphore>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            answers: Arc::default(),
            flights: Arc::default(),
            permits: Arc::new(Semaphore::new(PERMITS)),
        }
    }
}

#[derive(Clone)]
pub(super) struct Planted {
    mutant: Mutant,
    below: BoxTransport,
    memory: Memory,
}

// === impl Planted ===

impl Planted {
    pub(super) fn new(mutant: Mutant, below: BoxTransport) -> Self {
        Self { mutant, below, memory: Memory::default() }
    }

    /// Its permits, and how many there are.
    pub(super) fn permits(&self) -> (Arc<Semaphore>, usize) {
        (Arc::clone(&self.memory.permits), PERMITS)
    }
}

type Answer = Result<ResponsePacket, TransportError>;

impl Service<RequestPacket> for Planted {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.below.poll_ready(cx)
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let fresh = self.below.clone();
        let ready = mem::replace(&mut self.below, fresh);
        let Self { mutant, memory, .. } = self.clone();
        Box::pin(misbehave(mutant, memory, ready, packet))
    }
}

async fn misbehave(
    mutant: Mutant,
    memory: Memory,
    mut below: BoxTransport,
    mut packet: RequestPacket,
) -> Answer {
    let again = below.clone();
    let asked = packet.clone();
    match mutant {
        Mutant::ReplaysSuccess => match below.call(packet).await {
            Ok(answer) if asked.len() > 1 && answer.is_error() => again.oneshot(asked).await,
            answer => answer,
        },
        Mutant::KeepsNulls => memory.keep(below, packet, "", |result| result == "null").await,
        Mutant::NoEviction => memory.keep(below, packet, "eth_getBlockByNumber", |_| true).await,
        Mutant::OlderHead => memory.keep(below, packet, "eth_blockNumber", |_| true).await,
        Mutant::ErrorWins => error_wins(below, packet).await,
        Mutant::LeaksPermit => {
            let permit = memory.permits.try_acquire_owned().ok();
            let mut leak = Leak(permit);
            let answer = below.call(packet).await;
            drop(leak.0.take());
            answer
        }
        Mutant::LeaksTask | Mutant::LeaksBytes => {
            let mut watch = Abandoned(Some(mutant));
            let answer = below.call(packet).await;
            watch.0 = None;
            answer
        }
        Mutant::SendsTwice => {
            if asked.method_names().any(|method| Method::of(method).is_send()) {
                tokio::spawn(again.oneshot(asked));
            }
            below.call(packet).await
        }
        Mutant::SwapsIds => below.call(packet).await.map(swap_ids),
        Mutant::NeverEnds => match below.call(packet).await {
            Ok(answer) if asked.len() > 1 && answer.is_error() => pending().await,
            answer => answer,
        },
        Mutant::ForgetsDeadline => {
            for request in packet.requests_mut() {
                request.meta_mut().extensions_mut().remove::<CallOptions>();
            }
            below.call(packet).await
        }
        Mutant::Hammers => {
            let mut answer = below.call(packet).await;
            for _ in 0..3 {
                if answer.is_err() {
                    answer = again.clone().oneshot(asked.clone()).await;
                }
            }
            answer
        }
        Mutant::CallsItRejected => {
            let is_send = asked.method_names().any(|method| method == "eth_sendRawTransaction");
            let answer = below.call(packet).await;
            match is_send && asked.as_single().is_some() && answer.is_ok() {
                true => Ok(rejected(answer?)),
                false => answer,
            }
        }
        Mutant::LosesMember => below.call(packet).await.map(|answer| match answer {
            ResponsePacket::Batch(mut answers) if answers.len() > 1 => {
                answers.pop();
                ResponsePacket::Batch(answers)
            }
            answer => answer,
        }),
        Mutant::NoFailover => {
            for request in packet.requests_mut() {
                let extensions = request.meta_mut().extensions_mut();
                let options = extensions.remove::<CallOptions>().unwrap_or_default();
                extensions.insert(options.without_retry());
            }
            below.call(packet).await
        }
        Mutant::ServesOrphans => {
            let (method, is_at_number) = ("eth_getB", |text: &str| !text.contains("latest"));
            memory.keep_if(below, packet, method, is_at_number, |_| true).await
        }
        Mutant::OldLatest => {
            let (method, is_latest) = ("eth_getBalance", |text: &str| text.contains("latest"));
            memory.keep_if(below, packet, method, is_latest, |_| true).await
        }
        Mutant::JoinsWithItsId => memory.join(below, packet).await,
        Mutant::LosesTurn => {
            let mut turn = Lost(Some(below.call(packet)));
            let answer = turn.0.as_mut().expect("it is there").await;
            turn.0 = None;
            answer
        }
        Mutant::NotesHit => {
            let answer = below.call(packet).await;
            note::record(|note| note.cache = Some(CacheState::Hit));
            answer
        }
        Mutant::StrangeFilter => below.call(with_strange_filter(packet)).await,
        Mutant::TwiceTheLimit
        | Mutant::EndlessBudget
        | Mutant::NoGuard
        | Mutant::CountsTwice
        | Mutant::KeyWithoutChain => below.call(packet).await,
    }
}

/// The first of two to end.
async fn error_wins(mut below: BoxTransport, mut packet: RequestPacket) -> Answer {
    let again = below.clone();
    let mut hedge = packet.clone();
    let is_read =
        packet.method_names().all(|method| Method::of(method).hedged) && packet.len() == 1;
    if !is_read {
        return below.call(packet).await;
    }
    for request in hedge.requests_mut().iter_mut().chain(packet.requests_mut()) {
        let extensions = request.meta_mut().extensions_mut();
        let options = extensions.remove::<CallOptions>().unwrap_or_default();
        extensions.insert(options.without_retry());
    }
    let late = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        again.oneshot(hedge).await
    };
    tokio::pin!(late);
    let first = below.call(packet);
    futures::future::select(first, late).await.factor_first().0
}

fn swap_ids(answer: ResponsePacket) -> ResponsePacket {
    match answer {
        ResponsePacket::Batch(mut answers) if answers.len() > 1 => {
            let (one, others) = answers.split_at_mut(1);
            mem::swap(&mut one[0].payload, &mut others[0].payload);
            ResponsePacket::Batch(answers)
        }
        answer => answer,
    }
}

fn rejected(answer: ResponsePacket) -> ResponsePacket {
    let reject = |Response { id, .. }| {
        let error = alclad_testkit::error(0, -32000, "insufficient funds for gas * price + value");
        Response { id, payload: error.payload }
    };
    match answer {
        ResponsePacket::Single(answer) => ResponsePacket::Single(reject(answer)),
        ResponsePacket::Batch(answers) => {
            ResponsePacket::Batch(answers.into_iter().map(reject).collect())
        }
    }
}

struct Leak(Option<OwnedSemaphorePermit>);

impl Drop for Leak {
    fn drop(&mut self) {
        if let Some(permit) = self.0.take() {
            permit.forget();
        }
    }
}

/// A call that is forgotten with all that it holds, if it is dropped.
struct Lost(Option<TransportFut<'static>>);

impl Drop for Lost {
    fn drop(&mut self) {
        mem::forget(self.0.take());
    }
}

fn with_strange_filter(packet: RequestPacket) -> RequestPacket {
    match packet {
        RequestPacket::Single(request) if request.method() == "eth_getFilterChanges" => {
            let mut strange =
                request_with_id(request.id().clone(), "eth_getFilterChanges", ["0x77"]);
            *strange.meta_mut().extensions_mut() = request.meta().extensions().clone();
            RequestPacket::Single(strange)
        }
        packet => packet,
    }
}

struct Abandoned(Option<Mutant>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        match self.0 {
            Some(Mutant::LeaksBytes) => mem::forget(Box::new([0_u8; 24])),
            Some(_) if tokio::runtime::Handle::try_current().is_ok() => {
                tokio::spawn(pending::<()>());
            }
            _ => {}
        }
    }
}

impl Memory {
    fn answers(&self) -> MutexGuard<'_, HashMap<String, Box<RawValue>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A cache without any sense, for single calls of this method.
    async fn keep(
        &self,
        below: BoxTransport,
        packet: RequestPacket,
        method: &str,
        is_kept: impl Fn(&str) -> bool,
    ) -> Answer {
        self.keep_if(below, packet, method, |_| true, is_kept).await
    }

    /// The same, if it likes the params.
    async fn keep_if(
        &self,
        mut below: BoxTransport,
        packet: RequestPacket,
        method: &str,
        is_meant: impl Fn(&str) -> bool,
        is_kept: impl Fn(&str) -> bool,
    ) -> Answer {
        let is_asked = |request: &&SerializedRequest| {
            request.method().starts_with(method) && is_meant(&key_of(request))
        };
        let Some(request) = packet.as_single().filter(is_asked) else {
            return below.call(packet).await;
        };
        let key = key_of(request);
        let id = request.id().clone();
        if let Some(kept) = self.answers().get(&key).cloned() {
            let payload = ResponsePayload::Success(kept);
            return Ok(ResponsePacket::Single(Response { id, payload }));
        }
        let answer = below.call(packet).await;
        if let Ok(ResponsePacket::Single(answer)) = &answer
            && let Some(result) = answer.payload.as_success()
            && is_kept(result.get())
        {
            self.answers().insert(key, result.clone());
        }
        answer
    }

    /// Single flight, of which one thing was forgotten: everybody has an id of his own.
    async fn join(&self, mut below: BoxTransport, packet: RequestPacket) -> Answer {
        let Some(key) = packet.as_single().map(key_of) else { return below.call(packet).await };
        let flight = self.flights().get(&key).and_then(WeakShared::upgrade);
        let (again, asked) = (below.clone(), packet.clone());
        let flight =
            flight.unwrap_or_else(|| async move { below.call(packet).await.ok() }.boxed().shared());
        if let Some(flight) = flight.downgrade() {
            self.flights().insert(key, flight);
        }
        match flight.await {
            Some(answer) => Ok(answer),
            None => again.oneshot(asked).await,
        }
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<String, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of(request: &SerializedRequest) -> String {
    format!("{} {}", request.method(), request.params().map_or("", RawValue::get))
}
