//! Who passes now, and who waits for whom.

use crate::bucket::Bucket;
use std::{collections::BTreeMap, task::Waker};
use tokio::time::Instant;

/// A bucket with a queue before it: first come, first served, whatever the cost.
///
/// Nothing is taken out before its owner passes, so a waiter that goes away has nothing to give
/// back but its place.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) bucket: Bucket,
    queue: BTreeMap<u64, Waiter>,
    next_place: u64,
    /// What all waiters cost.
    queued: u64,
}

#[derive(Debug)]
struct Waiter {
    cost: u64,
    waker: Waker,
}

/// How it stands with a waiter.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It has passed, and is to leave.
    Passed,
    /// It is first, and passes then if nothing changes.
    First(Instant),
    /// Others are before it.
    Behind,
}

impl Gate {
    pub(crate) fn new(bucket: Bucket) -> Self {
        Self { bucket, queue: BTreeMap::new(), next_place: 0, queued: 0 }
    }

    /// Lets a newcomer pass, if it can without waiting.
    pub(crate) fn pass(&mut self, now: Instant, cost: u64) -> bool {
        self.queue.is_empty() && self.bucket.take(now, cost)
    }

    /// When a newcomer would pass.
    pub(crate) fn due(&mut self, now: Instant, cost: u64) -> Instant {
        self.bucket.due(now, self.queued, cost).max(now)
    }

    /// Takes a newcomer in, behind all others.
    pub(crate) fn enter(&mut self, cost: u64) -> u64 {
        let place = self.next_place;
        self.next_place += 1;
        self.queued += cost;
        self.queue.insert(place, Waiter { cost, waker: Waker::noop().clone() });
        place
    }

    /// Lets a waiter pass, if it is its turn and time, or else wakes it when that may have come.
    pub(crate) fn advance(&mut self, now: Instant, place: u64, waker: &Waker) -> Turn {
        let is_first = self.first() == Some(place);
        let Some(waiter) = self.queue.get_mut(&place) else { return Turn::Behind };
        let cost = waiter.cost;
        if is_first && self.bucket.take(now, cost) {
            return Turn::Passed;
        }
        waiter.waker.clone_from(waker);
        match is_first {
            true => Turn::First(self.bucket.due(now, 0, cost)),
            false => Turn::Behind,
        }
    }

    /// Strikes a waiter off, and returns whom to wake: the one who is first now.
    pub(crate) fn leave(&mut self, place: u64) -> Option<Waker> {
        let was_first = self.first() == Some(place);
        let gone = self.queue.remove(&place)?;
        self.queued -= gone.cost;
        was_first.then(|| self.first_waker()).flatten()
    }

    /// When this waiter would pass.
    pub(crate) fn due_of(&mut self, now: Instant, place: u64) -> Instant {
        let ahead = self.queue.range(..place).map(|(_, waiter)| waiter.cost).sum();
        let cost = self.queue.get(&place).map_or(0, |waiter| waiter.cost);
        self.bucket.due(now, ahead, cost).max(now)
    }

    pub(crate) fn waiters(&self) -> usize {
        self.queue.len()
    }

    /// The waker of the one whose time may have changed.
    pub(crate) fn first_waker(&self) -> Option<Waker> {
        self.queue.first_key_value().map(|(_, waiter)| waiter.waker.clone())
    }

    fn first(&self) -> Option<u64> {
        self.queue.first_key_value().map(|(place, _)| *place)
    }
}
