//! The fault of an error that a transport, or another tower layer, made.

use super::{
    Classify, Evidence, Fault,
    judge::judge,
    of_error::{of_http, of_kind},
    words::Words,
};
use alloy_transport::{HttpError, TransportError, TransportErrorKind};
use std::{error::Error, io, iter::successors};

/// Said while connecting, so that nothing was sent.
const NOT_SENT: &[&str] = &[
    // hyper and reqwest
    "tcp connect error",
    "dns error",
    "client error (connect)",
    "builder error",
    // the system
    "failed to lookup address",
    "name or service not known",
    "nodename nor servname",
    "no such host",
    "connection refused",
    "network is unreachable",
    "no route to host",
    "host is down",
];

/// Said while the request or its answer was on the way.
const BROKEN: &[&str] = &[
    "connection",
    "broken pipe",
    "unexpected eof",
    "unexpected end of file",
    "end of file before message",
    "error sending request",
    "client error (sendrequest)",
    "error reading a body",
    "request or response body error",
    "operation was canceled",
    "channel closed",
    "http2 error",
    "stream closed",
    "socket",
    "tls",
    "handshake",
];

const NOT_AN_ANSWER: &[&str] =
    &["error decoding response body", "invalid utf-8", "expected value at", "eof while parsing"];

const LATE: &[&str] = &["timed out", "timeout", "deadline has elapsed", "deadline exceeded"];

/// The fault of an error and of those that caused it.
pub(super) fn of_chain(
    method: &str,
    error: &(dyn Error + 'static),
    custom: Option<&dyn Classify>,
) -> Fault {
    let known = crate::error::fault_of(error)
        .or_else(|| links(error).find_map(|link| of_alloy(method, link, custom)));
    known.unwrap_or_else(|| of_foreign(method, &links(error).collect::<Vec<_>>(), custom))
}

/// The innermost cause tells most, but that it broke while connecting is said further out.
fn of_foreign(
    method: &str,
    links: &[&(dyn Error + 'static)],
    custom: Option<&dyn Classify>,
) -> Fault {
    let texts: Vec<_> = links.iter().map(|link| text(*link)).collect();
    let words: Vec<_> = texts.iter().map(|text| Words::of(text, None)).collect();
    let whole = texts.join(": ");
    let whole = Evidence::new(method, &whole);
    let not_sent = || words.iter().any(|words| words.have_any(NOT_SENT));
    custom
        .and_then(|custom| custom.classify(&whole))
        .or_else(|| not_sent().then_some(Fault::Connection { maybe_sent: false }))
        .or_else(|| links.iter().rev().find_map(|link| of_type(*link)))
        .or_else(|| Some(judge(&whole, None)).filter(is_refusal))
        .or_else(|| words.iter().rev().find_map(of_words))
        .unwrap_or_else(|| judge(&whole, None))
}

/// A handshake's error speaks of the connection too, but the endpoint was reached and refused.
const fn is_refusal(fault: &Fault) -> bool {
    matches!(fault, Fault::RateLimited { .. } | Fault::QuotaExhausted | Fault::Unauthorized)
}

/// The error and its causes, from the outside in.
fn links<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    // An I/O error passes over the error inside it when asked for its source.
    let cause = |link: &'a (dyn Error + 'static)| match link.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref().map(|inner| inner as &'a (dyn Error + 'static)),
        None => link.source(),
    };
    successors(Some(error), move |link| cause(*link)).take(32)
}

fn of_alloy(
    method: &str,
    link: &(dyn Error + 'static),
    custom: Option<&dyn Classify>,
) -> Option<Fault> {
    if let Some(error) = link.downcast_ref::<TransportError>() {
        return Some(Fault::of_error_with(method, error, custom));
    }
    if let Some(kind) = link.downcast_ref::<TransportErrorKind>() {
        return Some(of_kind(method, kind, custom));
    }
    link.downcast_ref::<HttpError>().map(|error| of_http(method, error, None, custom))
}

fn of_type(link: &(dyn Error + 'static)) -> Option<Fault> {
    if link.is::<tower::timeout::error::Elapsed>() || link.is::<tokio::time::error::Elapsed>() {
        return Some(Fault::Timeout);
    }
    if link.is::<serde_json::Error>() {
        return Some(Fault::Malformed);
    }
    link.downcast_ref::<io::Error>().map(|error| of_io(error.kind()))
}

const fn of_io(kind: io::ErrorKind) -> Fault {
    use io::ErrorKind as Kind;
    match kind {
        Kind::TimedOut => Fault::Timeout,
        Kind::InvalidData => Fault::Malformed,
        // The last two are what an IPC path says that nobody listens on.
        Kind::ConnectionRefused
        | Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::NetworkDown
        | Kind::AddrNotAvailable
        | Kind::NotFound
        | Kind::PermissionDenied => Fault::Connection { maybe_sent: false },
        _ => Fault::Connection { maybe_sent: true },
    }
}

fn of_words(words: &Words) -> Option<Fault> {
    if words.have_any(LATE) {
        Some(Fault::Timeout)
    } else if words.have_any(NOT_AN_ANSWER) {
        Some(Fault::Malformed)
    } else {
        words.have_any(BROKEN).then_some(Fault::Connection { maybe_sent: true })
    }
}

/// The error's own words: of a URL in it nothing may be read.
fn text(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    if let Some(url) = text.find(" for url (") {
        text.truncate(url);
    }
    text
}
