//! The small typed errors that alclad's layers put inside alloy's
//! [`TransportErrorKind`], and how to find them again.
//!
//! ```
//! # use alclad_core::error::{AttemptTimeout, TypedError, cause};
//! # use std::time::Duration;
//! let error = AttemptTimeout::new(Some(Duration::from_secs(5))).into_transport_error();
//! assert!(cause::<AttemptTimeout>(&error).is_some());
//! ```

mod chain;
pub use chain::{ChainMismatch, RefusedTransaction, UnverifiedAnswer};

mod shared;
pub use shared::SharedError;

use crate::{EndpointId, Fault, Limiter, Same, note};
use alloy_json_rpc::{Id, RpcError};
use alloy_transport::{TransportError, TransportErrorKind};
use std::{error::Error, fmt, time::Duration};
use thiserror::Error;

/// The error of type `E` inside a transport error, wherever in its chain of sources it is.
pub fn cause<E: Error + 'static>(error: &TransportError) -> Option<&E> {
    let (TransportErrorKind::Custom(boxed) | TransportErrorKind::NonRetryable(boxed)) =
        error.as_transport_err()?
    else {
        return None;
    };
    chain(&**boxed).find_map(|link| link.downcast_ref())
}

/// The fault that one of alclad's own errors stands for, if there is one in the chain.
pub(crate) fn fault_of(error: &(dyn Error + 'static)) -> Option<Fault> {
    fn of<E: TypedError>(link: &(dyn Error + 'static)) -> Option<Fault> {
        link.downcast_ref::<E>().map(E::fault)
    }
    chain(error).find_map(|link| {
        of::<AttemptTimeout>(link)
            .or_else(|| of::<DeadlineExceeded>(link))
            .or_else(|| of::<EndpointFailure>(link))
            .or_else(|| of::<BadAnswer>(link))
            .or_else(|| of::<DuplicateId>(link))
            .or_else(|| of::<NoEndpoint>(link))
            .or_else(|| of::<AllParked>(link))
            .or_else(|| of::<OverLimit>(link))
            .or_else(|| of::<StaleHead>(link))
            .or_else(|| of::<ChainMismatch>(link))
            .or_else(|| of::<UnverifiedAnswer>(link))
            .or_else(|| of::<RefusedTransaction>(link))
    })
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |link| -> Option<&'a (dyn Error + 'static)> {
        (*link).source()
    })
}

/// One of alclad's own errors: it knows its fault.
pub trait TypedError: Error + Send + Sync + Sized + 'static {
    /// The fault that it stands for.
    fn fault(&self) -> Fault;

    /// Carries it inside alloy's error: as `NonRetryable` if asking anybody again is in vain.
    fn into_transport_error(self) -> TransportError {
        let in_vain = self.fault().same() == Same::No && !self.fault().other();
        RpcError::Transport(match in_vain {
            true => TransportErrorKind::NonRetryable(Box::new(self)),
            false => TransportErrorKind::Custom(Box::new(self)),
        })
    }
}

/// "endpoint alchemy: ", or nothing.
struct At<'a>(&'a Option<EndpointId>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |endpoint| write!(f, "endpoint {endpoint}: "))
    }
}

/// One attempt had no answer in time.
#[derive(Debug, Error)]
#[error("{}no answer {}; give the attempt more time, or another endpoint", At(endpoint), Within(*after))]
#[non_exhaustive]
pub struct AttemptTimeout {
    /// How long the attempt was given, if known.
    pub after: Option<Duration>,
    /// Who did not answer, if known.
    pub endpoint: Option<EndpointId>,
}

struct Within(Option<Duration>);

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(after) => write!(f, "within {after:?}"),
            None => f.write_str("in time"),
        }
    }
}

impl AttemptTimeout {
    /// No answer within `after`, by the endpoint that is being asked in this task.
    pub fn new(after: Option<Duration>) -> Self {
        Self { after, endpoint: note::endpoint() }
    }
}

impl TypedError for AttemptTimeout {
    fn fault(&self) -> Fault {
        Fault::Timeout
    }
}

/// The call's deadline passed before anybody had answered.
#[derive(Debug, Error)]
#[error(
    "no answer before the call's deadline, after {attempts} attempt(s){}; give the call more time",
    Last(last)
)]
#[non_exhaustive]
pub struct DeadlineExceeded {
    /// How often an endpoint was asked.
    pub attempts: u32,
    /// What went wrong last, if an attempt had ended.
    pub last: Option<Fault>,
}

struct Last<'a>(&'a Option<Fault>);

impl fmt::Display for Last<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |fault| write!(f, " (the last ended in {fault})"))
    }
}

impl DeadlineExceeded {
    /// After that many attempts, the last of which ended so.
    pub const fn new(attempts: u32, last: Option<Fault>) -> Self {
        Self { attempts, last }
    }
}

impl TypedError for DeadlineExceeded {
    fn fault(&self) -> Fault {
        Fault::Timeout
    }
}

/// An endpoint failed in a way that a transport can name.
#[derive(Debug, Error)]
#[error("endpoint {endpoint}: {fault}: {detail}")]
#[non_exhaustive]
pub struct EndpointFailure {
    /// Who failed.
    pub endpoint: EndpointId,
    /// How.
    pub fault: Fault,
    /// What was seen and what to do, without URLs and keys.
    pub detail: String,
}

impl EndpointFailure {
    /// The endpoint failed so; `detail` must not hold a URL or a key.
    pub const fn new(endpoint: EndpointId, fault: Fault, detail: String) -> Self {
        Self { endpoint, fault, detail }
    }
}

impl TypedError for EndpointFailure {
    fn fault(&self) -> Fault {
        self.fault
    }
}

/// An answer that does not fit the question.
#[derive(Debug, Error)]
#[error("{}{problem}; the endpoint, or a proxy before it, mixes up answers", At(endpoint))]
#[non_exhaustive]
pub struct BadAnswer {
    /// What does not fit.
    pub problem: Misfit,
    /// Who answered, if known.
    pub endpoint: Option<EndpointId>,
}

/// How an answer does not fit the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Misfit {
    /// A member has no answer.
    #[error("an answer is missing")]
    Missing,
    /// A member has more than one answer.
    #[error("two answers have the same id")]
    Duplicate,
    /// The answer is to another question.
    #[error("the answer has another id than the question")]
    Foreign,
}

impl BadAnswer {
    /// The answer misfits so.
    pub const fn new(problem: Misfit, endpoint: Option<EndpointId>) -> Self {
        Self { problem, endpoint }
    }
}

impl TypedError for BadAnswer {
    fn fault(&self) -> Fault {
        Fault::Malformed
    }
}

/// Two members of a batch have the same id, so their answers could not be told apart.
#[derive(Debug, Error)]
#[error("two members of the batch have the id {id}; give every member its own")]
#[non_exhaustive]
pub struct DuplicateId {
    /// The id.
    pub id: Id,
}

impl DuplicateId {
    /// This id stands twice.
    pub const fn new(id: Id) -> Self {
        Self { id }
    }
}

impl TypedError for DuplicateId {
    fn fault(&self) -> Fault {
        Fault::InvalidRequest
    }
}

/// There is no endpoint for this call.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NoEndpoint {
    /// The rotation is empty.
    #[error("the rotation has no endpoint; add one")]
    Empty,
    /// No endpoint may be asked this: all are switched off, or have another role.
    #[error("no endpoint of the rotation may be asked this; enable one, or give one the role")]
    Unwilling,
    /// The call is pinned to an endpoint that the rotation does not have.
    #[error("the call is pinned to the endpoint {0}, which the rotation does not have")]
    Unknown(EndpointId),
}

impl TypedError for NoEndpoint {
    fn fault(&self) -> Fault {
        Fault::InvalidRequest
    }
}

/// Every endpoint that could be asked has an older head than the one that this client has seen,
/// or claims one that nobody else has.
#[derive(Debug, Error)]
#[error(
    "endpoint {endpoint}: its head is block {head}, and block {seen} is the newest that is certain; ask again after a block"
)]
#[non_exhaustive]
pub struct StaleHead {
    /// Who answered.
    pub endpoint: EndpointId,
    /// The head that it showed.
    pub head: u64,
    /// The newest head that this client has been given, or that most endpoints have.
    pub seen: u64,
}

impl StaleHead {
    /// This endpoint showed this head.
    pub const fn new(endpoint: EndpointId, head: u64, seen: u64) -> Self {
        Self { endpoint, head, seen }
    }
}

impl TypedError for StaleHead {
    fn fault(&self) -> Fault {
        Fault::MissingData
    }
}

/// Every endpoint asked to be left alone for now.
#[derive(Debug, Error)]
#[error(
    "every endpoint is rate limited, the first is free in {retry_after:?}; slow down or add endpoints"
)]
#[non_exhaustive]
pub struct AllParked {
    /// When the first one is free.
    pub retry_after: Duration,
}

impl AllParked {
    /// The first one is free in `retry_after`.
    pub const fn new(retry_after: Duration) -> Self {
        Self { retry_after }
    }
}

impl TypedError for AllParked {
    fn fault(&self) -> Fault {
        Fault::RateLimited { retry_after: Some(self.retry_after), by: Limiter::Local }
    }
}

/// Our own rate limit has no room for a packet, which was not sent.
#[derive(Debug, Error)]
#[error(
    "{}our own rate limit has no room for another {retry_after:?}; ask again then, give the call more time, or raise the limit",
    At(endpoint)
)]
#[non_exhaustive]
pub struct OverLimit {
    /// When the packet would have gone through.
    pub retry_after: Duration,
    /// Whose limit it is, if known.
    pub endpoint: Option<EndpointId>,
}

impl OverLimit {
    /// Room in `retry_after`, at the endpoint that is being asked in this task.
    pub fn new(retry_after: Duration) -> Self {
        Self { retry_after, endpoint: note::endpoint() }
    }
}

impl TypedError for OverLimit {
    fn fault(&self) -> Fault {
        Fault::RateLimited { retry_after: Some(self.retry_after), by: Limiter::Local }
    }
}
