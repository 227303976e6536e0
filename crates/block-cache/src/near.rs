//! Which answers a reorg may concern.

use crate::{
    entry::{Bond, Entry},
    question::chain_of,
};
use foldhash::fast::RandomState;
use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, PoisonError},
};

/// Final answers so deep below the head are not looked for after a reorg.
const WATCHED: u64 = 256;
/// For one key that is noted there is room for so many bytes of answers: so what is noted stays
/// small, whatever is asked.
const BYTES_PER_KEY: u64 = 1024;

/// Which keys belong to blocks near the head, by chain and height, as digests.
pub(crate) struct Near {
    room: u64,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    digests: BTreeMap<(u64, u64), HashSet<u64, RandomState>>,
    count: u64,
    /// By chain: up to this height there was no room for all keys, or some were not looked at.
    incomplete: BTreeMap<u64, u64>,
}

impl Near {
    pub(crate) fn new(max_bytes: u64) -> Self {
        Self { room: max_bytes / BYTES_PER_KEY, noted: Mutex::default() }
    }

    /// This is kept, when the chain's head is at this height.
    pub(crate) fn note(&self, digest: u64, entry: &Entry, head: Option<u64>) {
        let (Some(number), Some(chain_id)) = (entry.bond.number(), chain_of(&entry.key)) else {
            return;
        };
        let lowest = head.unwrap_or(number).saturating_sub(WATCHED);
        if number < lowest && matches!(entry.bond, Bond::Final(_)) {
            return;
        }
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.forget_below(chain_id, lowest);
        if noted.count >= self.room {
            noted.overflow();
        }
        let digests = noted.digests.entry((chain_id, number)).or_default();
        noted.count += u64::from(digests.insert(digest));
    }

    /// This is kept, and not noted: it was final long ago, most likely.
    pub(crate) fn overlook(&self, entry: &Entry) {
        if let (Some(number), Some(chain_id)) = (entry.bond.number(), chain_of(&entry.key)) {
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.is_incomplete(chain_id, number);
        }
    }

    /// The keys of the blocks from this height on, which are forgotten; nothing if it does not
    /// know them all.
    pub(crate) fn take_from(&self, chain_id: u64, from: u64) -> Option<Vec<u64>> {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let blocks = (chain_id, from)..=(chain_id, u64::MAX);
        let taken = noted.digests.extract_if(blocks, |_, _| true).flat_map(|(_, digests)| digests);
        let taken: Vec<_> = taken.collect();
        noted.count -= taken.len() as u64;
        noted.incomplete.get(&chain_id).is_none_or(|up_to| *up_to < from).then_some(taken)
    }
}

impl Noted {
    fn forget_below(&mut self, chain_id: u64, lowest: u64) {
        while let Some((&block, digests)) =
            self.digests.range((chain_id, 0)..(chain_id, lowest)).next()
        {
            self.count -= digests.len() as u64;
            self.digests.remove(&block);
        }
        self.incomplete.retain(|chain, up_to| *chain != chain_id || *up_to >= lowest);
    }

    fn is_incomplete(&mut self, chain_id: u64, up_to: u64) {
        let known = self.incomplete.entry(chain_id).or_default();
        *known = up_to.max(*known);
    }

    /// Forgets all, and that it has.
    fn overflow(&mut self) {
        self.count = 0;
        for (chain_id, number) in std::mem::take(&mut self.digests).into_keys() {
            self.is_incomplete(chain_id, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes so many keys at this height of this chain, when that is the head.
    fn note(near: &Near, chain_id: u64, number: u64, keys: u64) {
        let entry = Entry::of_final_block(chain_id, number);
        (0..keys).for_each(|key| near.note(key, &entry, Some(number)));
    }

    #[test]
    fn where_not_all_was_noted_it_says_so_whatever_other_chains_do() {
        let near = Near::new(4 * BYTES_PER_KEY);
        note(&near, 1, 100, 2);
        note(&near, 10, 100, 2);
        note(&near, 10, 101, 1);
        note(&near, 10, 500, 1);
        assert_eq!(near.take_from(1, 100), None);
        assert_eq!(near.take_from(10, 500), Some(vec![0]));
        note(&near, 1, 400, 1);
        assert_eq!(near.take_from(1, 400), Some(vec![0]), "so far below nothing is looked for");
    }

    #[test]
    fn what_was_overlooked_is_not_all() {
        let near = Near::new(1 << 20);
        near.overlook(&Entry::of_final_block(1, 100));
        assert_eq!(near.take_from(1, 90), None);
        assert_eq!(near.take_from(1, 101), Some(Vec::new()));
    }
}
