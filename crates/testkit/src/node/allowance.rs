//! A rate limit that the node enforces.

use super::disruption::{HttpAnswer, RetryAfter};
use std::{collections::VecDeque, num::NonZeroU32, time::Duration};
use tokio::time::Instant;

/// How many calls a node takes, each member of a packet counted by itself: as a token bucket, or
/// in a sliding window of a second.
///
/// A packet that finds too little room gets status 429 with the time to wait, and takes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    per_second: NonZeroU32,
    burst: NonZeroU32,
    sliding: bool,
    hint: Option<Duration>,
}

impl RateLimit {
    /// A token bucket: so many calls per second, and as many at once.
    pub const fn per_second(calls: NonZeroU32) -> Self {
        Self { per_second: calls, burst: calls, sliding: false, hint: None }
    }

    /// Sets how many calls may come at once.
    #[must_use]
    pub const fn with_burst(mut self, calls: NonZeroU32) -> Self {
        self.burst = calls;
        self
    }

    /// So many calls in any second.
    pub const fn in_any_second(calls: NonZeroU32) -> Self {
        Self { sliding: true, ..Self::per_second(calls) }
    }

    /// Says this time to wait, in milliseconds in the body, in place of the right one in whole
    /// seconds in the header.
    #[must_use]
    pub const fn with_hint(mut self, hint: Duration) -> Self {
        self.hint = Some(hint);
        self
    }

    /// What a packet is told that has to wait for this long.
    pub(crate) fn refusal(&self, wait: Duration) -> HttpAnswer {
        let answer = HttpAnswer::new(429);
        match self.hint {
            Some(hint) => {
                let hint = hint.as_millis();
                answer.with_body(format!("Too Many Requests, retry in {hint}ms"))
            }
            None => {
                let seconds = RetryAfter::Seconds(wait.as_secs_f64().ceil() as u64);
                answer.with_body("Too Many Requests").with_retry_after(seconds)
            }
        }
    }
}

/// What is left of a [`RateLimit`].
#[derive(Debug)]
pub(crate) struct Allowance {
    pub(crate) limit: RateLimit,
    tokens: f64,
    since: Instant,
    /// When the calls of the last second came.
    taken: VecDeque<Instant>,
}

impl Allowance {
    pub(crate) fn new(limit: RateLimit) -> Self {
        let tokens = f64::from(limit.burst.get());
        Self { limit, tokens, since: Instant::now(), taken: VecDeque::new() }
    }

    /// Goes on with another limit; what was taken is taken.
    pub(crate) fn change(&mut self, limit: RateLimit) {
        self.refill(Instant::now());
        self.tokens = self.tokens.min(f64::from(limit.burst.get()));
        self.limit = limit;
    }

    /// Takes calls, or tells how long until there is room for them.
    pub(crate) fn take(&mut self, calls: usize) -> Result<(), Duration> {
        let now = Instant::now();
        self.refill(now);
        let wait = match self.limit.sliding {
            true => self.wait_for_window(now, calls),
            false => self.wait_for_tokens(calls),
        };
        if wait > Duration::ZERO {
            return Err(wait);
        }
        self.tokens -= calls as f64;
        self.taken.extend(std::iter::repeat_n(now, calls));
        Ok(())
    }

    fn refill(&mut self, now: Instant) {
        let (rate, burst) = (self.limit.per_second.get(), self.limit.burst.get());
        let earned = (now - self.since).as_secs_f64() * f64::from(rate);
        self.tokens = (self.tokens + earned).min(f64::from(burst));
        self.since = now;
        while self.taken.front().is_some_and(|taken| now - *taken >= Duration::from_secs(1)) {
            self.taken.pop_front();
        }
    }

    fn wait_for_tokens(&self, calls: usize) -> Duration {
        let (rate, burst) = (self.limit.per_second.get(), self.limit.burst.get());
        // A batch above the burst passes on a full bucket and leaves a debt.
        let missing = (calls as f64).min(f64::from(burst)) - self.tokens;
        match missing > 1e-9 {
            true => Duration::from_secs_f64(missing / f64::from(rate)),
            false => Duration::ZERO,
        }
    }

    fn wait_for_window(&self, now: Instant, calls: usize) -> Duration {
        let most = self.limit.per_second.get() as usize;
        // A batch above the limit passes on an empty window.
        let excess = (self.taken.len() + calls.min(most)).checked_sub(most + 1);
        let last = excess.and_then(|excess| self.taken.get(excess.min(self.taken.len() - 1)));
        last.map_or(Duration::ZERO, |last| *last + Duration::from_secs(1) - now)
    }
}
