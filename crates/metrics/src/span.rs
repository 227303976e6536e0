//! Spans, by the OpenTelemetry conventions for RPC.
//!
//! Params, raw transactions, texts of errors and ids that are texts are in none of them.

use crate::{end::End, ring::Ring, watch::Member};
use alclad_core::AnswerNote;
use alloy_json_rpc::{Id, Response};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};
use tracing::{Level, Span, debug_span, field::Empty};

tokio::task_local! {
    /// How many attempts the call has had that is being polled.
    static ATTEMPTS: Arc<AtomicU32>;
}

/// The spans of one packet.
pub(crate) struct Trace {
    whole: Span,
    members: Vec<Span>,
    attempts: Option<Arc<AtomicU32>>,
}

// === impl Trace ===

impl Trace {
    /// Whether anybody wants spans.
    pub(crate) fn is_wanted() -> bool {
        tracing::span_enabled!(Level::DEBUG)
    }

    pub(crate) fn new(ring: &Ring, members: &[Member], is_batch: bool) -> Self {
        let span = |member: &Member| of(ring, member.method.name, &member.id);
        let attempts = matches!(ring, Ring::Client).then(Arc::default);
        if is_batch {
            let whole = batch(ring, members.len());
            let members = whole.in_scope(|| members.iter().map(span).collect());
            return Self { whole, members, attempts };
        }
        let members: Vec<_> = members.iter().map(span).collect();
        let whole = members.first().cloned().unwrap_or_else(Span::none);
        Self { whole, members, attempts }
    }

    /// Runs a step of the call inside its span.
    pub(crate) fn in_scope<T>(&self, step: impl FnOnce() -> T) -> T {
        match &self.attempts {
            Some(attempts) => {
                ATTEMPTS.sync_scope(Arc::clone(attempts), || self.whole.in_scope(step))
            }
            None => self.whole.in_scope(step),
        }
    }

    /// Writes down how a member ended.
    pub(crate) fn end(&self, index: usize, end: End, answer: Option<&Response>) {
        let span = &self.members[index];
        span.record("outcome", end.name());
        if let Some(code) = answer.and_then(Response::error_code) {
            span.record("rpc.jsonrpc.error_code", code);
        }
    }

    /// Writes down what the layers below told of a call.
    pub(crate) fn note(&self, index: usize, ring: &Ring, note: &AnswerNote) {
        let span = &self.members[index];
        if matches!(ring, Ring::Endpoint(_)) {
            return;
        }
        if let Some(endpoint) = &note.endpoint {
            span.record("endpoint", endpoint.as_str()).record("server.address", endpoint.as_str());
        }
        if note.attempts > 0 {
            span.record("attempts", note.attempts);
        }
        if let Some(cache) = note.cache {
            span.record("cache", cache.name());
        }
    }
}

/// The span of one call, or of one attempt.
fn of(ring: &Ring, method: &'static str, id: &Id) -> Span {
    let span = match ring {
        Ring::Client => debug_span!(
            "rpc.call",
            rpc.system = "jsonrpc",
            rpc.jsonrpc.version = "2.0",
            rpc.method = method,
            rpc.jsonrpc.request_id = Empty,
            rpc.jsonrpc.error_code = Empty,
            server.address = Empty,
            endpoint = Empty,
            outcome = Empty,
            attempts = Empty,
            cache = Empty,
        ),
        Ring::Endpoint(endpoint) => debug_span!(
            "rpc.attempt",
            otel.kind = "client",
            rpc.system = "jsonrpc",
            rpc.jsonrpc.version = "2.0",
            rpc.method = method,
            rpc.jsonrpc.request_id = Empty,
            rpc.jsonrpc.error_code = Empty,
            server.address = endpoint.as_str(),
            endpoint = endpoint.as_str(),
            outcome = Empty,
            attempt = attempt(),
        ),
    };
    if let Id::Number(id) = id {
        span.record("rpc.jsonrpc.request_id", tracing::field::display(id));
    }
    span
}

/// The span of a whole batch, around those of its members.
fn batch(ring: &Ring, members: usize) -> Span {
    match ring {
        Ring::Client => {
            debug_span!("rpc.batch", rpc.system = "jsonrpc", rpc.batch.size = members)
        }
        Ring::Endpoint(endpoint) => debug_span!(
            "rpc.batch",
            rpc.system = "jsonrpc",
            rpc.batch.size = members,
            server.address = endpoint.as_str(),
        ),
    }
}

/// Which attempt of its call begins, from 1; nothing if no layer above counts.
fn attempt() -> Option<u32> {
    ATTEMPTS.try_with(|attempts| attempts.fetch_add(1, Relaxed) + 1).ok()
}
