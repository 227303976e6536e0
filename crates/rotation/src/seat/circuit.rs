use crate::{EndpointState, Event, changes::Changes};
use alclad_core::{EndpointId, Fault, Health, names};
use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU8, AtomicU32, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};
use tokio::time::Instant;

/// So many failures without a success between them open the circuit, however slowly they come.
const STRIKES: u32 = 5;
/// Over this time failures are also counted against all requests.
const WINDOW: Duration = Duration::from_secs(10);
/// In a window, [`STRIKES`] failures that are at least one in this many requests open it too.
const ONE_IN: u64 = 10;
/// The first cooldown; each further one is twice the one before.
const COOLDOWN: Duration = Duration::from_secs(1);
const MAX_COOLDOWN: Duration = Duration::from_secs(60);
/// So many probes must succeed, one after the other, before a half-open circuit closes.
const PROBES: u32 = 3;
/// How long an endpoint is left alone that asked for it without saying how long; doubled each
/// time that it asks again.
const PARK: Duration = Duration::from_secs(1);
const MAX_PARK: Duration = Duration::from_secs(30);
/// No hint is obeyed for longer: after it the endpoint is asked again, whatever it said.
const MAX_HINT: Duration = Duration::from_secs(600);
/// How long an endpoint is left alone whose plan is used up or that refuses our credentials.
const PARK_LONG: Duration = Duration::from_secs(600);
/// How long an endpoint of another chain is left alone before it is looked at again.
const QUARANTINE: Duration = Duration::from_secs(60);

const CLOSED: u8 = 0;
/// Open until a time, then half open.
const OPEN: u8 = 1;
/// Parked until a time, then closed.
const PARKED: u8 = 2;
/// Like parked, but asked when there is nobody else, so that the caller sees why.
const REFUSED: u8 = 3;

/// Whether an endpoint should be asked, learnt from how its answers ended.
///
/// The closed state is read with one load and no look at the clock.
pub(crate) struct Circuit {
    id: EndpointId,
    state: AtomicU8,
    /// In milliseconds since `epoch`.
    until: AtomicU64,
    /// Counts the times that it was left alone. A result of an attempt that began before the last
    /// of them says nothing about what came after.
    age: AtomicU32,
    probing: Arc<AtomicBool>,
    /// In milliseconds since `epoch`: when it closed last.
    closed: AtomicU64,
    /// There is something that a success would reset.
    marked: AtomicBool,
    epoch: Instant,
    record: Mutex<Record>,
    changes: Changes,
}

#[derive(Default)]
struct Record {
    strikes: u32,
    probes: u32,
    cooldowns: u32,
    parks: u32,
    window: Option<Window>,
    fault: Option<Fault>,
    /// It has answered since it was last found to be on another chain.
    served: bool,
    /// When it failed last.
    failed: Option<Instant>,
}

struct Window {
    start: Instant,
    requests: u64,
    failures: u64,
}

/// What is told of a circuit.
enum Change {
    Closed,
    LeftAlone { name: &'static str, wait: Duration, fault: Fault },
}

/// May this endpoint be asked?
pub(crate) enum Access {
    Free,
    /// As the one probe of a half-open circuit.
    Probe(Probe),
    /// Only if there is nobody else.
    LastResort,
    /// Not before this time has passed.
    Parked(Duration),
    /// Only so that the caller sees why it is refused.
    Refused,
}

/// The right to ask a half-open endpoint; given back when dropped.
pub(crate) struct Probe(Arc<AtomicBool>);

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

impl Circuit {
    pub(crate) fn new(id: EndpointId, changes: Changes) -> Self {
        Self {
            id,
            state: AtomicU8::new(CLOSED),
            until: AtomicU64::new(0),
            age: AtomicU32::new(0),
            probing: Arc::default(),
            closed: AtomicU64::new(0),
            marked: AtomicBool::new(false),
            epoch: Instant::now(),
            record: Mutex::default(),
            changes,
        }
    }

    pub(crate) fn access(&self) -> Access {
        let state = self.state.load(Acquire);
        if state == CLOSED {
            return Access::Free;
        }
        let left = self.left();
        match state {
            PARKED if left.is_zero() => Access::Free,
            PARKED => Access::Parked(left),
            REFUSED if !left.is_zero() => Access::Refused,
            _ if !left.is_zero() => Access::LastResort,
            _ => match self.probing.compare_exchange(false, true, AcqRel, Relaxed) {
                Ok(_) => Access::Probe(Probe(Arc::clone(&self.probing))),
                Err(_) => Access::LastResort,
            },
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.load(Relaxed) == CLOSED
    }

    /// How often it has been left alone: to be read before an attempt.
    pub(crate) fn age(&self) -> u32 {
        self.age.load(Relaxed)
    }

    /// A good answer, or one whose fault is the request's own, to an attempt begun at this age.
    pub(crate) fn succeed(&self, age: u32) {
        if !self.marked.load(Relaxed) || age != self.age() {
            return;
        }
        let mut record = self.record();
        (record.strikes, record.served) = (0, true);
        let waiting = !self.left().is_zero();
        let change = match self.state.load(Relaxed) {
            CLOSED => {
                self.marked.store(false, Relaxed);
                None
            }
            PARKED if !waiting => Some(self.close(&mut record)),
            // An endpoint that was asked as a last resort is not healed before its time.
            _ if waiting => None,
            _ => {
                record.probes += 1;
                (record.probes >= PROBES).then(|| self.close(&mut record))
            }
        };
        drop(record);
        self.tell(change);
    }

    /// An attempt begun at this age ended in this fault, which says this about the endpoint;
    /// `requests` is how many it has been sent in all.
    pub(crate) fn fail(&self, fault: Fault, health: Health, age: u32, requests: u64) {
        let mut record = self.record();
        self.marked.store(true, Relaxed);
        record.failed = Some(Instant::now());
        let change = match health {
            Health::Failure if age == self.age() => self.strike(&mut record, requests, fault),
            Health::Park(hint) => self.park(&mut record, hint, fault),
            Health::ParkLong => self.enter(&mut record, REFUSED, "parked", PARK_LONG, fault),
            Health::Quarantine => {
                self.enter(&mut record, REFUSED, "quarantined", QUARANTINE, fault)
            }
            _ => None,
        };
        drop(record);
        self.tell(change);
    }

    fn strike(&self, record: &mut Record, requests: u64, fault: Fault) -> Option<Change> {
        record.fault = Some(fault);
        record.strikes = record.strikes.saturating_add(1);
        record.probes = 0;
        let (state, waiting) = (self.state.load(Relaxed), !self.left().is_zero());
        let half_open = matches!(state, OPEN | REFUSED) && !waiting;
        let too_many = record.strikes >= STRIKES || record.too_large_a_share(requests);
        // While it is left alone, last resorts do not make it longer.
        if !half_open && (!too_many || waiting) {
            return None;
        }
        record.cooldowns = record.cooldowns.saturating_add(1);
        record.window = None;
        let wait = doubled(COOLDOWN, record.cooldowns).min(MAX_COOLDOWN);
        self.enter(record, OPEN, "open", wait, fault)
    }

    fn park(&self, record: &mut Record, hint: Option<Duration>, fault: Fault) -> Option<Change> {
        let parked = self.state.load(Relaxed) == PARKED && !self.left().is_zero();
        // Calls that were in flight together are refused together: that is one refusal.
        if !parked {
            record.parks = record.parks.saturating_add(1);
        }
        // "Now" is no hint: an endpoint that says it for ever would be asked for ever.
        let wait = match hint.filter(|hint| !hint.is_zero()) {
            Some(hint) => hint.min(MAX_HINT),
            None => doubled(PARK, record.parks.max(1)).min(MAX_PARK),
        };
        self.enter(record, PARKED, "parked", wait, fault)
    }

    /// Leaves it alone for so long, unless it is left alone for longer already.
    fn enter(
        &self,
        record: &mut Record,
        state: u8,
        name: &'static str,
        wait: Duration,
        fault: Fault,
    ) -> Option<Change> {
        let until = self.at(wait);
        if until <= self.until.fetch_max(until, Relaxed) && !self.left().is_zero() {
            return None;
        }
        record.fault = Some(fault);
        self.until.store(until, Relaxed);
        self.age.fetch_add(1, Relaxed);
        let before = self.state.swap(state, AcqRel);
        (before != state).then_some(Change::LeftAlone { name, wait, fault })
    }

    fn close(&self, record: &mut Record) -> Change {
        *record = Record { failed: record.failed, ..Record::default() };
        self.until.store(0, Relaxed);
        self.closed.store(self.at(Duration::ZERO), Relaxed);
        self.state.store(CLOSED, Release);
        self.marked.store(false, Relaxed);
        Change::Closed
    }

    /// To be called without the lock: who listens may ask for a snapshot.
    fn tell(&self, change: Option<Change>) {
        let state = match change {
            None => return,
            Some(Change::Closed) => {
                self.changes.add(&self.id, Event::Closed);
                tracing::info!(endpoint = %self.id, state = "closed", "endpoint serves again");
                "closed"
            }
            Some(Change::LeftAlone { name, wait, fault }) => {
                self.changes.add(&self.id, Event::LeftAlone { state: name, wait, fault });
                tracing::warn!(endpoint = %self.id, %fault, state = name, ?wait, "endpoint left alone");
                name
            }
        };
        super::gauges::health(&self.id, state == "closed");
        let endpoint = self.id.to_string();
        metrics::counter!(names::HEALTH_TRANSITIONS, names::ENDPOINT => endpoint, names::STATE => state)
            .increment(1);
    }

    /// It is found to be on another chain: whether it may have answered from there meanwhile, and
    /// not only failed since it was last found so.
    pub(crate) fn has_served_another_chain(&self) -> bool {
        let mut record = self.record();
        let is_known =
            record.fault == Some(Fault::WrongChain) && self.state.load(Relaxed) == REFUSED;
        mem::take(&mut record.served) || !is_known
    }

    /// It is on the right chain after all.
    pub(crate) fn end_quarantine(&self) {
        let mut record = self.record();
        let is_quarantined =
            record.fault == Some(Fault::WrongChain) && self.state.load(Relaxed) == REFUSED;
        let change = is_quarantined.then(|| self.close(&mut record));
        drop(record);
        self.tell(change);
    }

    /// For how long it wants to be left alone, if it does.
    pub(crate) fn parked_for(&self) -> Option<Duration> {
        let left = self.left();
        (self.state.load(Relaxed) == PARKED && !left.is_zero()).then_some(left)
    }

    /// Forgets all that went wrong.
    pub(crate) fn reset(&self) {
        let mut record = self.record();
        let change = (self.state.load(Relaxed) != CLOSED).then(|| self.close(&mut record));
        drop(record);
        self.tell(change);
    }

    pub(crate) fn snapshot(&self) -> EndpointState {
        let (left, fault) = (self.left(), self.record().fault);
        match self.state.load(Relaxed) {
            CLOSED => EndpointState::Closed,
            PARKED if left.is_zero() => EndpointState::Closed,
            OPEN if !left.is_zero() => EndpointState::Open { left, fault },
            PARKED | REFUSED if !left.is_zero() => EndpointState::Parked { left, fault },
            _ => EndpointState::HalfOpen { fault },
        }
    }

    /// Its failures without a success between them, and how long ago it failed last.
    pub(crate) fn failures(&self) -> (u32, Option<Duration>) {
        let record = self.record();
        (record.strikes, record.failed.map(|failed| failed.elapsed()))
    }

    /// So long from now, in milliseconds since `epoch`, rounded up.
    fn at(&self, wait: Duration) -> u64 {
        let at = (self.epoch.elapsed() + wait).as_micros().div_ceil(1000);
        u64::try_from(at).unwrap_or(u64::MAX)
    }

    /// How long the state lasts.
    fn left(&self) -> Duration {
        Duration::from_millis(self.until.load(Relaxed)).saturating_sub(self.epoch.elapsed())
    }

    /// As if it had closed so long ago.
    #[cfg(test)]
    pub(crate) fn set_healthy_for(&self, time: Duration) {
        let since = self.epoch.elapsed().saturating_sub(time);
        self.closed.store(since.as_millis() as u64, Relaxed);
    }

    /// How long it has been closed.
    pub(crate) fn healthy_for(&self) -> Duration {
        let since = match self.state.load(Relaxed) {
            CLOSED => self.closed.load(Relaxed),
            // Nobody has asked it since, but it is free.
            PARKED if self.left().is_zero() => self.until.load(Relaxed),
            _ => return Duration::ZERO,
        };
        self.epoch.elapsed().saturating_sub(Duration::from_millis(since))
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// Counts a failure; are the failures of this window too large a share of its requests?
    fn too_large_a_share(&mut self, requests: u64) -> bool {
        let now = Instant::now();
        let fresh = || Window { start: now, requests: requests.saturating_sub(1), failures: 0 };
        let window = self.window.get_or_insert_with(fresh);
        if now - window.start > WINDOW {
            *window = fresh();
        }
        window.failures += 1;
        window.failures >= u64::from(STRIKES)
            && window.failures * ONE_IN >= requests.saturating_sub(window.requests)
    }
}

fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(2u32.saturating_pow(times.saturating_sub(1)))
}
