//! What can go wrong with a node.

use super::rule::Rule;
use crate::{ErrorObject, SimChain};
use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

/// One way in which a node misbehaves.
///
/// On its own it strikes every call. [`with_share`](Self::with_share), [`on`](Self::on),
/// [`after`](Self::after) and [`times`](Self::times) narrow that.
///
/// ```
/// use alclad_testkit::{Disruption, SimChain, SimNode};
/// use std::time::Duration;
///
/// let node = SimNode::new(&SimChain::new(7));
/// node.set(Disruption::SlowBy(Duration::from_millis(500)).with_share(0.05));
/// node.add(Disruption::LoseAnswer.on("eth_sendRawTransaction").times(1));
/// node.clear();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Disruption {
    /// Nobody listens: connections are refused and those that stand are closed. With a share, a
    /// method or a number of times it only drops the connection of the call that it strikes.
    Dead,
    /// Requests are read and never answered.
    BlackHole,
    /// The answer comes this much later; several add up.
    SlowBy(Duration),
    /// The call is executed and the connection is reset in the middle of its answer.
    Reset,
    /// The call is executed and the connection is closed before its answer.
    LoseAnswer,
    /// The call is not executed and an HTTP answer of your own comes back.
    Http(HttpAnswer),
    /// The call is not executed and an HTML page comes back, with status 200.
    Html,
    /// The answer ends in the middle of its JSON, with status 200.
    TruncatedJson,
    /// The answer never ends; it goes on until the client gives up.
    EndlessBody,
    /// At least one member of a batch has no answer; single calls are not touched.
    MissingMembers,
    /// The answers to a batch come in another order than the calls.
    ReorderedMembers,
    /// One member of a batch is answered twice.
    DuplicatedMembers,
    /// The answers bear ids that nobody asked with, also that of a single call.
    ForeignIds,
    /// The call is not executed and this error comes back, with status 200.
    RpcError(ErrorObject),
    /// `eth_getTransactionReceipt` and `eth_getBlockReceipts` answer `null`.
    NullReceipts,
    /// Every method answers `null`.
    NullAnswers,
    /// The answers are those of another chain: see [`SimChain::twin`].
    WrongChain(SimChain),
    /// State and receipts are gone for blocks more than `depth` below the head.
    Pruned {
        /// How many blocks below the head are kept.
        depth: u64,
    },
    /// This many blocks more behind the head. With a share the head jumps back and forth, as
    /// behind a load balancer.
    Lag(u64),
    /// The node sees no block that comes after this is set.
    FrozenHead,
    /// `eth_getLogs` is refused with -32005 for more than so many blocks.
    LogRangeLimit(u64),
    /// `eth_getLogs` is refused with -32005 for more than so many logs.
    LogResultLimit(usize),
}

impl Disruption {
    /// Status 429 without a JSON body.
    pub fn too_many_requests(retry_after: Option<RetryAfter>) -> Self {
        let own = HttpAnswer::new(429).with_body("Too Many Requests");
        Self::Http(HttpAnswer { retry_after, ..own })
    }

    /// An HTTP status with an empty body, such as 500 or 503.
    pub const fn http_status(status: u16) -> Self {
        Self::Http(HttpAnswer::new(status))
    }

    /// An error member in a 200, such as -32005.
    pub fn rpc_error(code: i64, message: impl Into<Cow<'static, str>>) -> Self {
        Self::RpcError(ErrorObject::new(code, message))
    }

    /// Strikes only this share of the calls, between 0 and 1, drawn from the chain's seed.
    #[must_use]
    pub fn with_share(self, share: f64) -> Rule {
        Rule::from(self).with_share(share)
    }

    /// Strikes only calls of this method, or batches that have one.
    #[must_use]
    pub fn on(self, method: impl Into<String>) -> Rule {
        Rule::from(self).on(method)
    }

    /// Lets this many calls pass first.
    #[must_use]
    pub fn after(self, calls: u64) -> Rule {
        Rule::from(self).after(calls)
    }

    /// Strikes so many packets and then never again.
    #[must_use]
    pub fn times(self, packets: u64) -> Rule {
        Rule::from(self).times(packets)
    }
}

/// An HTTP answer in place of the right one; with status 200, a body that is not the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<RetryAfter>,
    pub(crate) body: HttpBody,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HttpBody {
    Text(Cow<'static, str>),
    Error(ErrorObject),
}

impl HttpAnswer {
    /// This status with an empty body.
    pub const fn new(status: u16) -> Self {
        Self { status, retry_after: None, body: HttpBody::Text(Cow::Borrowed("")) }
    }

    /// Adds a `Retry-After` header.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: RetryAfter) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    /// Sets a body that is not JSON-RPC.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Cow<'static, str>>) -> Self {
        self.body = HttpBody::Text(body.into());
        self
    }

    /// Answers every member with this error, in a body that is JSON-RPC.
    #[must_use]
    pub fn with_rpc_error(mut self, error: ErrorObject) -> Self {
        self.body = HttpBody::Error(error);
        self
    }
}

/// The value of a `Retry-After` header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// A number of seconds.
    Seconds(u64),
    /// A date, as HTTP writes it.
    Date(SystemTime),
    /// Any text, also one that means nothing.
    Text(String),
}
