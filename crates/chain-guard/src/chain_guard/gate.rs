use super::{
    heights::Heights,
    layer::Settings,
    record::{Failed, Failure, Record},
    watch::Watch,
};
use alclad_core::ChainBaseline;
use alloy_json_rpc::ResponsePacket;
use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
    time::Duration,
};
use tokio::time::Instant;

/// What is known of one endpoint's chain, and whether calls may pass.
///
/// It is open until a verification is due, and closes at once when something speaks against the
/// endpoint. A call may leave, and its answer may be passed up, only while it is open; and an answer
/// only if no mismatch was found since the call left, be it open again or not.
pub(super) struct Gate {
    pub(super) baseline: ChainBaseline,
    pub(super) settings: Settings,
    born: Instant,
    /// Until when it is open, in nanoseconds since it was born; 0 is closed.
    due: AtomicU64,
    /// How many mismatches were found.
    mismatches: AtomicU64,
    /// Held by the call that verifies for all.
    pub(super) flight: tokio::sync::Mutex<()>,
    record: Mutex<Record>,
}

/// With this a call may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    mismatches: u64,
}

/// How many verifications had ended when a call arrived.
pub(super) struct Arrived(u64);

/// What a verification begins with.
pub(super) struct Round {
    doubts: u64,
    /// Whether its head is in question too.
    pub(super) jumped: bool,
}

// === impl Gate ===

impl Gate {
    pub(super) fn new(baseline: ChainBaseline, settings: Settings) -> Self {
        Self {
            baseline,
            settings,
            born: Instant::now(),
            due: AtomicU64::new(0),
            mismatches: AtomicU64::new(0),
            flight: tokio::sync::Mutex::new(()),
            record: Mutex::new(Record::new(&settings)),
        }
    }

    /// A pass, if it is open.
    pub(super) fn pass(&self) -> Option<Pass> {
        // Read first, so that it is at most too old, and the answer is refused.
        let mismatches = self.mismatches.load(Acquire);
        let due = self.due.load(Acquire);
        (self.age(Instant::now()) < due).then_some(Pass { mismatches })
    }

    /// Whether an answer may be passed up, that came at once or was waited for.
    pub(super) fn lets_up(&self, pass: Pass, waited: bool) -> bool {
        let due = self.due.load(Acquire);
        due != 0 && self.holds(pass) && (!waited || self.age(Instant::now()) < due)
    }

    /// Whether no mismatch was found since the call left.
    pub(super) fn holds(&self, pass: Pass) -> bool {
        self.mismatches.load(Acquire) == pass.mismatches
    }

    fn age(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.born);
        // Five hundred years fit; the checked way takes a tenth of all that a call costs here.
        age.as_secs().wrapping_mul(1_000_000_000).wrapping_add(age.subsec_nanos().into())
    }

    /// Something speaks against the endpoint: nothing passes before it is verified again. A
    /// verification that is on its way began too early.
    pub(super) fn doubt(&self) {
        let mut record = self.record();
        record.doubts += 1;
        self.due.store(0, Release);
    }

    /// Its head has jumped: that is in question too.
    pub(super) fn doubt_head(&self) {
        self.record().jumped = true;
        self.doubt();
    }

    /// The chain that is expected and the other one that the answers name, if they do.
    pub(super) fn other_chain(&self, watch: &Watch, answer: &ResponsePacket) -> Option<(u64, u64)> {
        let expected = self.baseline.chain_id()?;
        Some((expected, watch.other_chain(answer, expected)?))
    }

    /// Reads and writes how far the endpoint is.
    pub(super) fn heights<T>(&self, read: impl FnOnce(&mut Heights) -> T) -> T {
        read(&mut self.record().heights)
    }

    /// A call has arrived that may not pass.
    ///
    /// # Errors
    ///
    /// If the endpoint serves another chain, and is not to be asked again yet.
    pub(super) fn arrive(&self) -> Result<Arrived, Failed> {
        let record = self.record();
        match &record.mismatch {
            Some(mismatch) if Instant::now() < mismatch.again => Err(record.refuse()),
            _ => Ok(Arrived(record.ended)),
        }
    }

    /// Nobody waits while another call asks an endpoint again that serves another chain.
    pub(super) fn may_wait(&self) -> Result<(), Failed> {
        let record = self.record();
        match record.mismatch {
            Some(_) => Err(record.refuse()),
            None => Ok(()),
        }
    }

    /// What the verifications found that have ended since, if that is enough.
    pub(super) fn verdict_since(&self, arrived: &Arrived) -> Option<Result<Pass, Failed>> {
        if let Some(pass) = self.pass() {
            return Some(Ok(pass));
        }
        let record = self.record();
        let verdict = match (&record.mismatch, &record.failure) {
            (Some(_), _) => record.refuse(),
            (None, Some(failure)) => Failed::NoAnswer(failure.clone()),
            (None, None) => return None,
        };
        (record.ended != arrived.0).then_some(Err(verdict))
    }

    /// A verification begins. Until it has ended nothing passes, nor if it is given up.
    pub(super) fn begin(&self) -> Round {
        let record = self.record();
        self.due.store(0, Release);
        Round { doubts: record.doubts, jumped: record.jumped }
    }

    /// The endpoint serves the right chain, and its head is here if that was asked. It opens unless
    /// something has spoken against the endpoint since the verification began.
    pub(super) fn verified(&self, round: &Round, head: Option<u64>) -> Option<Pass> {
        let mut record = self.record();
        record.match_found(head);
        if record.doubts != round.doubts {
            return None;
        }
        record.jumped = false;
        let interval = nanoseconds(self.settings.interval).max(1);
        self.due.store(self.age(Instant::now()).saturating_add(interval), Release);
        Some(Pass { mismatches: self.mismatches.load(Acquire) })
    }

    /// The endpoint serves another chain than the expected one.
    pub(super) fn mismatched(&self, expected: u64, actual: u64) -> Failed {
        let mut record = self.record();
        // Before it closes: whoever finds it open again must find this too.
        self.mismatches.fetch_add(1, Release);
        self.due.store(0, Release);
        record.mismatch_found(expected, actual, self.settings.recheck);
        record.refuse()
    }

    /// It did not say which chain it serves. A mismatch stands.
    pub(super) fn unanswered(&self, failure: Failure) -> Failed {
        self.record().nothing_found(failure, self.settings.recheck)
    }

    /// The mismatch that was found last, be it mended or not.
    pub(super) fn last_mismatch(&self) -> Failed {
        self.record().refuse()
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
