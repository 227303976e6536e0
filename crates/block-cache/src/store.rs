use crate::{
    FileError, Statistics,
    entry::Entry,
    file, glob,
    near::Near,
    question::{Key, chain_of},
    statistics::Counters,
};
use alclad_core::{EndpointId, names};
use foldhash::fast::RandomState;
use moka::{policy::EvictionPolicy, sync::Cache};
use std::{
    fmt,
    ops::RangeInclusive,
    path::Path,
    sync::{
        Arc, Weak,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
};

/// The store of one or more cache layers, and the handle on it. Clones share it.
///
/// Layers of pipelines for different chains may share one: the chain is part of every key.
#[derive(Clone)]
pub struct BlockCache(Arc<Shared>);

struct Shared {
    // First: when the store goes, its entries are not evicted.
    counters: Arc<Counters>,
    cache: Cache<Key, Arc<Entry>, RandomState>,
    max_bytes: u64,
    near: Near,
    /// How often something was cleared.
    clears: AtomicU64,
}

/// A store that lives as long as others hold it.
pub(crate) struct WeakStore(Weak<Shared>);

impl WeakStore {
    pub(crate) fn upgrade(&self) -> Option<BlockCache> {
        self.0.upgrade().map(BlockCache)
    }
}

impl BlockCache {
    /// Room for so many bytes: answers, keys, and what holding them costs. The longest without use
    /// goes first.
    pub fn new(max_bytes: u64) -> Self {
        let cache = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|key: &Key, entry: &Arc<Entry>| entry.weight(key))
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(RandomState::default());
        let (near, counters) = (Near::new(max_bytes), Arc::new(Counters::new()));
        Self(Arc::new(Shared { counters, cache, max_bytes, near, clears: AtomicU64::new(0) }))
    }

    /// What came of the questions so far, and what it holds.
    pub fn statistics(&self) -> Statistics {
        let Shared { cache, max_bytes, counters, .. } = &*self.0;
        cache.run_pending_tasks();
        let (entries, bytes) = (cache.entry_count(), cache.weighted_size());
        emit_size(entries, bytes);
        let mut statistics =
            Statistics { entries, bytes, max_bytes: *max_bytes, ..Statistics::default() };
        counters.read(&mut statistics);
        statistics
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.clear_if(|_| true);
    }

    /// Forgets the answers to methods by this name or pattern: `eth_getLogs`, `eth_get*`, `*`.
    pub fn clear_methods(&self, pattern: &str) {
        self.clear_if(|entry| glob::matches(pattern, entry.method.name));
    }

    /// Forgets what belongs to any of these blocks, logs of ranges that touch them included.
    pub fn clear_blocks(&self, blocks: RangeInclusive<u64>) {
        self.clear_if(|entry| {
            let to = entry.bond.number();
            let (from, to) = (entry.from.or(to), to.or(entry.from));
            from.zip(to).is_some_and(|(from, to)| from <= *blocks.end() && to >= *blocks.start())
        });
    }

    /// Forgets what this endpoint has answered.
    pub fn clear_endpoint(&self, endpoint: &EndpointId) {
        self.clear_if(|entry| entry.endpoint.as_ref() == Some(endpoint));
    }

    /// Writes all that is final on this chain to a file, and returns how many answers that are.
    ///
    /// It writes beside the file and then puts the new one in its place. It blocks.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>, chain_id: u64) -> Result<usize, FileError> {
        let all = self.0.cache.iter().map(|(key, entry)| (Key::clone(&key), entry));
        let is_final = |(key, entry): &(Key, Arc<Entry>)| {
            chain_of(key) == Some(chain_id) && entry.is_kept_for_ever()
        };
        let all = all.filter(is_final);
        file::save(path.as_ref(), chain_id, all)
    }

    /// Reads what [`save`](Self::save) has written, and returns how many answers that were. It
    /// blocks.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is of another chain, or is not what was written. Then nothing of
    /// it is taken.
    pub fn load(&self, path: impl AsRef<Path>, chain_id: u64) -> Result<usize, FileError> {
        let all = file::load(path.as_ref(), chain_id)?;
        let count = all.len();
        for (key, entry) in all {
            self.remove(&key);
            self.0.cache.insert(key, Arc::new(entry.kept_by(&self.0.counters)));
        }
        Ok(count)
    }

    fn clear_if(&self, is_meant: impl Fn(&Entry) -> bool) {
        // What is in flight now is not kept.
        self.0.clears.fetch_add(1, AcqRel);
        let meant = self.0.cache.iter().filter(|(_, entry)| is_meant(entry));
        meant.for_each(|(key, _)| self.remove(&key));
    }

    pub(crate) fn downgrade(&self) -> WeakStore {
        WeakStore(Arc::downgrade(&self.0))
    }

    pub(crate) fn clears(&self) -> u64 {
        self.0.clears.load(Acquire)
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// What stands under this key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Arc<Entry>> {
        self.0.cache.get(key)
    }

    /// Keeps an answer, when the chain's head is at this height.
    pub(crate) fn insert(&self, key: Key, entry: Entry, head: Option<u64>) -> Arc<Entry> {
        let entry = Arc::new(entry.kept_by(&self.0.counters));
        self.0.near.note(&key, &entry, head);
        self.0.cache.insert(key, Arc::clone(&entry));
        if self.0.counters.is_time_for_size() {
            emit_size(self.0.cache.entry_count(), self.0.cache.weighted_size());
        }
        entry
    }

    pub(crate) fn remove(&self, key: &[u8]) {
        if let Some(entry) = self.0.cache.remove(key) {
            entry.is_removed();
        }
    }

    /// The blocks from this height on were replaced.
    pub(crate) fn orphan(&self, chain_id: u64, from: u64) {
        #[cfg(test)]
        if crate::entry::BLIND.get() {
            return;
        }
        let keys = self.0.near.take_from(chain_id, from).unwrap_or_else(|| {
            let all = self.0.cache.iter().filter(|(key, entry)| {
                chain_of(key) == Some(chain_id) && entry.bond.number() >= Some(from)
            });
            all.map(|(key, _)| Key::clone(&key)).collect()
        });
        self.0.counters.orphaned.fetch_add(keys.len() as u64, Relaxed);
        keys.iter().for_each(|key| self.remove(key));
    }
}

fn emit_size(entries: u64, bytes: u64) {
    metrics::gauge!(names::CACHE_ENTRIES).set(entries as f64);
    metrics::gauge!(names::CACHE_BYTES).set(bytes as f64);
}

impl fmt::Debug for BlockCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { cache, max_bytes, .. } = &*self.0;
        f.debug_struct("BlockCache")
            .field("entries", &cache.entry_count())
            .field("bytes", &cache.weighted_size())
            .field("max_bytes", max_bytes)
            .finish()
    }
}
