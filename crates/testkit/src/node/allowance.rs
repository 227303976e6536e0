//! A rate limit that the node enforces.

use std::{num::NonZeroU32, time::Duration};
use tokio::time::Instant;

/// How many calls a node takes: a token bucket, one token for each member of a packet.
///
/// A packet that finds too few tokens gets status 429 with the seconds to wait, and takes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    per_second: NonZeroU32,
    burst: NonZeroU32,
}

impl RateLimit {
    /// So many calls per second, and as many at once.
    pub const fn per_second(calls: NonZeroU32) -> Self {
        Self { per_second: calls, burst: calls }
    }

    /// Sets how many calls may come at once.
    #[must_use]
    pub const fn with_burst(mut self, calls: NonZeroU32) -> Self {
        self.burst = calls;
        self
    }
}

/// The bucket of a [`RateLimit`].
#[derive(Debug)]
pub(crate) struct Allowance {
    limit: RateLimit,
    tokens: f64,
    since: Instant,
}

impl Allowance {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self { limit, tokens: f64::from(limit.burst.get()), since: Instant::now() }
    }

    /// Takes tokens, or tells how long until there are enough.
    pub(crate) fn take(&mut self, calls: usize) -> Result<(), Duration> {
        let (rate, burst) = (f64::from(self.limit.per_second.get()), self.limit.burst.get());
        let now = Instant::now();
        let earned = (now - self.since).as_secs_f64() * rate;
        self.tokens = (self.tokens + earned).min(f64::from(burst));
        self.since = now;
        // A batch above the burst passes on a full bucket and leaves a debt.
        let missing = (calls as f64).min(f64::from(burst)) - self.tokens;
        if missing > 1e-9 {
            return Err(Duration::from_secs_f64(missing / rate));
        }
        self.tokens -= calls as f64;
        Ok(())
    }
}
