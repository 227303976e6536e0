//! The error member that stands in for an answer that never came.

use super::{Fault, Limiter, Unsupported};
use crate::EndpointId;
use alloy_json_rpc::ErrorPayload;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::{borrow::Cow, time::Duration};

const CODE: i64 = -32603;

/// The end of a batch member whose last attempt had no answer, while other members have theirs.
///
/// [`classify`](crate::classify) maps the member made of it back to the very same fault.
#[derive(Clone, Copy, Debug)]
pub struct StandIn<'a> {
    /// How the last attempt ended.
    pub fault: Fault,
    /// Who was asked last.
    pub endpoint: Option<&'a EndpointId>,
    /// The HTTP status, if there was one.
    pub status: Option<u16>,
    /// How often an endpoint was asked.
    pub attempts: u32,
}

impl StandIn<'_> {
    /// The error member: code -32603, "endpoint `label`: `fault`", and everything else in `data`.
    pub fn into_payload(self) -> ErrorPayload {
        let message = match self.endpoint {
            Some(endpoint) => format!("endpoint {endpoint}: {}", self.fault),
            None => format!("no endpoint: {}", self.fault),
        };
        // The data has string keys and numbers only, so that it can always be written.
        let data = to_raw_value(&Told::from(self)).ok();
        ErrorPayload { code: CODE, message: message.into(), data }
    }
}

/// The `data` of the member.
#[derive(Deserialize, Serialize)]
struct Told<'a> {
    #[serde(borrow)]
    fault: Cow<'a, str>,
    #[serde(borrow)]
    endpoint: Option<Cow<'a, str>>,
    status: Option<u16>,
    /// Rounded down; the rest is in `retry_after_ns`.
    retry_after_ms: Option<u128>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ns: Option<u32>,
    attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<Detail>,
}

/// What a fault's name does not say.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Detail {
    LocalLimit,
    NotSent,
    Method,
}

impl<'a> From<StandIn<'a>> for Told<'a> {
    fn from(stand_in: StandIn<'a>) -> Self {
        let (retry_after, detail) = match stand_in.fault {
            Fault::RateLimited { retry_after, by: Limiter::Vendor } => (retry_after, None),
            Fault::RateLimited { retry_after, by: Limiter::Local } => {
                (retry_after, Some(Detail::LocalLimit))
            }
            Fault::Connection { maybe_sent: false } => (None, Some(Detail::NotSent)),
            Fault::Unsupported { what: Unsupported::Method } => (None, Some(Detail::Method)),
            _ => (None, None),
        };
        let rest = retry_after.map_or(0, |time| time.subsec_nanos() % 1_000_000);
        Self {
            fault: stand_in.fault.name().into(),
            endpoint: stand_in.endpoint.map(|endpoint| endpoint.as_str().into()),
            status: stand_in.status,
            retry_after_ms: retry_after.map(|time| time.as_millis()),
            retry_after_ns: (rest != 0).then_some(rest),
            attempts: stand_in.attempts,
            detail,
        }
    }
}

impl Told<'_> {
    fn fault(&self) -> Option<Fault> {
        let fault = Fault::from_name(&self.fault, self.retry_after_ms.map(|ms| self.after(ms)))?;
        Some(match (fault, self.detail) {
            (Fault::RateLimited { retry_after, .. }, Some(Detail::LocalLimit)) => {
                Fault::RateLimited { retry_after, by: Limiter::Local }
            }
            (Fault::Connection { .. }, Some(Detail::NotSent)) => {
                Fault::Connection { maybe_sent: false }
            }
            (Fault::Unsupported { .. }, Some(Detail::Method)) => {
                Fault::Unsupported { what: Unsupported::Method }
            }
            (fault, _) => fault,
        })
    }

    fn after(&self, millis: u128) -> Duration {
        let seconds = u64::try_from(millis / 1000).unwrap_or(u64::MAX);
        let nanos = u32::try_from(millis % 1000).unwrap_or_default() * 1_000_000;
        let rest = self.retry_after_ns.unwrap_or_default().min(999_999);
        Duration::new(seconds, nanos + rest)
    }
}

/// The fault that an error member stands for, if we made it.
pub(super) fn recognize(payload: &ErrorPayload) -> Option<Fault> {
    let data = payload.data.as_deref().map(RawValue::get)?;
    if payload.code != CODE || !data.starts_with(r#"{"fault":"#) {
        return None;
    }
    serde_json::from_str::<Told<'_>>(data).ok()?.fault()
}

impl Fault {
    /// The fault of this [`name`](Self::name), with the hint if it has one.
    ///
    /// Of what the name does not say, the careful half is assumed: the limit is the vendor's, the
    /// request may have been sent, and only this form of it is unsupported.
    pub fn from_name(name: &str, retry_after: Option<Duration>) -> Option<Self> {
        Some(match name {
            "InvalidRequest" => Self::InvalidRequest,
            "Reverted" => Self::Reverted,
            "TxRejected" => Self::TxRejected,
            "NonceTooLow" => Self::NonceTooLow,
            "AlreadyKnown" => Self::AlreadyKnown,
            "RateLimited" => Self::RateLimited { retry_after, by: Limiter::Vendor },
            "QuotaExhausted" => Self::QuotaExhausted,
            "Unauthorized" => Self::Unauthorized,
            "Unsupported" => Self::Unsupported { what: Unsupported::Request },
            "MissingData" => Self::MissingData,
            "RangeTooLarge" => Self::RangeTooLarge,
            "WrongChain" => Self::WrongChain,
            "Timeout" => Self::Timeout,
            "Connection" => Self::Connection { maybe_sent: true },
            "ServerError" => Self::ServerError,
            "Malformed" => Self::Malformed,
            "Unknown" => Self::Unknown,
            _ => return None,
        })
    }
}
