//! One line of the report, in slices of time.

use super::{Example, FaultCount, Line, RecentCall, Totals, lock, redact};
use crate::end::End;
use alclad_core::{AnswerNote, Fault, Health};
use alloy_json_rpc::Response;
use alloy_transport::TransportError;
use hdrhistogram::Histogram;
use std::{array, collections::VecDeque, sync::Mutex, time::Duration};
use tokio::time::Instant;

/// So many slices are kept.
pub(super) const INTERVALS: usize = 12;
/// So many requests to an endpoint are remembered.
const REMEMBERED: usize = 32;
/// How long a slice is.
const SLICE: Duration = Duration::from_secs(300);
/// The longest time that the histogram tells from a longer one, in microseconds.
const LONGEST: u64 = 60_000_000;
/// Two digits hold in every time: 20 doublings of 128 steps, four bytes each.
const DIGITS: u8 = 2;
/// What a slice takes at most, the histogram's own fields included.
pub(super) const SLOT_BYTES: usize = 20 * 128 * 4 + size_of::<Slot>();

/// Which slice a moment falls into that is so far from the beginning.
pub(super) const fn slice(age: Duration) -> u64 {
    age.as_secs() / SLICE.as_secs()
}

pub(super) struct Row {
    name: String,
    state: Mutex<State>,
}

struct State {
    slots: [Option<Box<Slot>>; INTERVALS],
    examples: [Option<Box<(u64, Example)>>; Fault::NAMES.len()],
    /// Since the beginning.
    ended: [u64; End::ROWS],
    recent: VecDeque<(Instant, &'static str, End, Duration)>,
}

struct Slot {
    slice: u64,
    ended: [u64; End::ROWS],
    /// How many of them were answered.
    good: u64,
    /// How many of them speak against the endpoint.
    errors: u64,
    sum: Duration,
    longest: Duration,
    times: Histogram<u32>,
}

/// What came with a fault.
pub(super) struct Said<'a> {
    pub(super) answer: Option<&'a Response>,
    pub(super) error: Option<&'a TransportError>,
    pub(super) note: &'a AnswerNote,
}

// === impl Row ===

impl Row {
    pub(super) fn new(name: String) -> Self {
        let (slots, examples) = (array::from_fn(|_| None), array::from_fn(|_| None));
        let (ended, recent) = ([0; End::ROWS], VecDeque::new());
        let state = State { slots, examples, ended, recent };
        Self { name, state: Mutex::new(state) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn record(&self, slice: u64, end: End, took: Duration) {
        let mut state = lock(&self.state);
        state.ended[end.row()] += 1;
        state.slot(slice).record(end, took);
    }

    /// Keeps this request for a while, by itself.
    pub(super) fn remember(&self, now: Instant, method: &'static str, end: End, took: Duration) {
        let recent = &mut lock(&self.state).recent;
        if recent.len() == REMEMBERED {
            recent.pop_front();
        }
        recent.push_back((now, method, end, took));
    }

    pub(super) fn recent(&self, now: Instant) -> Vec<RecentCall> {
        let call = |(at, method, end, took): &(Instant, &'static str, End, Duration)| RecentCall {
            age: now.saturating_duration_since(*at),
            method,
            took: *took,
            success: end.is_good(),
        };
        lock(&self.state).recent.iter().rev().map(call).collect()
    }

    pub(super) fn add_to(&self, totals: &mut Totals) {
        let ended = lock(&self.state).ended;
        totals.calls += ended.iter().sum::<u64>();
        let faults = Fault::NAMES.iter().zip(ended).filter(|(_, count)| *count > 0);
        faults.for_each(|(fault, count)| *totals.faults.entry(fault).or_default() += count);
    }

    /// Keeps an example of a fault, if there is none of this slice.
    pub(super) fn keep(&self, slice: u64, fault: Fault, example: &Example) {
        let kept = &mut lock(&self.state).examples[fault.row()];
        if kept.as_ref().is_none_or(|kept| kept.0 != slice) {
            *kept = Some(Box::new((slice, example.clone())));
        }
    }

    /// What it has to say of the last hour, if anything.
    pub(super) fn line(&self, now: u64) -> Option<Line> {
        let state = lock(&self.state);
        let mut sum = Slot::new(now);
        state.slots.iter().flatten().filter(|slot| is_kept(slot.slice, now)).for_each(|slot| {
            sum.add(slot);
        });
        let faults = Fault::NAMES.iter().zip(sum.ended).zip(&state.examples);
        let mut faults: Vec<_> = faults
            .filter(|((_, count), _)| *count > 0)
            .map(|((fault, count), example)| {
                let example = example.as_ref().filter(|kept| is_kept(kept.0, now));
                FaultCount { fault, count, example: example.map(|kept| kept.1.clone()) }
            })
            .collect();
        drop(state);
        faults.sort_by_key(|fault| std::cmp::Reverse(fault.count));
        sum.line(self.name.clone(), faults)
    }
}

const fn is_kept(slice: u64, now: u64) -> bool {
    slice + INTERVALS as u64 > now
}

impl State {
    fn slot(&mut self, slice: u64) -> &mut Slot {
        let slot = &mut self.slots[(slice % INTERVALS as u64) as usize];
        let slot = slot.get_or_insert_with(|| Box::new(Slot::new(slice)));
        // A call that ended a moment ago does not begin its slice anew.
        if slot.slice < slice {
            slot.begin(slice);
        }
        slot
    }
}

// === impl Slot ===

impl Slot {
    fn new(slice: u64) -> Self {
        let times = Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are valid");
        let (ended, sum, longest) = ([0; End::ROWS], Duration::ZERO, Duration::ZERO);
        Self { slice, ended, good: 0, errors: 0, sum, longest, times }
    }

    fn begin(&mut self, slice: u64) {
        self.times.reset();
        (self.slice, self.ended) = (slice, [0; End::ROWS]);
        (self.good, self.errors) = (0, 0);
        (self.sum, self.longest) = (Duration::ZERO, Duration::ZERO);
    }

    fn record(&mut self, end: End, took: Duration) {
        self.ended[end.row()] += 1;
        if end == End::Dropped {
            return;
        }
        let fault = match end {
            End::Fault(fault) => Some(fault),
            _ => None,
        };
        self.good += u64::from(end.is_good());
        let speaks_against = |fault: Fault| fault.health() != Health::Nothing;
        self.errors += u64::from(fault.is_some_and(speaks_against));
        self.sum = self.sum.saturating_add(took);
        self.longest = self.longest.max(took);
        let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST);
        self.times.saturating_record(micros.max(1));
    }

    fn add(&mut self, other: &Self) {
        self.ended.iter_mut().zip(other.ended).for_each(|(sum, more)| *sum += more);
        self.good += other.good;
        self.errors += other.errors;
        self.sum = self.sum.saturating_add(other.sum);
        self.longest = self.longest.max(other.longest);
        self.times.add(&other.times).expect("all have the same bounds");
    }

    fn line(&self, name: String, faults: Vec<FaultCount>) -> Option<Line> {
        let count: u64 = self.ended.iter().sum();
        let dropped = self.ended[End::Dropped.row()];
        let timed = count - dropped;
        let share = |part: u64, none: f64| match timed {
            0 => none,
            timed => part as f64 / timed as f64,
        };
        let at = |quantile| {
            let micros = self.times.value_at_quantile(quantile);
            Duration::from_micros(micros).min(self.longest)
        };
        (count > 0).then(|| Line {
            name,
            count,
            dropped,
            success: share(self.good, 1.0),
            errors: share(self.errors, 0.0),
            mean: self.sum.div_f64(timed.max(1) as f64),
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            max: self.longest,
            faults,
        })
    }
}

impl Said<'_> {
    pub(super) fn example(&self) -> Example {
        let payload = self.answer.and_then(|answer| answer.payload.as_error());
        let http = self.error.and_then(|error| error.as_transport_err()?.as_http_error());
        let text = match (payload, self.error) {
            (Some(payload), _) => redact(&payload.message),
            (None, Some(error)) => redact(&error.to_string()),
            (None, None) => String::new(),
        };
        Example {
            code: payload.map(|payload| payload.code),
            status: self.note.http_status.or_else(|| http.map(|http| http.status)),
            text,
        }
    }
}
