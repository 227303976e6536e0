//! What metrics say of an endpoint's state.

use alclad_core::{EndpointId, Lookout, names};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The head and the lag that were told last.
pub(super) struct Gauges {
    head: AtomicU64,
    lag: AtomicU64,
}

impl Default for Gauges {
    fn default() -> Self {
        Self { head: AtomicU64::new(u64::MAX), lag: AtomicU64::new(u64::MAX) }
    }
}

impl Gauges {
    /// Tells where an endpoint is, if that has changed.
    pub(super) fn tell(&self, id: &EndpointId, lookout: &Lookout) {
        let Some(head) = lookout.head() else { return };
        let lag = lookout.lag();
        if (self.head.load(Relaxed), self.lag.load(Relaxed)) == (head, lag) {
            return;
        }
        self.head.store(head, Relaxed);
        self.lag.store(lag, Relaxed);
        gauge(names::ENDPOINT_HEAD, id, head as f64);
        gauge(names::ENDPOINT_LAG, id, lag as f64);
    }
}

/// Tells whether an endpoint is asked as usual.
pub(super) fn health(id: &EndpointId, is_well: bool) {
    gauge(names::ENDPOINT_HEALTH, id, f64::from(u8::from(is_well)));
}

fn gauge(name: &'static str, id: &EndpointId, value: f64) {
    metrics::gauge!(name, names::ENDPOINT => id.to_string()).set(value);
}
