//! What an answer's status and body are: a packet or an error.

use crate::{
    ask::Question,
    body::{Body, End},
    secrets::Secrets,
    transport::Settings,
};
use alclad_core::{Fault, Kind, Method};
use alloy_json_rpc::{ErrorPayload, Id, Response, ResponsePacket, ResponsePayload};
use alloy_transport::{TransportError, TransportErrorKind};
use http::StatusCode;
use serde::{Deserialize, de::Error as _};
use serde_json::value::{RawValue, to_raw_value};
use std::{borrow::Cow, slice, time::Duration};

/// The body of a failure is read this far.
const MAX_FAILURE: usize = 1 << 20;

/// What stands in the name of a method whose honest answer may have any size.
const SIZED_BY_THE_CALLER: [&str; 7] =
    ["Filter", "Logs", "Receipts", "call", "simulate", "trace", "txpool_"];

/// The head of an answer, and what it answers.
pub(crate) struct Reply<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) question: &'a Question,
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
}

impl Reply<'_> {
    /// How much of the body is worth reading.
    pub(crate) fn bound(&self) -> usize {
        match self.status.is_success() {
            true => self.settings.max_body,
            false => self.settings.max_body.min(MAX_FAILURE),
        }
    }

    pub(crate) fn read(&self, Body { bytes, end }: Body) -> Result<ResponsePacket, TransportError> {
        match end {
            End::Whole => self.read_whole(&bytes),
            // The status says more than the body's fate.
            _ if !self.status.is_success() => Err(self.http_error(&bytes)),
            End::TooLarge => Err(self.too_large(&bytes)),
            End::Late => Err(self.settings.late(Some(self.settings.timeout))),
            End::Broken(error) => Err(self.settings.half_answer(error)),
        }
    }

    fn read_whole(&self, bytes: &[u8]) -> Result<ResponsePacket, TransportError> {
        let success = self.status.is_success();
        match parse(bytes) {
            Ok(packet) if success || packet.is_error() => Ok(self.redacted(packet)),
            Err(error) if success => Err(self.not_json_rpc(error, bytes)),
            _ => Err(self.http_error(bytes)),
        }
    }

    fn http_error(&self, bytes: &[u8]) -> TransportError {
        TransportErrorKind::http_error_with_retry_after(
            self.status.as_u16(),
            self.secrets().excerpt(bytes),
            self.retry_after,
        )
    }

    fn not_json_rpc(&self, error: serde_json::Error, bytes: &[u8]) -> TransportError {
        let secrets = self.secrets();
        // serde quotes the value that it did not expect.
        let text = error.to_string();
        let error = match secrets.redact(&text) {
            Cow::Borrowed(_) => error,
            Cow::Owned(clean) => serde_json::Error::custom(clean),
        };
        TransportError::deser_err(error, secrets.excerpt(bytes))
    }

    /// An answer beyond the bound is the caller's doing if it can be an honest one, so that one
    /// large question does not count against every endpoint.
    fn too_large(&self, bytes: &[u8]) -> TransportError {
        let json = matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['));
        let fault = match json && self.sized_by_the_caller() {
            true => Fault::RangeTooLarge,
            false => Fault::Malformed,
        };
        let bound = self.settings.max_body;
        let detail = format!(
            "the answer has more than {bound} bytes; ask for less at once, or raise `with_max_body`"
        );
        self.settings.failure(fault, &detail)
    }

    fn sized_by_the_caller(&self) -> bool {
        let Some(meta) = &self.question.single else { return true };
        Method::of(&meta.method).kind == Kind::Opaque
            || SIZED_BY_THE_CALLER.iter().any(|word| meta.method.contains(word))
    }

    fn redacted(&self, mut packet: ResponsePacket) -> ResponsePacket {
        let responses = match &mut packet {
            ResponsePacket::Single(response) => slice::from_mut(response),
            ResponsePacket::Batch(responses) => responses,
        };
        for response in responses {
            if let ResponsePayload::Failure(error) = &mut response.payload {
                redact(error, &self.secrets());
            }
        }
        packet
    }

    fn secrets(&self) -> Cow<'_, Secrets> {
        self.settings.secrets.with_headers(&self.question.headers)
    }
}

fn redact(error: &mut ErrorPayload, secrets: &Secrets) {
    if let Cow::Owned(clean) = secrets.redact(&error.message) {
        error.message = clean.into();
    }
    let Some(data) = &mut error.data else { return };
    if let Cow::Owned(clean) = secrets.redact(data.get()) {
        // A key that was not inside a string leaves no JSON.
        let clean = RawValue::from_string(clean.clone()).or_else(|_| to_raw_value(&clean));
        error.data = clean.ok();
    }
}

fn parse(bytes: &[u8]) -> serde_json::Result<ResponsePacket> {
    serde_json::from_slice(bytes)
        .or_else(|error| Loose::parse(bytes).map(ResponsePacket::Single).ok_or(error))
}

/// An error that is almost JSON-RPC: beside a `result` of `null`, or bare.
#[derive(Deserialize)]
struct Loose {
    id: Option<Id>,
    error: Option<ErrorPayload>,
    code: Option<i64>,
    message: Option<String>,
    data: Option<Box<RawValue>>,
}

impl Loose {
    fn parse(bytes: &[u8]) -> Option<Response> {
        let Self { id, error, code, message, data } = serde_json::from_slice(bytes).ok()?;
        let (id, error) = match error {
            Some(error) => (id.unwrap_or(Id::None), error),
            // An id beside a bare error names the incident.
            None => (Id::None, ErrorPayload { code: code?, message: message?.into(), data }),
        };
        Some(Response { id, payload: ResponsePayload::Failure(error) })
    }
}
