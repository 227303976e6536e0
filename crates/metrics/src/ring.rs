//! Where a layer stands, and what it counts there.

use alclad_core::{EndpointId, names};

/// Where a layer stands.
#[derive(Clone, Debug)]
pub(crate) enum Ring {
    /// It sees the application's calls.
    Client,
    /// It sees what is sent to this endpoint.
    Endpoint(EndpointId),
}

/// What the metrics of a ring are called.
pub(crate) struct Names {
    pub(crate) ended: &'static str,
    pub(crate) duration: &'static str,
    pub(crate) in_flight: &'static str,
    pub(crate) request_bytes: &'static str,
    pub(crate) response_bytes: &'static str,
    pub(crate) batch_size: &'static str,
}

impl Ring {
    pub(crate) const fn names(&self) -> Names {
        match self {
            Self::Client => Names {
                ended: names::CALLS,
                duration: names::CALL_DURATION,
                in_flight: names::CALLS_IN_FLIGHT,
                request_bytes: names::CALL_REQUEST_BYTES,
                response_bytes: names::CALL_RESPONSE_BYTES,
                batch_size: names::CALL_BATCH_SIZE,
            },
            Self::Endpoint(_) => Names {
                ended: names::ATTEMPTS,
                duration: names::ATTEMPT_DURATION,
                in_flight: names::ATTEMPTS_IN_FLIGHT,
                request_bytes: names::ATTEMPT_REQUEST_BYTES,
                response_bytes: names::ATTEMPT_RESPONSE_BYTES,
                batch_size: names::ATTEMPT_BATCH_SIZE,
            },
        }
    }

    pub(crate) const fn endpoint(&self) -> Option<&EndpointId> {
        match self {
            Self::Client => None,
            Self::Endpoint(id) => Some(id),
        }
    }
}
