//! What is said when no answer came.

use crate::transport::Settings;
use alclad_core::{
    Fault,
    error::{AttemptTimeout, EndpointFailure, TypedError},
};
use alloy_transport::TransportError;
use std::{
    error::Error,
    io::{self, ErrorKind},
    time::Duration,
};

impl Settings {
    /// The endpoint failed so; keys in the detail are redacted.
    pub(crate) fn failure(&self, fault: Fault, detail: &str) -> TransportError {
        let detail = self.secrets.redact(detail).into_owned();
        EndpointFailure::new(self.endpoint.clone(), fault, detail).into_transport_error()
    }

    pub(crate) fn late(&self, after: Option<Duration>) -> TransportError {
        let mut timeout = AttemptTimeout::new(after);
        timeout.endpoint.get_or_insert_with(|| self.endpoint.clone());
        timeout.into_transport_error()
    }

    /// There is no client to send it with.
    pub(crate) fn no_client(&self, why: &str) -> TransportError {
        let detail = format!("{why}; install root certificates, or use `with_client`");
        self.failure(Fault::Connection { maybe_sent: false }, &detail)
    }

    /// No answer began.
    pub(crate) fn no_answer(&self, error: reqwest::Error) -> TransportError {
        let error = error.without_url();
        if error.is_builder() {
            let detail = "no request can be made from its URL; use an http:// or https:// one";
            self.failure(Fault::Connection { maybe_sent: false }, detail)
        } else if error.is_connect() {
            self.failure(Fault::Connection { maybe_sent: false }, &unconnected(&error))
        } else if error.is_timeout() {
            self.late(None)
        } else {
            self.failure(Fault::Connection { maybe_sent: true }, &broken(&error))
        }
    }

    /// An answer began and did not end.
    pub(crate) fn half_answer(&self, error: reqwest::Error) -> TransportError {
        let error = error.without_url();
        if error.is_timeout() {
            return self.late(None);
        }
        match io_kind(&error) {
            Some(ErrorKind::InvalidData | ErrorKind::InvalidInput) => {
                let detail = "the answer cannot be decompressed; a proxy before it may be broken";
                self.failure(Fault::Malformed, detail)
            }
            _ => self.failure(Fault::Connection { maybe_sent: true }, &broken(&error)),
        }
    }
}

fn unconnected(error: &reqwest::Error) -> String {
    let cause = innermost(error);
    match io_kind(error) {
        _ if error.is_timeout() => {
            "no connection in time; is the host up and its port open?".into()
        }
        _ if error.is_dns() => format!("{cause}; does the URL name the right host?"),
        Some(ErrorKind::ConnectionRefused) => {
            format!("{cause}; is the node running, and listening on this port?")
        }
        _ => format!("{cause}; check the URL's host and port, and the certificate"),
    }
}

fn broken(error: &reqwest::Error) -> String {
    format!("{}; the endpoint, or a proxy before it, broke off", innermost(error))
}

fn io_kind(error: &reqwest::Error) -> Option<ErrorKind> {
    innermost(error).downcast_ref().map(io::Error::kind)
}

/// The end of an error's chain of sources: what happened, without where.
pub(crate) fn innermost(error: &reqwest::Error) -> &(dyn Error + 'static) {
    let mut cause: &(dyn Error + 'static) = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}
