//! How the rate follows what the endpoint says.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// What became of one packet, for a policy to set the rate by.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RateEvent {
    /// Whether the endpoint's rate limit turned it, or a member of it, away. If not, it was
    /// answered.
    pub throttled: bool,
    /// The rate now, in units per second.
    pub rate: f64,
    /// The rate that was set, which it never exceeds.
    pub ceiling: f64,
    /// How long ago the rate was last changed.
    pub since_change: Duration,
}

/// Decides at which rate to go on.
///
/// The layer asks it after every packet that tells something: one that was answered, if only with
/// an error of its own, or that the endpoint's rate limit turned away. A packet that was sent
/// before the rate was last cut tells nothing about the rate since, so one overrun cuts once,
/// however many packets were on their way. A closure is a policy:
///
/// ```
/// # use alclad_rate_limit::{RateEvent, RateLimitLayer};
/// # use std::num::NonZeroU32;
/// let halve = |event: RateEvent| match event.throttled {
///     true => event.rate / 2.0,
///     false => event.rate + 0.1,
/// };
/// let layer = RateLimitLayer::per_second(NonZeroU32::new(100).unwrap()).with_policy(halve);
/// # drop(layer);
/// ```
pub trait RatePolicy: Send + Sync + 'static {
    /// The rate from now on, in units per second; what is above the ceiling is the ceiling.
    fn rate(&self, event: RateEvent) -> f64;
}

impl<F> RatePolicy for F
where
    F: Fn(RateEvent) -> f64 + Send + Sync + 'static,
{
    fn rate(&self, event: RateEvent) -> f64 {
        self(event)
    }
}

/// Additive increase, multiplicative decrease: every overrun cuts the rate to a share of itself,
/// and while packets are answered it rises by a share of the ceiling per second.
///
/// The defaults cut to 85 % and raise by 1 % per second, down to one unit per second. Around a limit
/// that has moved below the ceiling the rate swings between 85 % and 100 % of it, with one overrun
/// in 15 seconds or less; once a limit is lifted it is back at the ceiling in 100.
#[derive(Clone, Copy, Debug)]
pub struct Aimd {
    cut: f64,
    rise: f64,
    floor: f64,
}

impl Aimd {
    /// The defaults.
    pub const fn new() -> Self {
        Self { cut: 0.85, rise: 0.01, floor: 1.0 }
    }

    /// To which share of itself an overrun cuts the rate.
    #[must_use]
    pub const fn with_cut(mut self, cut: f64) -> Self {
        self.cut = cut.clamp(0.0, 1.0);
        self
    }

    /// By which share of the ceiling it rises per second.
    #[must_use]
    pub const fn with_rise(mut self, rise: f64) -> Self {
        self.rise = rise.max(0.0);
        self
    }

    /// How many units per second it keeps, whatever happens.
    #[must_use]
    pub const fn with_floor(mut self, floor: f64) -> Self {
        self.floor = floor;
        self
    }

    fn decide(&self, cut: bool, event: RateEvent) -> f64 {
        match cut {
            true => (event.rate * self.cut).max(self.floor.min(event.rate)),
            // Silence is no proof that the endpoint would have borne more.
            false => {
                let seconds = event.since_change.as_secs_f64().min(1.0);
                event.rate + event.ceiling * self.rise * seconds
            }
        }
    }
}

impl Default for Aimd {
    fn default() -> Self {
        Self::new()
    }
}

impl RatePolicy for Aimd {
    fn rate(&self, event: RateEvent) -> f64 {
        self.decide(event.throttled, event)
    }
}

/// Cuts the rate when more than a share of the last 100 packets were throttled.
///
/// The defaults allow 1 % and cut to 90 %, down to one unit per second; between the cuts the rate
/// rises as [`Aimd`]'s does. After a cut the count begins anew. Against an endpoint that now and
/// then throttles for reasons of its own it is calmer than `Aimd`; to a limit that has moved it
/// takes longer.
#[derive(Debug)]
pub struct ErrorShare {
    steps: Aimd,
    allowed: u32,
    /// One bit for each of the last packets, the latest one lowest.
    recent: Mutex<u128>,
}

/// How many packets [`ErrorShare`] looks back upon.
const RECENT: u32 = 100;

impl ErrorShare {
    /// The defaults.
    pub const fn new() -> Self {
        Self::of_hundred(1)
    }

    /// Of the last 100 packets this many may be throttled.
    pub const fn of_hundred(allowed: u32) -> Self {
        let steps = Aimd::new().with_cut(0.9);
        Self { steps, allowed, recent: Mutex::new(0) }
    }

    /// How far it cuts, how fast it rises, and the floor.
    #[must_use]
    pub const fn with_steps(mut self, steps: Aimd) -> Self {
        self.steps = steps;
        self
    }

    fn is_exceeded(&self, throttled: bool) -> bool {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        *recent = (*recent << 1 | u128::from(throttled)) & ((1 << RECENT) - 1);
        let exceeded = recent.count_ones() > self.allowed;
        if exceeded {
            *recent = 0;
        }
        exceeded
    }
}

impl Default for ErrorShare {
    fn default() -> Self {
        Self::new()
    }
}

impl RatePolicy for ErrorShare {
    fn rate(&self, event: RateEvent) -> f64 {
        let cut = self.is_exceeded(event.throttled);
        match (cut, event.throttled) {
            (false, true) => event.rate,
            (cut, _) => self.steps.decide(cut, event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(throttled: bool, rate: f64) -> RateEvent {
        RateEvent { throttled, rate, ceiling: 200.0, since_change: Duration::from_secs(60) }
    }

    #[test]
    fn aimd_cuts_by_a_share_and_rises_by_a_step() {
        let policy = Aimd::new();
        assert_eq!(policy.rate(event(true, 200.0)), 170.0);
        assert_eq!(policy.rate(event(false, 170.0)), 172.0);
        assert_eq!(policy.rate(event(true, 1.1)), 1.0);
        // A rate that is below the floor already is not lifted by an overrun.
        assert_eq!(policy.rate(event(true, 0.5)), 0.5);
    }

    #[test]
    fn one_in_a_hundred_is_allowed_and_the_second_cuts_once() {
        let policy = ErrorShare::new();
        assert_eq!(policy.rate(event(true, 200.0)), 200.0);
        for _ in 0..99 {
            assert!(policy.rate(event(false, 200.0)) > 200.0);
        }
        // The first one is forgotten by now.
        assert_eq!(policy.rate(event(true, 200.0)), 200.0);
        assert_eq!(policy.rate(event(true, 200.0)), 180.0);
        assert_eq!(policy.rate(event(true, 180.0)), 180.0);
        assert_eq!(policy.rate(event(true, 1.05)), 1.0);
    }
}
