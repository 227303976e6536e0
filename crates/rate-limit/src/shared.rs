//! What the services of one layer and its handles share.

use crate::{
    RateEvent, RatePolicy,
    bucket::Bucket,
    gate::Gate,
    service::endpoint,
    settings::Settings,
    verdict::{Asked, Verdict},
};
use alclad_core::{Headroom, Notes, names};
use alloy_json_rpc::{ResponsePacket, SerializedRequest};
use alloy_transport::TransportError;
use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// A hint keeps the gate closed for this long at most; then one packet may try again.
const LONGEST_HINT: Duration = Duration::from_secs(3600);

/// What is left of a rate that a policy made zero of: the next packet in a quarter of an hour.
const LEAST_RATE: f64 = 0.001;

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) counts: Counts,
    state: Apart<Mutex<State>>,
}

/// On cache lines of its own: what all threads write must not slow down what they only read.
#[repr(align(128))]
struct Apart<T>(T);

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) waited_nanos: AtomicU64,
    pub(crate) throttled: AtomicU64,
    pub(crate) refused: AtomicU64,
}

pub(crate) struct State {
    pub(crate) gate: Gate,
    /// In units per second, and the most that the policy may make of it.
    pub(crate) rate: f64,
    ceiling: f64,
    changed: Instant,
    cut: Option<Instant>,
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Self {
        let (now, rate) = (Instant::now(), f64::from(settings.rate.get()));
        let gate = Gate::new(Bucket::new(settings.flow(rate), settings.burst(), now));
        let state = State { gate, rate, ceiling: rate, changed: now, cut: None };
        Self { settings, counts: Counts::default(), state: Apart(Mutex::new(state)) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn cost(&self, requests: &[SerializedRequest]) -> u64 {
        match &self.settings.costs {
            None => requests.len() as u64,
            Some(costs) => requests.iter().map(|request| u64::from(costs.cost(request))).sum(),
        }
    }

    /// Lets a packet pass, if it need not wait; and says when that was.
    pub(crate) fn pass(&self, cost: u64) -> Option<Instant> {
        let now = Instant::now();
        (cost == 0 || self.state().gate.pass(now, cost)).then_some(now)
    }

    pub(crate) fn set_ceiling(&self, ceiling: f64) {
        let mut state = self.state();
        state.ceiling = ceiling;
        self.set_rate(state, Instant::now(), ceiling);
    }

    fn set_rate(&self, mut state: MutexGuard<'_, State>, now: Instant, rate: f64) {
        let rate = rate.min(state.ceiling).max(LEAST_RATE);
        if rate == state.rate {
            return;
        }
        if rate < state.rate {
            state.cut = Some(now);
        }
        state.rate = rate;
        state.changed = now;
        state.gate.bucket.set_rate(now, self.settings.flow(rate));
        let first = state.gate.first_waker();
        drop(state);
        if let Some(first) = first {
            first.wake();
        }
    }

    /// Heeds the answer to a packet that passed at `sent`.
    pub(crate) fn learn(
        &self,
        sent: Instant,
        asked: &Asked,
        answer: &Result<ResponsePacket, TransportError>,
        notes: impl FnOnce() -> Notes,
    ) {
        let throttled = match asked.judge(answer, notes, self.settings.classifier.as_deref()) {
            Verdict::Silent => return,
            Verdict::Answered => false,
            Verdict::Throttled(hint) => {
                self.be_throttled(hint);
                true
            }
        };
        if let Some(policy) = &self.settings.policy {
            self.adapt(&**policy, sent, throttled);
        }
    }

    fn be_throttled(&self, hint: Option<Duration>) {
        self.counts.throttled.fetch_add(1, Relaxed);
        metrics::counter!(names::THROTTLED, names::ENDPOINT => endpoint()).increment(1);
        if let Some(hint) = hint {
            let until = Instant::now() + hint.min(LONGEST_HINT);
            self.state().gate.bucket.drain_until(until);
        }
    }

    fn adapt(&self, policy: &dyn RatePolicy, sent: Instant, throttled: bool) {
        let now = Instant::now();
        let state = self.state();
        if state.was_cut_since(sent) {
            return;
        }
        let State { rate, ceiling, changed, .. } = *state;
        drop(state);
        // Without the lock: a policy may be slow, and may ask the limiter.
        let since_change = now.saturating_duration_since(changed);
        let next = policy.rate(RateEvent { throttled, rate, ceiling, since_change });
        let mut state = self.state();
        if throttled && !state.was_cut_since(sent) {
            state.gate.bucket.drain_until(now);
            self.set_rate(state, now, next);
        } else if !throttled && state.rate == rate {
            self.set_rate(state, now, next);
        }
    }
}

impl State {
    fn was_cut_since(&self, sent: Instant) -> bool {
        self.cut.is_some_and(|cut| sent <= cut)
    }
}

impl Headroom for Shared {
    fn free_in(&self, requests: &[SerializedRequest]) -> Duration {
        match self.cost(requests) {
            0 => Duration::ZERO,
            cost => {
                let now = Instant::now();
                self.state().gate.due(now, cost) - now
            }
        }
    }
}
