//! How long a block takes.

use super::{SightedBlock, WINDOW};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// Ethereum's slot, until something is known.
const DEFAULT: Duration = Duration::from_secs(12);
/// The block time of the fastest of the large chains (Arbitrum One).
const FAST: Duration = Duration::from_millis(250);
/// What is learnt stays in these bounds, whatever a test chain does to its clock.
const BOUNDS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(60));
/// A timestamp is whole seconds: what lies closer together tells little.
const STAMPS_APART: u64 = 2;
/// Progress in less time than this may be endpoints that were asked one after the other.
const PROGRESS_TIME: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct Pace {
    given: Option<Duration>,
    /// Timestamps of recent blocks, in seconds, by height.
    stamps: BTreeMap<u64, u64>,
    moved: Option<Move>,
    /// The served head's progress, and the time that it took.
    blocks: u64,
    elapsed: Duration,
}

/// The served head when it last moved.
struct Move {
    height: u64,
    voters: usize,
    at: Instant,
}

impl Pace {
    pub(super) fn give(&mut self, block_time: Duration) {
        self.given = Some(block_time.max(Duration::from_millis(1)));
    }

    pub(super) fn forgotten(&self) -> Self {
        Self { given: self.given, ..Self::default() }
    }

    pub(super) fn block_time(&self) -> Duration {
        self.known().unwrap_or(DEFAULT)
    }

    /// How many blocks an endpoint may have seen since it told its head. Until it is known how long
    /// a block takes, it may be a fast chain.
    pub(super) fn blocks_since(&self, told: Duration) -> u64 {
        let block_time = self.known().unwrap_or(FAST);
        u64::try_from(told.as_nanos().div_ceil(block_time.as_nanos())).unwrap_or(u64::MAX)
    }

    fn known(&self) -> Option<Duration> {
        let (least, most) = BOUNDS;
        let learnt = || self.by_stamps().or_else(|| self.by_progress());
        self.given.or_else(|| Some(learnt()?.clamp(least, most)))
    }

    pub(super) fn blocks_in(&self, time: Duration) -> u64 {
        let blocks = time.as_nanos() / self.block_time().as_nanos();
        u64::try_from(blocks).unwrap_or(u64::MAX)
    }

    /// A block was seen. Old ones tell nothing of the present pace.
    pub(super) fn stamp(&mut self, block: &SightedBlock, served: u64) {
        let is_recent = |number: u64| number.abs_diff(served) < WINDOW;
        if let Some(timestamp) = block.timestamp.filter(|_| is_recent(block.number)) {
            self.stamps.insert(block.number, timestamp);
            self.stamps.retain(|number, _| is_recent(*number));
        }
    }

    /// The served head is here. Where others vote than before, it may have moved by that alone.
    pub(super) fn progress(&mut self, height: u64, voters: usize, at: Instant) {
        if let Some(moved) = &self.moved {
            if moved.height == height {
                return;
            }
            if moved.height < height && moved.voters == voters {
                self.blocks += height - moved.height;
                self.elapsed += at.duration_since(moved.at);
            }
        }
        self.moved = Some(Move { height, voters, at });
        if self.blocks > 8 * WINDOW {
            (self.blocks, self.elapsed) = (self.blocks / 2, self.elapsed / 2);
        }
    }

    fn by_stamps(&self) -> Option<Duration> {
        let (first, last) = self.stamps.first_key_value().zip(self.stamps.last_key_value())?;
        let seconds = last.1.checked_sub(*first.1).filter(|seconds| *seconds >= STAMPS_APART)?;
        per_block(Duration::from_secs(seconds), last.0 - first.0)
    }

    fn by_progress(&self) -> Option<Duration> {
        let told = self.blocks >= 2 && self.elapsed >= PROGRESS_TIME;
        told.then(|| per_block(self.elapsed, self.blocks)).flatten()
    }
}

fn per_block(time: Duration, blocks: u64) -> Option<Duration> {
    time.checked_div(u32::try_from(blocks).ok()?)
}

#[cfg(test)]
mod tests;
