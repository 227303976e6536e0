//! What an endpoint said about a failure, and who may judge it.

use super::Fault;
use std::{sync::Arc, time::Duration};

/// Everything that an endpoint said about a failure.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Evidence<'a> {
    /// The method that was called.
    pub method: &'a str,
    /// The HTTP status, if it is known.
    pub status: Option<u16>,
    /// The `Retry-After` header, if there was one.
    pub retry_after: Option<Duration>,
    /// The JSON-RPC error code.
    pub code: Option<i64>,
    /// The JSON-RPC error message; the whole body if that is not JSON-RPC.
    pub message: &'a str,
    /// The `data` of the JSON-RPC error, as JSON.
    pub data: Option<&'a str>,
}

impl<'a> Evidence<'a> {
    /// These words, about this method, and nothing else.
    pub const fn new(method: &'a str, message: &'a str) -> Self {
        Self { method, status: None, retry_after: None, code: None, message, data: None }
    }
}

/// What HTTP said around an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpFacts {
    /// The status.
    pub status: Option<u16>,
    /// The `Retry-After` header.
    pub retry_after: Option<Duration>,
}

/// Judges failures before [`VendorTable`](super::VendorTable) does.
///
/// A closure is one, so a vendor's text is added in one line:
///
/// ```
/// # use alclad_core::{Classify, Evidence, Fault};
/// fn uses(_: impl Classify) {}
/// uses(|e: &Evidence<'_>| e.message.contains("lunch break").then_some(Fault::ServerError));
/// ```
pub trait Classify: Send + Sync {
    /// The fault, or `None` to leave it to alclad's own table.
    fn classify(&self, evidence: &Evidence<'_>) -> Option<Fault>;
}

impl<F> Classify for F
where
    F: Fn(&Evidence<'_>) -> Option<Fault> + Send + Sync,
{
    fn classify(&self, evidence: &Evidence<'_>) -> Option<Fault> {
        self(evidence)
    }
}

impl<C: Classify + ?Sized> Classify for Arc<C> {
    fn classify(&self, evidence: &Evidence<'_>) -> Option<Fault> {
        (**self).classify(evidence)
    }
}
