use crate::{
    Contents, FileError, Statistics,
    chain::Chain,
    entry::Entry,
    file, glob,
    hot::Hot,
    near::Near,
    statistics::{Counters, Event},
};
use alclad_core::{EndpointId, names};
use foldhash::fast::RandomState;
use moka::{policy::EvictionPolicy, sync::Cache};
use serde_json::value::RawValue;
use std::{
    fmt,
    hash::BuildHasher,
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
    /// By the digests of their keys. Of two keys with one digest, one is kept.
    cache: Cache<u64, Arc<Entry>, RandomState>,
    digests: RandomState,
    hot: Hot,
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
            .weigher(|_, entry: &Arc<Entry>| entry.weight())
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(RandomState::default());
        let (near, hot) = (Near::new(max_bytes), Hot::new(max_bytes));
        let (counters, digests) = (Arc::new(Counters::new()), RandomState::default());
        let clears = AtomicU64::new(0);
        Self(Arc::new(Shared { counters, cache, digests, hot, max_bytes, near, clears }))
    }

    /// What came of the questions so far, and what it holds.
    pub fn statistics(&self) -> Statistics {
        let Shared { cache, max_bytes, counters, .. } = &*self.0;
        cache.run_pending_tasks();
        let (entries, bytes) = self.emit_size();
        let mut statistics =
            Statistics { entries, bytes, max_bytes: *max_bytes, ..Statistics::default() };
        counters.read(&mut statistics);
        statistics
    }

    /// What it holds, by method and by lifetime. It looks at every answer.
    pub fn contents(&self) -> Contents {
        let mut contents = Contents::default();
        self.0.cache.iter().for_each(|(_, entry)| contents.add(&entry));
        contents
    }

    /// Forgets everything, and returns how many answers that were.
    pub fn clear(&self) -> u64 {
        self.clear_if(|_| true)
    }

    /// Forgets the answers to methods by this name or pattern: `eth_getLogs`, `eth_get*`, `*`.
    /// Returns how many that were.
    pub fn clear_methods(&self, pattern: &str) -> u64 {
        self.clear_if(|entry| glob::matches(pattern, entry.method.name))
    }

    /// Forgets what belongs to any of these blocks, logs of ranges that touch them included.
    /// Returns how many answers that were.
    pub fn clear_blocks(&self, blocks: RangeInclusive<u64>) -> u64 {
        self.clear_if(|entry| {
            let to = entry.bond.number();
            let (from, to) = (entry.from.or(to), to.or(entry.from));
            from.zip(to).is_some_and(|(from, to)| from <= *blocks.end() && to >= *blocks.start())
        })
    }

    /// Forgets what this endpoint has answered, and returns how many answers that were.
    pub fn clear_endpoint(&self, endpoint: &EndpointId) -> u64 {
        self.clear_if(|entry| entry.endpoint.as_ref() == Some(endpoint))
    }

    /// Writes all that is final on this chain to a file, and returns how many answers that are.
    ///
    /// It writes beside the file and then puts the new one in its place. It blocks.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>, chain_id: u64) -> Result<usize, FileError> {
        let is_final = |entry: &Arc<Entry>| entry.is_of_chain(chain_id) && entry.is_kept_for_ever();
        let all = self.0.cache.iter().map(|(_, entry)| entry).filter(is_final);
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
        for entry in all {
            let digest = self.digest(&entry.key);
            self.remove(digest);
            self.0.near.overlook(&entry);
            self.0.cache.insert(digest, Arc::new(entry.kept_by(&self.0.counters)));
        }
        Ok(count)
    }

    fn clear_if(&self, is_meant: impl Fn(&Entry) -> bool) -> u64 {
        // What is in flight now is not kept.
        self.0.clears.fetch_add(1, AcqRel);
        let meant = self.0.cache.iter().filter(|(_, entry)| is_meant(entry));
        let count = meant.filter(|(digest, _)| self.remove(**digest)).count();
        self.0.hot.forget();
        count as u64
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

    /// The answer that stands under this key, if it is true.
    pub(crate) fn find(&self, key: &[u8], chain: &Chain) -> Option<Box<RawValue>> {
        let Shared { cache, counters, hot, .. } = &*self.0;
        let digest = self.digest(key);
        let read = |entry: &Entry| {
            let is_good = entry.is_good(chain);
            is_good.then(|| (entry.answer.clone(), entry.method, entry.age()))
        };
        let stored = || {
            let generation = hot.generation();
            let entry = cache.get(&digest).filter(|entry| *entry.key == *key)?;
            let found = read(&entry);
            match found {
                Some(_) => hot.put(digest, entry, generation),
                None => self.is_no_more(digest, &entry),
            }
            found
        };
        let (answer, method, age) = hot.find((digest, key), read).or_else(stored)?;
        counters.count(method, Event::Hit(age));
        Some(answer)
    }

    /// Another answer will take its place.
    fn is_no_more(&self, digest: u64, entry: &Entry) {
        entry.is_removed();
        if entry.has_expired() {
            self.remove(digest);
        }
    }

    /// Keeps an answer, when the chain's head is at this height.
    pub(crate) fn insert(&self, entry: Entry, head: Option<u64>) -> Arc<Entry> {
        let entry = Arc::new(entry.kept_by(&self.0.counters));
        let digest = self.digest(&entry.key);
        self.0.near.note(digest, &entry, head);
        self.0.cache.insert(digest, Arc::clone(&entry));
        if self.0.counters.is_time_for_size() {
            self.emit_size();
        }
        entry
    }

    /// Takes out again what has just been put in.
    pub(crate) fn take_back(&self, entry: &Entry) {
        self.remove(self.digest(&entry.key));
        self.0.hot.forget();
    }

    fn digest(&self, key: &[u8]) -> u64 {
        self.0.digests.hash_one(key)
    }

    /// Takes out what stands here; whether there was something.
    fn remove(&self, digest: u64) -> bool {
        self.0.cache.remove(&digest).inspect(|entry| entry.is_removed()).is_some()
    }

    /// Tells the recorder, and returns, how many answers it holds and what they weigh.
    fn emit_size(&self) -> (u64, u64) {
        let Shared { cache, counters, .. } = &*self.0;
        let (entries, bytes) = (cache.entry_count(), cache.weighted_size());
        counters.peak_bytes.fetch_max(bytes, Relaxed);
        metrics::gauge!(names::CACHE_ENTRIES).set(entries as f64);
        metrics::gauge!(names::CACHE_BYTES).set(bytes as f64);
        (entries, bytes)
    }

    /// The blocks from this height on were replaced.
    pub(crate) fn orphan(&self, chain_id: u64, from: u64) {
        #[cfg(test)]
        if crate::entry::BLIND.get() {
            return;
        }
        let digests = self.0.near.take_from(chain_id, from).unwrap_or_else(|| {
            let all = self.0.cache.iter().filter(|(_, entry)| {
                entry.is_of_chain(chain_id) && entry.bond.number() >= Some(from)
            });
            all.map(|(digest, _)| *digest).collect()
        });
        let gone = digests.into_iter().filter(|digest| self.remove(*digest)).count();
        self.0.counters.orphaned.fetch_add(gone as u64, Relaxed);
        self.0.hot.forget();
    }
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
