//! What a node has seen.

use super::rule::Call;
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// The counters of one node.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) packets: AtomicU64,
    pub(crate) answered: AtomicU64,
    pub(crate) throttled: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    by_method: Mutex<BTreeMap<String, u64>>,
}

/// Counts a packet as in flight until dropped.
#[derive(Debug)]
pub(crate) struct InFlight<'a>(&'a AtomicU64);

impl Counters {
    pub(crate) fn arrive(&self, calls: &[Call<'_>]) -> InFlight<'_> {
        self.packets.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        let mut by_method = self.by_method.lock().unwrap_or_else(PoisonError::into_inner);
        for call in calls {
            match by_method.get_mut(call.method) {
                Some(count) => *count += 1,
                None => drop(by_method.insert(call.method.to_owned(), 1)),
            }
        }
        InFlight(&self.in_flight)
    }

    pub(crate) fn by_method(&self) -> BTreeMap<String, u64> {
        self.by_method.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn calls(&self, method: &str) -> u64 {
        let by_method = self.by_method.lock().unwrap_or_else(PoisonError::into_inner);
        by_method.get(method).copied().unwrap_or_default()
    }

    pub(crate) fn total_calls(&self) -> u64 {
        self.by_method.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    pub(crate) fn reset(&self) {
        for counter in [&self.packets, &self.answered, &self.throttled] {
            counter.store(0, Relaxed);
        }
        self.by_method.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
