//! I5: no endpoint is sent more than its limiter allows, in any window.

use super::{Finding, Invariant};
use crate::record::{Ending, Flight, Place, Record};
use alclad::{Fault, core::Limiter};
use std::{collections::VecDeque, time::Duration};

/// A limiter as it was promised to be: a bucket in floating point, or a sliding window.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) rate: f64,
    pub(crate) burst: f64,
    pub(crate) window: Option<Duration>,
    pub(crate) cost: fn(&str) -> u32,
    level: f64,
    at: Duration,
    passed: VecDeque<(Duration, f64)>,
    /// Told by the endpoint.
    closed_until: Duration,
}

/// A timer's and a float's worth.
const SLACK: f64 = 1e-6;

impl Limit {
    pub(crate) fn new(
        rate: u32,
        burst: u32,
        window: Option<Duration>,
        cost: fn(&str) -> u32,
    ) -> Self {
        let (rate, burst) = (f64::from(rate), f64::from(burst));
        let (at, passed) = (Duration::ZERO, VecDeque::new());
        Self { rate, burst, window, cost, level: burst, at, passed, closed_until: Duration::ZERO }
    }

    /// From now on. A window that began under another rate is nobody's promise.
    pub(crate) fn set_rate(&mut self, now: Duration, rate: u32) {
        self.settle(now);
        self.passed.clear();
        self.rate = f64::from(rate);
    }

    fn settle(&mut self, now: Duration) {
        let earned = (now - self.at).as_secs_f64() * self.rate;
        (self.level, self.at) = ((self.level + earned).min(self.burst), now);
    }

    fn pass(&mut self, now: Duration, cost: f64) -> Result<(), String> {
        if now < self.closed_until {
            return Err(format!(
                "the endpoint asked to be left alone until {:?}",
                self.closed_until
            ));
        }
        self.settle(now);
        let level = self.level;
        let enough = level + SLACK >= cost.min(self.burst);
        self.level -= cost;
        if !enough {
            return Err(format!("{cost} units with {level:.3} left of {}", self.burst));
        }
        self.fits_window(now, cost)
    }

    /// No window gets more than the rate times its length, as long as no packet is dearer than the
    /// burst, and the burst is no more than half of that: so much is taken off the rate.
    fn fits_window(&mut self, now: Duration, cost: f64) -> Result<(), String> {
        let Some(window) = self.window else { return Ok(()) };
        self.passed.push_back((now, cost));
        while self.passed.front().is_some_and(|(at, _)| now - *at >= window) {
            self.passed.pop_front();
        }
        let sum: f64 = self.passed.iter().map(|(_, cost)| cost).sum();
        let most = self.rate * window.as_secs_f64();
        let is_usual = self.passed.iter().all(|(_, cost)| *cost <= self.burst)
            && self.burst <= most * (0.985 - 0.5);
        match is_usual && sum > most + SLACK {
            true => Err(format!("{sum} units within {window:?}, and {most} is the most")),
            false => Ok(()),
        }
    }
}

pub(super) fn exceeded(record: &mut Record, flight: &Flight, endpoint: usize) -> Finding {
    let limit = record.checks.limits.get_mut(endpoint)?.as_mut()?;
    let cost = flight.members.iter().map(|asked| (limit.cost)(&asked.method)).sum::<u32>();
    let broken = limit.pass(flight.sent, f64::from(cost)).err()?;
    Some((Invariant::I5Limits, format!("endpoint {endpoint}: {broken}")))
}

/// Who says when it may be asked again is not asked before by anybody behind the same limiter.
pub(super) fn heed(record: &mut Record, index: usize) {
    let flight = &record.flights[index];
    let (Place::Wire(endpoint), Some(now)) = (flight.place, flight.ended) else { return };
    let hint = flight.members.iter().find_map(|asked| match asked.ending {
        Some(Ending::Fault(Fault::RateLimited { retry_after, by: Limiter::Vendor })) => retry_after,
        _ => None,
    });
    let limit = record.checks.limits.get_mut(endpoint).and_then(Option::as_mut);
    if let (Some(hint), Some(limit)) = (hint, limit) {
        limit.closed_until = limit.closed_until.max(now + hint);
    }
}

/// Members that a limiter has stopped.
pub(super) fn count(record: &mut Record, index: usize) {
    let flight = &record.flights[index];
    let stopped = |ending: Option<Ending>| {
        let local = Limiter::Local;
        matches!(ending, Some(Ending::Fault(Fault::RateLimited { by, .. })) if by == local)
    };
    let count = flight.members.iter().filter(|asked| stopped(asked.ending)).count();
    if matches!(flight.place, Place::Door(_)) {
        record.tally.limited += count as u64;
    }
}
