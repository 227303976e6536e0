//! What came of the questions.

use crate::{Age, entry::Entry};
use alclad_core::{Method, names};
use metrics::{Key, Label, Level, Metadata};
use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::{
        LazyLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

/// What came of a cache's questions, and what it holds.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Statistics {
    /// How many answers it holds.
    pub entries: u64,
    /// What they weigh, in bytes: answers, keys and what holding them costs.
    pub bytes: u64,
    /// The most that they weighed so far, as far as that was looked at: at every 64th answer that
    /// is kept, and whenever these statistics are asked for.
    pub peak_bytes: u64,
    /// What it may hold at most, in bytes.
    pub max_bytes: u64,
    /// Of all methods.
    pub total: Count,
    /// By method; those that nobody asked for are left out.
    pub methods: BTreeMap<&'static str, Count>,
    /// Answers that were given from the cache, by the age of their block: see [`Age::name`].
    pub hits_by_age: BTreeMap<&'static str, u64>,
    /// Answers that had to go for want of room.
    pub evictions: u64,
    /// Answers that went because their block was replaced.
    pub orphaned: u64,
}

/// What a cache holds, by what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Contents {
    /// How many answers, by method.
    pub methods: BTreeMap<&'static str, u64>,
    /// How many are kept until there is no room for them.
    pub until_evicted: u64,
    /// How many of the others, by the age of their block: see [`Age::name`].
    pub expiring: BTreeMap<&'static str, u64>,
}

impl Contents {
    pub(crate) fn add(&mut self, entry: &Entry) {
        *self.methods.entry(entry.method.name).or_default() += 1;
        match entry.expires() {
            None => self.until_evicted += 1,
            Some(_) => *self.expiring.entry(entry.age().name()).or_default() += 1,
        }
    }
}

/// How many questions ended how. Those that a cache has nothing to do with do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Count {
    /// Answered from the cache.
    pub hits: u64,
    /// Asked below.
    pub misses: u64,
    /// Answered with what another caller had just asked for.
    pub joined: u64,
}

impl Count {
    /// The share of the questions that nobody was asked for: hits and joined among all. 0 if there
    /// was none.
    pub fn hit_rate(&self) -> f64 {
        let spared = self.hits + self.joined;
        spared as f64 / (spared + self.misses).max(1) as f64
    }

    const fn add(&mut self, other: Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.joined += other.joined;
    }
}

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Hit(Age),
    Miss,
    Joined,
}

/// The keys of the counters of hits, misses and joined, by method: made once, for a hit is made in
/// less time than a key.
static EMITTED: LazyLock<[Vec<Key>; 3]> = LazyLock::new(|| {
    [names::CACHE_HITS, names::CACHE_MISSES, names::CACHE_JOINED].map(|name| {
        let label = |row| Label::from_static_parts(names::METHOD, Method::at_row(row).name);
        (0..Method::ROWS).map(|row| Key::from_parts(name, vec![label(row)])).collect()
    })
});
const METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// Counts that threads do not take from each other.
pub(crate) struct Counters {
    shards: Box<[Shard]>,
    evictions: AtomicU64,
    kept: AtomicU64,
    pub(crate) orphaned: AtomicU64,
    pub(crate) peak_bytes: AtomicU64,
}

pub(crate) const SHARDS: usize = 8;
/// The gauges of the store's size are set at every so many answers that are kept.
const SIZE_EVERY: u64 = 64;

#[repr(align(128))]
struct Shard {
    methods: [Row; Method::ROWS],
    ages: [AtomicU64; Age::ALL.len()],
}

#[derive(Default)]
struct Row {
    hits: AtomicU64,
    misses: AtomicU64,
    joined: AtomicU64,
}

impl Default for Shard {
    fn default() -> Self {
        let methods = std::array::from_fn(|_| Row::default());
        Self { methods, ages: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

impl Counters {
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        let [evictions, kept, orphaned, peak_bytes] = std::array::from_fn(|_| AtomicU64::new(0));
        Self { shards, evictions, kept, orphaned, peak_bytes }
    }

    pub(crate) fn count(&self, method: &'static Method, event: Event) {
        let shard = &self.shards[shard_of_thread()];
        let row = &shard.methods[method.row()];
        let (count, emitted) = match event {
            Event::Hit(_) => (&row.hits, &EMITTED[0]),
            Event::Miss => (&row.misses, &EMITTED[1]),
            Event::Joined => (&row.joined, &EMITTED[2]),
        };
        count.fetch_add(1, Relaxed);
        if let Event::Hit(age) = event {
            shard.ages[age as usize].fetch_add(1, Relaxed);
        }
        let key = &emitted[method.row()];
        metrics::with_recorder(|recorder| recorder.register_counter(key, &METADATA).increment(1));
    }

    /// An answer was kept; every so often it is time to say how many there are.
    pub(crate) fn is_time_for_size(&self) -> bool {
        self.kept.fetch_add(1, Relaxed).is_multiple_of(SIZE_EVERY)
    }

    /// An answer had to go for want of room.
    pub(crate) fn evicted(&self) {
        self.evictions.fetch_add(1, Relaxed);
        metrics::counter!(names::CACHE_EVICTIONS).increment(1);
    }

    pub(crate) fn read(&self, into: &mut Statistics) {
        for shard in &self.shards {
            for (index, row) in shard.methods.iter().enumerate() {
                let [hits, misses, joined] =
                    [&row.hits, &row.misses, &row.joined].map(|count| count.load(Relaxed));
                if hits + misses + joined > 0 {
                    let count = Count { hits, misses, joined };
                    into.total.add(count);
                    into.methods.entry(Method::at_row(index).name).or_default().add(count);
                }
            }
            for (age, count) in Age::ALL.iter().zip(&shard.ages) {
                *into.hits_by_age.entry(age.name()).or_default() += count.load(Relaxed);
            }
        }
        into.evictions = self.evictions.load(Relaxed);
        into.orphaned = self.orphaned.load(Relaxed);
        into.peak_bytes = self.peak_bytes.load(Relaxed);
    }
}

/// Threads that are running have different ones, if there are at most [`SHARDS`].
pub(crate) fn shard_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: Cell<Option<usize>> = const { Cell::new(None) };
    }
    SHARD.with(|shard| {
        shard.get().unwrap_or_else(|| {
            let index = NEXT.fetch_add(1, Relaxed) % SHARDS;
            shard.set(Some(index));
            index
        })
    })
}
