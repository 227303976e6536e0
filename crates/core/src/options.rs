//! What the caller wants of one call.

use crate::EndpointId;
use alloy_json_rpc::{RequestPacket, SerializedRequest};
use std::{future::Future, time::Duration};
use tokio::time::Instant;

tokio::task_local! {
    static SCOPE: CallOptions;
}

/// What the caller wants of one call: a deadline, no retry, one certain endpoint.
///
/// They reach a call in three ways. For one request, in its extensions:
///
/// ```no_run
/// # use alclad_core::CallOptions;
/// # use std::time::Duration;
/// # fn example(client: alloy_rpc_client::RpcClient) {
/// let options = CallOptions::new().with_timeout(Duration::from_secs(2));
/// let call = client.request_noparams::<String>("eth_chainId").map_meta(|mut meta| {
///     meta.extensions_mut().insert(options);
///     meta
/// });
/// # drop(call);
/// # }
/// ```
///
/// For everything that a future does in its task, fillers, contract calls and batches included,
/// with [`scope`](Self::scope). And for everything that goes through a derived handle, as
/// `Rotation::pinned`. What the extensions leave open is taken from the
/// scope, and what that leaves open from the handle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallOptions {
    /// When the caller no longer wants an answer.
    pub deadline: Option<Instant>,
    /// Ask once, and no other endpoint.
    pub no_retry: bool,
    /// Neither answer from a cache nor keep the answer.
    pub no_cache: bool,
    /// Ask this endpoint and no other.
    pub endpoint: Option<EndpointId>,
    /// Take an error for an answer: no retry, no other endpoint, nothing held against this one.
    pub ignore_errors: bool,
}

impl CallOptions {
    /// No wishes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Give up at this time.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Give up this long from now.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.deadline = Instant::now().checked_add(timeout);
        self
    }

    /// Ask once, and no other endpoint.
    #[must_use]
    pub const fn without_retry(mut self) -> Self {
        self.no_retry = true;
        self
    }

    /// Neither answer from a cache nor keep the answer.
    #[must_use]
    pub const fn without_cache(mut self) -> Self {
        self.no_cache = true;
        self
    }

    /// Ask this endpoint and no other.
    #[must_use]
    pub fn pinned_to(mut self, endpoint: impl Into<EndpointId>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Take an error for an answer: no retry, no other endpoint, nothing held against this one.
    #[must_use]
    pub const fn ignoring_errors(mut self) -> Self {
        self.ignore_errors = true;
        self
    }

    /// Runs a future whose calls all have these options, unless their own extensions say
    /// otherwise. It holds for the future's task, not for tasks that it spawns.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        SCOPE.scope(self, future).await
    }

    /// Runs a future for more than one caller: the [`scope`](Self::scope) of whoever polls it does
    /// not hold for its calls.
    pub async fn unscoped<F: Future>(future: F) -> F::Output {
        SCOPE.scope(Self::default(), future).await
    }

    /// The options of one request, if it has any.
    pub fn of(request: &SerializedRequest) -> Option<&Self> {
        request.meta().extensions().get()
    }

    /// Gives the members what their own options leave open and the surrounding
    /// [`scope`](Self::scope) has. Every layer that heeds options calls it first, so that the
    /// outermost one finds them.
    pub fn adopt(packet: &mut RequestPacket) {
        let _ = SCOPE.try_with(|options| options.fill(packet));
    }

    /// Gives the members what their own options leave open.
    pub fn fill(&self, packet: &mut RequestPacket) {
        if *self == Self::default() {
            return;
        }
        for request in packet.requests_mut() {
            let extensions = request.meta_mut().extensions_mut();
            match extensions.get_mut::<Self>() {
                Some(own) => own.complete(self),
                None => drop(extensions.insert(self.clone())),
            }
        }
    }

    /// These options, with what they leave open taken from others.
    #[must_use]
    pub fn or(mut self, others: &Self) -> Self {
        self.complete(others);
        self
    }

    fn complete(&mut self, others: &Self) {
        self.deadline = self.deadline.or(others.deadline);
        self.no_retry |= others.no_retry;
        self.no_cache |= others.no_cache;
        self.ignore_errors |= others.ignore_errors;
        if self.endpoint.is_none() {
            self.endpoint.clone_from(&others.endpoint);
        }
    }

    /// The earliest deadline of a packet's members.
    pub fn deadline_of(packet: &RequestPacket) -> Option<Instant> {
        packet.requests().iter().filter_map(|request| Self::of(request)?.deadline).min()
    }
}
