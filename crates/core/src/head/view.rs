//! What one endpoint has shown.

use super::{Orphan, Sighting, WINDOW, trail::Trail};
use crate::EndpointId;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// A height that may be unknown, read without a lock. Nobody believes in a block `u64::MAX`.
pub(super) struct Height(AtomicU64);

impl Height {
    pub(super) fn get(&self) -> Option<u64> {
        Some(self.0.load(Relaxed)).filter(|height| *height != u64::MAX)
    }

    pub(super) fn set(&self, height: Option<u64>) {
        let height = height.unwrap_or(u64::MAX);
        if self.0.load(Relaxed) != height {
            self.0.store(height, Relaxed);
        }
    }
}

impl Default for Height {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

/// The part of a view that is read without a lock. Written only under the board's.
#[derive(Default)]
pub(super) struct Standing {
    pub(super) head: Height,
    lag: AtomicU64,
    lagging: AtomicBool,
}

impl Standing {
    pub(super) fn lag(&self) -> u64 {
        self.lag.load(Relaxed)
    }

    pub(super) fn is_lagging(&self) -> bool {
        self.lagging.load(Relaxed)
    }

    /// More than `patience` is lagging, half of it no longer; between the two nothing changes.
    pub(super) fn set_lag(&self, lag: u64, patience: u64) {
        let lagging = lag > patience || (lag > patience / 2 && self.is_lagging());
        // What has not changed is not written, so that its readers keep the line.
        if (self.lag(), self.is_lagging()) != (lag, lagging) {
            self.lag.store(lag, Relaxed);
            self.lagging.store(lagging, Relaxed);
        }
    }
}

#[derive(Default)]
pub(super) struct View {
    pub(super) endpoint: Option<EndpointId>,
    pub(super) standing: Arc<Standing>,
    /// When it last showed its head.
    pub(super) seen: Option<Instant>,
    /// Its `latest` as it last told it, and when.
    pub(super) told: Option<(u64, Instant)>,
    pub(super) safe: Option<u64>,
    pub(super) finalized: Option<u64>,
    /// What is not believed, and when it was said.
    pub(super) claim: Option<(u64, Instant)>,
    /// It was far ahead once, and that was confirmed.
    pub(super) believed: bool,
    pub(super) trail: Trail,
    /// Heights that it had reached at some time: one a while ago, and one more recent.
    pub(super) marks: [Option<Mark>; 2],
}

/// A height that was reached by this time, in a burst of answers that began then.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    height: u64,
    began: Instant,
    at: Instant,
}

/// Answers within this time make one mark.
const BURST: Duration = Duration::from_secs(1);
/// Between two marks there is this time.
const MARK_EVERY: Duration = Duration::from_secs(30);

impl View {
    pub(super) fn head(&self) -> Option<u64> {
        self.standing.head.get()
    }

    pub(super) fn take(&mut self, sighting: &Sighting, now: Instant) -> Vec<Orphan> {
        let mut orphaned = Vec::new();
        if let Some(latest) = sighting.latest {
            orphaned = self.trail.drop_above(latest);
            self.standing.head.set(Some(latest));
            (self.seen, self.told) = (Some(now), Some((latest, now)));
        }
        let shown = sighting.block.map(|block| block.number);
        let shown = shown.max(sighting.safe).max(sighting.finalized);
        if shown.is_some() && shown >= self.head() {
            self.standing.head.set(shown);
            self.seen = Some(now);
        }
        self.safe = self.safe.max(sighting.safe);
        self.finalized = self.finalized.max(sighting.finalized);
        let head = self.head();
        self.claim.take_if(|(height, _)| sighting.latest.is_some() || Some(*height) <= head);
        let bottom = head.map_or(0, |head| head.saturating_sub(WINDOW - 1));
        let canonical = sighting.block.filter(|block| !sighting.by_hash && block.number >= bottom);
        if let Some(block) = canonical {
            orphaned.extend(self.trail.show(&block, now));
            orphaned.sort_unstable();
        }
        self.trail.forget_below(bottom);
        self.mark(now);
        orphaned
    }

    /// Whether it is known to have had this block by then.
    pub(super) fn had(&self, number: u64, then: Instant) -> bool {
        let head = self.head().unwrap_or_default();
        let marks = self.marks.iter().flatten();
        marks.filter(|mark| mark.at <= then).any(|mark| number <= mark.height.min(head))
    }

    fn mark(&mut self, now: Instant) {
        let Some(height) = self.head() else { return };
        match &mut self.marks[1] {
            Some(mark) if now - mark.began <= BURST => (mark.height, mark.at) = (height, now),
            Some(mark) if now - mark.at < MARK_EVERY => {}
            latest => {
                self.marks[0] = latest.take();
                self.marks[1] = Some(Mark { height, began: now, at: now });
            }
        }
    }

    pub(super) fn lower_to(&mut self, head: u64) -> Vec<Orphan> {
        if self.head().is_some_and(|known| known > head) {
            self.standing.head.set(Some(head));
        }
        self.trail.drop_above(head)
    }

    pub(super) fn believe(&mut self) {
        if let Some((height, at)) = self.claim.take() {
            self.standing.head.set(Some(height));
            self.trail.forget_below(height.saturating_sub(WINDOW - 1));
            self.seen = Some(at);
            self.believed = true;
        }
    }

    pub(super) fn forget(&mut self) {
        let (endpoint, standing) = (self.endpoint.take(), Arc::clone(&self.standing));
        standing.head.set(None);
        standing.set_lag(0, 0);
        *self = Self { endpoint, standing, ..Self::default() };
    }
}
