use crate::{shared::Shared, verdict::Asked};
use alclad_core::{
    Attempt, CallOptions, Inner, Ready, Upstream,
    error::{OverLimit, TypedError},
    names, note,
};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportFut};
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;
use tower::Service;

/// The service of [`RateLimitLayer`](crate::RateLimitLayer).
#[derive(Debug)]
pub struct RateLimit<S> {
    inner: Inner<S, Limit>,
}

pub(crate) struct Limit {
    shared: Arc<Shared>,
    max_wait: Duration,
}

// === impl RateLimit ===

impl<S> RateLimit<S> {
    /// `asked` if a rotation asks for headroom before it sends.
    pub(crate) fn new(inner: S, shared: Arc<Shared>, asked: bool) -> Self {
        let max_wait = shared.settings.max_wait(asked);
        Self { inner: Inner::new(inner, Limit { shared, max_wait }) }
    }
}

impl<S> Clone for RateLimit<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<S: Upstream> Service<RequestPacket> for RateLimit<S> {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let mut inner = self.inner.take_ready();
        let shared = &inner.state().shared;
        let cost = shared.cost(packet.requests());
        // Here, as tower's own limit does it: a future that holds no packet costs less.
        match shared.pass(cost) {
            Some(sent) => {
                let asked = Asked::of(&packet);
                let call = inner.call(packet);
                Box::pin(heed(inner, sent, asked, call))
            }
            None => {
                // Others may be ready meanwhile: what it holds, a permit, is not for waiting.
                inner.release();
                Box::pin(wait_and_send(inner, cost, packet))
            }
        }
    }
}

/// Hands the answer on, and what it tells about the endpoint's limit to the limiter.
#[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
fn heed<S: Upstream>(
    inner: Ready<S, Limit>,
    sent: Instant,
    asked: Asked,
    call: Attempt<S>,
) -> impl Future<Output = Result<ResponsePacket, TransportError>> + Send {
    async move {
        let shared = &inner.state().shared;
        if shared.settings.policy.is_none() {
            let answer = call.await;
            if !answer.as_ref().is_ok_and(|answer| !answer.is_error()) {
                shared.learn(sent, &asked, &answer, note::heard);
            }
            return answer;
        }
        // Boxed, because notes are large.
        let (answer, notes) = Box::pin(note::capture(call)).await;
        shared.learn(sent, &asked, &answer, || notes.clone());
        notes.pass_up();
        answer
    }
}

async fn wait_and_send<S: Upstream>(
    mut inner: Ready<S, Limit>,
    cost: u64,
    mut packet: RequestPacket,
) -> Result<ResponsePacket, TransportError> {
    let sent = wait(inner.state(), cost, &mut packet).await?;
    let asked = Asked::of(&packet);
    let call = inner.call(packet);
    heed(inner, sent, asked, call).await
}

/// Waits for the packet's turn, no longer than the layer and the call's deadline allow.
async fn wait(
    limit: &Limit,
    cost: u64,
    packet: &mut RequestPacket,
) -> Result<Instant, TransportError> {
    CallOptions::adopt(packet);
    let start = Instant::now();
    let longest = start + limit.max_wait.min(FOREVER);
    let latest = CallOptions::deadline_of(packet).map_or(longest, |deadline| deadline.min(longest));
    let turn = limit.shared.wait(cost, latest).await;
    let endpoint = endpoint();
    match &turn {
        Ok(sent) => {
            let waited = (*sent - start).as_secs_f64();
            metrics::histogram!(names::RATE_LIMIT_WAIT, names::ENDPOINT => endpoint).record(waited);
        }
        Err(OverLimit { retry_after, .. }) => {
            let retry_after = retry_after.as_secs_f64();
            tracing::debug!(%endpoint, retry_after, "not sent: our own rate limit has no room");
            metrics::counter!(names::RATE_LIMIT_REFUSED, names::ENDPOINT => endpoint).increment(1);
        }
    }
    turn.map_err(TypedError::into_transport_error)
}

/// Longer than anybody waits; the clock may not reach as far as a `Duration`.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The label of the endpoint that is being asked, or nothing.
pub(crate) fn endpoint() -> String {
    note::endpoint().map_or_else(String::new, |endpoint| endpoint.as_str().to_owned())
}
