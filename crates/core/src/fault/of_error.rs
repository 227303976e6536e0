//! The fault of a whole packet: of alloy's [`TransportError`].

use super::{
    Classify, Evidence, Fault, HttpFacts, Unsupported,
    judge::judge,
    said::{self, Said},
    stand_in, wire,
};
use alloy_json_rpc::ErrorPayload;
use alloy_transport::{HttpError, TransportError, TransportErrorKind};
use serde_json::value::RawValue;
use std::time::Duration;

impl Fault {
    /// The fault of a failed packet; the method is that of its (first) request.
    pub fn of_error(method: &str, error: &TransportError) -> Self {
        Self::of_error_with(method, error, None)
    }

    /// The fault of a failed packet, judged by a classifier of one's own first.
    pub fn of_error_with(
        method: &str,
        error: &TransportError,
        custom: Option<&dyn Classify>,
    ) -> Self {
        match error {
            TransportError::ErrorResp(payload) => {
                Self::of_member(method, payload, HttpFacts::default(), custom)
            }
            TransportError::Transport(kind) => of_kind(method, kind, custom),
            TransportError::DeserError { text, .. } => of_unread(method, text, custom),
            // alloy says so when a value was due: a node that lags has none yet.
            TransportError::NullResp => Self::MissingData,
            TransportError::UnsupportedFeature(_) => {
                Self::Unsupported { what: Unsupported::Method }
            }
            TransportError::LocalUsageError(error) => {
                crate::error::fault_of(&**error).unwrap_or(Self::InvalidRequest)
            }
            TransportError::SerError(_) => Self::InvalidRequest,
        }
    }

    /// The fault of an error member.
    pub(crate) fn of_member(
        method: &str,
        payload: &ErrorPayload,
        http: HttpFacts,
        custom: Option<&dyn Classify>,
    ) -> Self {
        let evidence = Evidence {
            method,
            status: http.status,
            retry_after: http.retry_after,
            code: Some(payload.code),
            message: &payload.message,
            data: payload.data.as_deref().map(RawValue::get),
        };
        custom
            .and_then(|custom| custom.classify(&evidence))
            .or_else(|| stand_in::recognize(payload))
            .unwrap_or_else(|| judge(&evidence, None))
    }
}

pub(super) fn of_kind(
    method: &str,
    kind: &TransportErrorKind,
    custom: Option<&dyn Classify>,
) -> Fault {
    match kind {
        TransportErrorKind::HttpError(error) => of_http(method, error, None, custom),
        TransportErrorKind::HttpErrorWithRetryAfter { error, retry_after } => {
            of_http(method, error, Some(*retry_after), custom)
        }
        TransportErrorKind::MissingBatchResponse(_) => Fault::Malformed,
        TransportErrorKind::BackendGone => Fault::Connection { maybe_sent: true },
        TransportErrorKind::PubsubUnavailable => Fault::Unsupported { what: Unsupported::Method },
        // "Not retryable" is said of this transport. Of another endpoint it says nothing, so an
        // error that tells no more stays unknown: never asked again here, but elsewhere.
        TransportErrorKind::Custom(error) | TransportErrorKind::NonRetryable(error) => {
            wire::of_chain(method, &**error, custom)
        }
        _ => Fault::Unknown,
    }
}

/// A status that is not a success, with a body that alloy did not take for an answer.
pub(super) fn of_http(
    method: &str,
    error: &HttpError,
    retry_after: Option<Duration>,
    custom: Option<&dyn Classify>,
) -> Fault {
    let said = Said::parse(&error.body);
    let http =
        Evidence { status: Some(error.status), retry_after, ..Evidence::new(method, &error.body) };
    judge(&heard(http, said.as_ref()), custom)
}

/// A success whose body is not an answer.
fn of_unread(method: &str, body: &str, custom: Option<&dyn Classify>) -> Fault {
    let said = Said::parse(body);
    let evidence = heard(Evidence::new(method, body), said.as_ref());
    // The words of an answer that was cut off are data, and tell nothing.
    if said.is_none() && said::looks_like_json(body) {
        return custom.and_then(|custom| custom.classify(&evidence)).unwrap_or(Fault::Malformed);
    }
    match judge(&evidence, custom) {
        Fault::Unknown if said.is_none() => Fault::Malformed,
        fault => fault,
    }
}

/// The evidence with what the body says, if it says it in JSON.
fn heard<'a>(evidence: Evidence<'a>, said: Option<&'a Said<'a>>) -> Evidence<'a> {
    match said {
        Some(said) => {
            Evidence { code: said.code, message: &said.message, data: Some(said.data), ..evidence }
        }
        None => evidence,
    }
}
