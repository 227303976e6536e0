use crate::shared::Shared;
use std::{
    fmt,
    num::NonZeroU32,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::time::Instant;

/// A handle on the budget that all services of one [`RateLimitLayer`](crate::RateLimitLayer)
/// share; clones are the same.
#[derive(Clone)]
pub struct RateLimiter {
    shared: Arc<Shared>,
}

impl RateLimiter {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The rate now, in units per second: the one that was set, or what a policy made of it.
    pub fn rate(&self) -> f64 {
        self.shared.state().rate
    }

    /// Sets the rate, in units per second, and with it the most that a policy may make of it.
    /// Waiters wait for as long as the new rate demands. Burst and tokens stay.
    pub fn set_rate(&self, units: NonZeroU32) {
        self.shared.set_ceiling(f64::from(units.get()));
    }

    /// How many units may pass now; negative while what passed on credit is paid off.
    pub fn tokens(&self) -> f64 {
        self.shared.state().gate.bucket.tokens(Instant::now())
    }

    /// How many packets wait for their turn.
    pub fn waiters(&self) -> usize {
        self.shared.state().gate.waiters()
    }

    /// How long all packets that have passed had waited for their turn, in sum.
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.shared.counts.waited_nanos.load(Relaxed))
    }

    /// How many packets the endpoint's own limit turned away, in whole or in part.
    pub fn throttled(&self) -> u64 {
        self.shared.counts.throttled.load(Relaxed)
    }

    /// How many packets this limiter had no room for within the time that they had.
    pub fn refused(&self) -> u64 {
        self.shared.counts.refused.load(Relaxed)
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("rate", &self.rate())
            .field("tokens", &self.tokens())
            .field("waiters", &self.waiters())
            .finish_non_exhaustive()
    }
}
