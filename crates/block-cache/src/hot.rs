//! What is asked most, a second time.

use crate::{
    entry::Entry,
    statistics::{SHARDS, shard_of_thread},
};
use std::{
    array,
    sync::{
        Arc, Mutex,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Acquire},
        },
    },
};

/// So many answers a shard has room for.
const SLOTS: usize = 64;
/// A larger entry takes longer to copy than to find.
const HEAVIEST: u32 = 4096;
/// After so many hits the store is asked again, which so learns what is in use.
const HITS: u8 = 16;

/// Answers that were asked for more than once, where a hit writes nothing that other threads read:
/// the store itself notes each hit, and two threads take turns to do so.
pub(crate) struct Hot {
    shards: Box<[Shard]>,
    heaviest: u32,
    generation: AtomicU64,
}

/// It is another thread's too only if there are more threads than shards.
#[repr(align(128))]
struct Shard(Mutex<[Option<Slot>; SLOTS]>);

struct Slot {
    digest: u64,
    entry: Arc<Entry>,
    generation: u64,
    left: u8,
}

impl Hot {
    /// For a store of so many bytes, of which it never holds on to more than a thirty-second.
    pub(crate) fn new(max_bytes: u64) -> Self {
        let shard = || Shard(Mutex::new(array::from_fn(|_| None)));
        let room = max_bytes / (32 * (SHARDS * SLOTS) as u64);
        let heaviest = u32::try_from(room).map_or(HEAVIEST, |room| room.min(HEAVIEST));
        let shards = (0..SHARDS).map(|_| shard()).collect();
        Self { shards, heaviest, generation: AtomicU64::new(0) }
    }

    /// What is there, if it is about the same.
    pub(crate) fn find<T>(
        &self,
        (digest, key): (u64, &[u8]),
        read: impl FnOnce(&Entry) -> Option<T>,
    ) -> Option<T> {
        let mut slots = self.shard().0.try_lock().ok()?;
        let place = &mut slots[digest as usize % SLOTS];
        let slot =
            place.as_mut().filter(|slot| slot.digest == digest && *slot.entry.key == *key)?;
        let is_of_now = slot.generation == self.generation();
        let read = read(&slot.entry).filter(|_| is_of_now && slot.left > 0);
        match read {
            Some(_) => slot.left -= 1,
            None => *place = None,
        }
        read
    }

    /// The store had this, when this was the generation.
    pub(crate) fn put(&self, digest: u64, entry: Arc<Entry>, generation: u64) {
        if entry.weight() > self.heaviest {
            return;
        }
        if let Ok(mut slots) = self.shard().0.try_lock() {
            slots[digest as usize % SLOTS] = Some(Slot { digest, entry, generation, left: HITS });
        }
    }

    /// To be read before the store is asked.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    /// Something was taken out of the store.
    pub(crate) fn forget(&self) {
        self.generation.fetch_add(1, AcqRel);
    }

    fn shard(&self) -> &Shard {
        &self.shards[shard_of_thread()]
    }
}
