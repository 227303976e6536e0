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
    /// There was no room for all keys up to this chain and height.
    incomplete: Option<(u64, u64)>,
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
            let last = noted.digests.last_key_value().map(|(block, _)| *block);
            *noted = Noted { incomplete: last.max(noted.incomplete), ..Noted::default() };
        }
        let digests = noted.digests.entry((chain_id, number)).or_default();
        noted.count += u64::from(digests.insert(digest));
    }

    /// The keys of the blocks from this height on, which are forgotten; nothing if it does not
    /// know them all.
    pub(crate) fn take_from(&self, chain_id: u64, from: u64) -> Option<Vec<u64>> {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let blocks = (chain_id, from)..=(chain_id, u64::MAX);
        let taken = noted.digests.extract_if(blocks, |_, _| true).flat_map(|(_, digests)| digests);
        let taken: Vec<_> = taken.collect();
        noted.count -= taken.len() as u64;
        noted.incomplete.is_none().then_some(taken)
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
        self.incomplete.take_if(|(chain, number)| *chain == chain_id && *number < lowest);
    }
}
