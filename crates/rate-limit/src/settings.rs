use crate::{CostModel, RatePolicy};
use alclad_core::Classify;
use std::{num::NonZeroU32, sync::Arc, time::Duration};

/// How long a packet may wait where nobody says otherwise.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// What a layer was told.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) rate: NonZeroU32,
    pub(crate) burst: Option<NonZeroU32>,
    pub(crate) window: Option<Duration>,
    pub(crate) max_wait: Option<Duration>,
    pub(crate) max_waiters: usize,
    /// `None`: one unit per request.
    pub(crate) costs: Option<Arc<dyn CostModel>>,
    pub(crate) policy: Option<Arc<dyn RatePolicy>>,
    pub(crate) classifier: Option<Arc<dyn Classify>>,
}

impl Settings {
    pub(crate) fn new(rate: NonZeroU32, costs: Option<Arc<dyn CostModel>>) -> Self {
        Self {
            rate,
            burst: None,
            window: None,
            max_wait: None,
            max_waiters: 10_000,
            costs,
            policy: None,
            classifier: None,
        }
    }

    /// How much may pass at once: a twentieth of a second's worth, or 1.5 % of a window's.
    pub(crate) fn burst(&self) -> u32 {
        let rate = f64::from(self.rate.get());
        let share = self.window.map_or(rate * 0.05, |window| rate * window.as_secs_f64() * 0.015);
        self.burst.map_or((share as u32).max(1), NonZeroU32::get)
    }

    /// How fast the bucket fills. No window gets more than it may: the burst is taken off, and
    /// another 1.5 % for packets that arrive later than they left.
    pub(crate) fn flow(&self, rate: f64) -> f64 {
        self.window.map_or(rate, |window| {
            let burst = f64::from(self.burst()) / window.as_secs_f64();
            (rate * 0.985 - burst).max(rate / 2.0)
        })
    }

    /// How long a packet may wait; `asked` if a rotation asks before it sends.
    pub(crate) fn max_wait(&self, asked: bool) -> Duration {
        self.max_wait.unwrap_or(if asked { Duration::ZERO } else { MAX_WAIT })
    }
}
