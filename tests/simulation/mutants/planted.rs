//! How the planted bugs misbehave.

use super::Mutant;
use alclad::{CallOptions, core::Method};
use alloy::{
    rpc::json_rpc::{RequestPacket, Response, ResponsePacket, ResponsePayload},
    transports::{BoxTransport, TransportError, TransportFut},
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

/// What a bug needs to remember.
#[derive(Clone)]
struct Memory {
    answers: Arc<Mutex<HashMap<String, Box<RawValue>>>>,
    permits: Arc<Semaphore>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { answers: Arc::default(), permits: Arc::new(Semaphore::new(PERMITS)) }
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
        Mutant::LeaksTask => {
            let mut watch = Abandoned(true);
            let answer = below.call(packet).await;
            watch.0 = false;
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
        Mutant::TwiceTheLimit | Mutant::EndlessBudget | Mutant::NoGuard => below.call(packet).await,
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

struct Abandoned(bool);

impl Drop for Abandoned {
    fn drop(&mut self) {
        if self.0 && tokio::runtime::Handle::try_current().is_ok() {
            tokio::spawn(pending::<()>());
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
        mut below: BoxTransport,
        packet: RequestPacket,
        method: &str,
        is_kept: impl Fn(&str) -> bool,
    ) -> Answer {
        let Some(request) = packet.as_single().filter(|r| r.method().starts_with(method)) else {
            return below.call(packet).await;
        };
        let params = request.params().map_or("", RawValue::get);
        let key = format!("{} {params}", request.method());
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
}
