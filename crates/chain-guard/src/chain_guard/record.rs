use super::{heights::Heights, layer::Settings};
use alclad_core::{
    error::{ChainMismatch, SharedError, TypedError},
    names, note,
};
use alloy_transport::TransportError;
use std::time::Duration;
use tokio::time::Instant;

/// What the verifications of an endpoint have found.
pub(super) struct Record {
    /// How many have ended.
    pub(super) ended: u64,
    /// How often something spoke against the endpoint.
    pub(super) doubts: u64,
    /// Whether that was a jump of its head.
    pub(super) jumped: bool,
    /// It serves another chain.
    pub(super) mismatch: Option<Mismatch>,
    /// The last one had no answer.
    pub(super) failure: Option<Failure>,
    pub(super) heights: Heights,
    /// The chain that was expected last and not found, and the one that was found.
    last_mismatch: (u64, u64),
}

pub(super) struct Mismatch {
    /// When the endpoint may be asked again.
    pub(super) again: Instant,
    wait: Duration,
}

/// A verification without an answer, for all that waited for it.
#[derive(Clone)]
pub(super) struct Failure {
    pub(super) error: SharedError,
    pub(super) status: Option<u16>,
    pub(super) retry_after: Option<Duration>,
}

/// Why a call may not pass.
pub(super) enum Failed {
    Mismatch(ChainMismatch),
    NoAnswer(Failure),
}

// === impl Record ===

impl Record {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            ended: 0,
            doubts: 0,
            jumped: false,
            mismatch: None,
            failure: None,
            heights: Heights::new(settings.block_time),
            last_mismatch: (0, 0),
        }
    }

    pub(super) fn match_found(&mut self, head: Option<u64>) {
        self.ended += 1;
        (self.mismatch, self.failure) = (None, None);
        match head {
            Some(head) => self.heights.take_jumped(head),
            None => self.heights.settle(),
        }
    }

    pub(super) fn mismatch_found(
        &mut self,
        expected: u64,
        actual: u64,
        recheck: (Duration, Duration),
    ) {
        self.ended += 1;
        self.failure = None;
        self.last_mismatch = (expected, actual);
        self.postpone(recheck);
    }

    /// A mismatch is final until the endpoint says otherwise.
    pub(super) fn nothing_found(
        &mut self,
        failure: Failure,
        recheck: (Duration, Duration),
    ) -> Failed {
        self.ended += 1;
        if self.mismatch.is_some() {
            self.postpone(recheck);
            return self.refuse();
        }
        self.failure = Some(failure.clone());
        Failed::NoAnswer(failure)
    }

    fn postpone(&mut self, (first, most): (Duration, Duration)) {
        let wait = match &self.mismatch {
            Some(mismatch) => mismatch.wait.saturating_mul(2).min(most),
            None => first,
        };
        let now = Instant::now();
        // A wait beyond all clocks is asked for by whoever wants none at all: a year.
        let again = now.checked_add(wait).unwrap_or(now + Duration::from_secs(31_536_000));
        self.mismatch = Some(Mismatch { again, wait });
    }

    /// The mismatch, for one call.
    pub(super) fn refuse(&self) -> Failed {
        let (expected, actual) = self.last_mismatch;
        Failed::Mismatch(ChainMismatch::new(expected, actual))
    }
}

// === impl Failed ===

impl Failed {
    /// For a call that did not leave.
    pub(super) fn into_error(self) -> TransportError {
        match self {
            Self::Mismatch(mismatch) => refuse(mismatch),
            Self::NoAnswer(failure) => {
                note::record(|note| {
                    (note.http_status, note.retry_after) = (failure.status, failure.retry_after);
                });
                failure.error.to_error()
            }
        }
    }
}

/// The end of a packet of which an endpoint on another chain is asked, or has answered it.
pub(super) fn refuse(mismatch: ChainMismatch) -> TransportError {
    let endpoint = mismatch.endpoint.as_ref().map_or("", |endpoint| endpoint.as_str());
    metrics::counter!(names::CHAIN_MISMATCHES, names::ENDPOINT => endpoint.to_owned()).increment(1);
    mismatch.into_transport_error()
}
