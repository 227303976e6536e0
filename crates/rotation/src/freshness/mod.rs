mod transactions;
mod wanted;

pub(crate) use wanted::Wanted;

use alclad_core::{BlockRef, Heads, Method, SightedBlock, Tag};
use alloy_json_rpc::{Response, SerializedRequest};
use alloy_primitives::B256;
use serde_json::value::{RawValue, to_raw_value};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;
use transactions::Transactions;

/// When a majority has stayed below the newest head that was given out for so long, the chain has
/// gone back.
const GONE_BACK: Duration = Duration::from_secs(60);
/// So many confirmed `null`s are remembered.
const NULLS: usize = 4096;
/// So many forms of the newest block are remembered: with transactions, without, and spare.
const FORMS: usize = 4;

/// What the rotation has seen of the chain, by which it tells stale answers from fresh ones.
pub(crate) struct Freshness {
    pub(crate) heads: Heads,
    /// The newest head that a caller was given.
    floor: AtomicU64,
    /// Since when a majority is below it.
    below: Mutex<Option<Instant>>,
    /// Confirmed at which head, and when.
    nulls: Mutex<HashMap<u64, (Option<u64>, Instant)>>,
    /// The newest block, in each form in which callers were given it.
    newest: Mutex<HashMap<u64, Newest>>,
    transactions: Mutex<Transactions>,
}

struct Newest {
    block: SightedBlock,
    answer: Box<RawValue>,
}

/// How sure it is that there is what was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existence {
    /// It was seen: in a block, at or below the head, or as it was sent. Or there always is one, as
    /// of heads, prices and the newest block.
    Certain,
    /// Nothing speaks against it.
    Likely,
    /// As of a pending receipt that is polled.
    Unlikely,
}

// === impl Freshness ===

impl Freshness {
    pub(crate) fn new(heads: Heads) -> Self {
        Self {
            heads,
            floor: AtomicU64::new(0),
            below: Mutex::default(),
            nulls: Mutex::default(),
            newest: Mutex::default(),
            transactions: Mutex::default(),
        }
    }

    /// The newest head that a caller was given: none is given an older one.
    pub(crate) fn floor(&self) -> u64 {
        self.floor.load(Relaxed)
    }

    /// The newest head that is certain: a caller was given it, or most endpoints have it.
    pub(crate) fn newest_head(&self) -> u64 {
        self.floor().max(self.heads.latest().unwrap_or_default())
    }

    /// This head is given to a caller.
    pub(crate) fn raise_floor(&self, head: u64) {
        if self.floor.fetch_max(head, Relaxed) <= head {
            *lock(&self.below) = None;
        }
    }

    /// Whether this head is older than one that a caller was given.
    pub(crate) fn is_stale(&self, head: u64) -> bool {
        let (floor, served) = (self.floor(), self.heads.latest().unwrap_or(head));
        if head >= floor {
            return false;
        }
        let mut below = lock(&self.below);
        if served >= floor {
            *below = None;
            return true;
        }
        // A floor that is far above what most have was one endpoint's nonsense.
        let since = *below.get_or_insert_with(Instant::now);
        if since.elapsed() <= GONE_BACK && !self.heads.is_far(floor) {
            return true;
        }
        *below = None;
        drop(below);
        self.floor.store(served, Relaxed);
        tracing::warn!(from = floor, to = served, "the chain has gone back");
        head < served
    }

    /// The chain was verified anew: what was seen before may have been of another one.
    pub(crate) fn forget(&self) {
        self.heads.forget();
        self.distrust();
    }

    /// An endpoint was found to be on another chain: what it said may be what callers were given.
    pub(crate) fn distrust(&self) {
        self.floor.fetch_min(self.heads.latest().unwrap_or_default(), Relaxed);
        *lock(&self.below) = None;
        lock(&self.nulls).clear();
        lock(&self.newest).clear();
    }

    /// A caller is given this answer to the question for the newest block.
    pub(crate) fn gave_newest(
        &self,
        request: &SerializedRequest,
        block: SightedBlock,
        answer: &Response,
    ) {
        let (Some(answer), mut newest) = (answer.payload.as_success(), lock(&self.newest)) else {
            return;
        };
        let key = key(request);
        if newest.len() >= FORMS && !newest.contains_key(&key) {
            newest.clear();
        }
        newest.insert(key, Newest { block, answer: answer.clone() });
    }

    /// What a caller is given in place of an older head: what another caller was given, if it
    /// is still the newest and has not been replaced.
    pub(crate) fn newest(&self, request: &SerializedRequest) -> Option<Box<RawValue>> {
        let head = self.newest_head();
        if request.method() == BLOCK_NUMBER {
            // The floor itself is no news: how long it has been below counts on.
            if head > self.floor() {
                self.raise_floor(head);
            }
            return to_raw_value(&format!("0x{head:x}")).ok().filter(|_| head > 0);
        }
        let newest = lock(&self.newest);
        let Newest { block, answer } = newest.get(&key(request))?;
        let is_orphaned = self.heads.hash_at(block.number).is_some_and(|hash| hash != block.hash);
        (block.number >= head && !is_orphaned).then(|| answer.clone())
    }

    /// This transaction was sent, or is in a block.
    pub(crate) fn has_seen(&self, transaction: B256) {
        lock(&self.transactions).insert(transaction);
    }

    /// What a good answer tells of transactions: they are in a block.
    pub(crate) fn has_seen_answer(&self, request: &SerializedRequest, answer: &Response) {
        let hashes = transactions::in_answer(request, answer);
        let mut known = lock(&self.transactions);
        hashes.into_iter().for_each(|hash| known.insert(hash));
    }

    /// Whether there is what a `null` denies, when some endpoint has shown these blocks; nothing if
    /// the `null` is to be believed.
    pub(crate) fn existence(
        &self,
        request: &SerializedRequest,
        is_shown: impl Fn(u64) -> bool,
    ) -> Option<Existence> {
        let (method, block) = (Method::of(request.method()), BlockRef::of_request(request));
        let existence = match block {
            BlockRef::Tag(Tag::Pending) => return None,
            BlockRef::Number(number) => match self.heads.latest() {
                Some(head) if number <= head || is_shown(number) => Existence::Certain,
                Some(_) => Existence::Unlikely,
                None => Existence::Likely,
            },
            BlockRef::Tag(Tag::Latest | Tag::Earliest) if method.shows_block => Existence::Certain,
            BlockRef::None if asks_for_nothing(request) || self.knows(request) => {
                Existence::Certain
            }
            BlockRef::None => Existence::Unlikely,
            _ => Existence::Likely,
        };
        let is_height = matches!(block, BlockRef::Number(_));
        let may_settle = existence != Existence::Certain || !is_height;
        let confirmed = lock(&self.nulls).get(&key(request)).is_some_and(|(head, at)| {
            *head == self.heads.latest() && at.elapsed() < self.heads.block_time()
        });
        (!(may_settle && confirmed)).then_some(existence)
    }

    /// Whether the transaction that is looked up was sent, or seen in a block.
    fn knows(&self, request: &SerializedRequest) -> bool {
        let hash = transactions::named(request);
        hash.is_some_and(|hash| lock(&self.transactions).contains(&hash))
    }

    /// Another endpoint had nothing either, with the chain at this head.
    pub(crate) fn confirm_null(&self, request: &SerializedRequest) {
        let mut nulls = lock(&self.nulls);
        if nulls.len() >= NULLS {
            nulls.clear();
        }
        nulls.insert(key(request), (self.heads.latest(), Instant::now()));
    }
}

/// What is asked without naming anything is always there: the head, a price, the chain's id.
fn asks_for_nothing(request: &SerializedRequest) -> bool {
    request.params().is_none_or(|params| matches!(params.get(), "[]" | "null"))
}

pub(crate) const BLOCK_NUMBER: &str = "eth_blockNumber";

fn key(request: &SerializedRequest) -> u64 {
    let mut hasher = DefaultHasher::new();
    request.method().hash(&mut hasher);
    request.params().map(|params| params.get()).hash(&mut hasher);
    hasher.finish()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
