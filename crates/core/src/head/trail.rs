//! The hashes that one endpoint has shown.

use super::{Orphan, SightedBlock};
use alloy_primitives::B256;
use std::{cmp::Ordering, collections::BTreeMap};
use tokio::time::Instant;

/// Hashes by height, without those that what was shown later does not link to.
#[derive(Default)]
pub(super) struct Trail(BTreeMap<u64, Link>);

#[derive(Clone, Copy)]
pub(super) struct Link {
    pub(super) hash: B256,
    pub(super) parent: Option<B256>,
    /// Since when it stands here, and when it was last shown.
    pub(super) since: Instant,
    pub(super) seen: Instant,
}

impl Trail {
    pub(super) fn at(&self, number: u64) -> Option<&Link> {
        self.0.get(&number)
    }

    pub(super) fn hash_at(&self, number: u64) -> Option<B256> {
        self.at(number).map(|link| link.hash)
    }

    /// Whether both have the same at the newest height that both know; nothing if there is none.
    pub(super) fn agrees(&self, other: &Self) -> Option<bool> {
        let mut newest = self.0.iter().rev();
        newest.find_map(|(number, link)| Some(link.hash == other.hash_at(*number)?))
    }

    /// Adds a block, and returns what it puts in doubt.
    ///
    /// A block that contradicts the trail shows that the chain was replaced from some height on
    /// that is not known. So only that side of the trail stays whose next block links to this one:
    /// what is further down, or up, linked to that already.
    pub(super) fn show(&mut self, block: &SightedBlock, now: Instant) -> Vec<Orphan> {
        let SightedBlock { number, hash, parent, .. } = *block;
        let known = self.0.get(&number).copied();
        let same = known.is_some_and(|known| known.hash == hash);
        let parent = parent.or_else(|| known.filter(|_| same)?.parent);
        let before = number.checked_sub(1).and_then(|before| self.hash_at(before));
        let below = parent.zip(before).map(|(parent, before)| parent == before);
        let after = number.checked_add(1).and_then(|after| self.0.get(&after)?.parent);
        let above = after.map(|parent| parent == hash);

        let replaced = known.is_some() && !same;
        let mut orphaned = Vec::new();
        if replaced || below == Some(false) || above == Some(false) {
            orphaned = self.retain(|other| match other.cmp(&number) {
                Ordering::Less => below.unwrap_or(same),
                Ordering::Equal => same,
                Ordering::Greater => above.unwrap_or(same),
            });
        }
        let since = known.filter(|_| same).map_or(now, |known| known.since);
        self.0.insert(number, Link { hash, parent, since, seen: now });
        orphaned
    }

    /// Drops all above this height, and returns it.
    pub(super) fn drop_above(&mut self, number: u64) -> Vec<Orphan> {
        self.retain(|other| other <= number)
    }

    /// Forgets all below this height, which puts it not in doubt.
    pub(super) fn forget_below(&mut self, number: u64) {
        while self.0.first_key_value().is_some_and(|(first, _)| *first < number) {
            self.0.pop_first();
        }
    }

    fn retain(&mut self, keep: impl Fn(u64) -> bool) -> Vec<Orphan> {
        let dropped = self.0.extract_if(.., |number, _| !keep(*number));
        dropped.map(|(number, link)| (number, link.hash)).collect()
    }
}

#[cfg(test)]
mod tests;
