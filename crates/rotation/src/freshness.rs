use crate::roster::Roster;
use alclad_core::{BlockRef, Edge, Heads, Lookout, SightedBlock, Tag};
use alloy_json_rpc::{Response, SerializedRequest};
use alloy_primitives::B256;
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// When a majority has stayed below the newest head that was given out for so long, the chain has
/// gone back.
const GONE_BACK: Duration = Duration::from_secs(60);
/// So many transactions are remembered: those of about eighty full blocks of mainnet.
const TRANSACTIONS: usize = 16_384;
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
    /// It was seen: in a block, at or below the head, or as it was sent.
    Certain,
    /// Nothing speaks against it.
    Likely,
    /// As of a pending receipt that is polled.
    Unlikely,
}

/// Transactions that were sent, or seen in a block; the oldest are forgotten.
#[derive(Default)]
struct Transactions {
    known: HashSet<B256>,
    order: VecDeque<B256>,
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
        tracing::warn!(from = floor, to = served, "the chain has gone back");
        self.floor.store(served, Relaxed);
        head < served
    }

    /// The chain was verified anew: what was seen before may have been of another one.
    pub(crate) fn forget(&self) {
        self.heads.forget();
        self.floor.store(0, Relaxed);
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

    /// What a caller may be given in place of an older head: what another caller was given, if it
    /// is still the newest and has not been replaced.
    pub(crate) fn newest(&self, request: &SerializedRequest) -> Option<Box<RawValue>> {
        let floor = self.newest_head();
        if request.method() == BLOCK_NUMBER {
            return to_raw_value(&format!("0x{floor:x}")).ok().filter(|_| floor > 0);
        }
        let newest = lock(&self.newest);
        let Newest { block, answer } = newest.get(&key(request))?;
        let is_orphaned = self.heads.hash_at(block.number).is_some_and(|hash| hash != block.hash);
        (block.number >= floor && !is_orphaned).then(|| answer.clone())
    }

    /// This transaction was sent, or is in a block.
    pub(crate) fn has_seen(&self, transaction: B256) {
        lock(&self.transactions).insert(transaction);
    }

    /// What a good answer tells of transactions: they are in a block, or in the pool.
    pub(crate) fn has_seen_answer(&self, request: &SerializedRequest, answer: &Response) {
        let Some(answer) = answer.payload.as_success() else { return };
        let hashes: Vec<B256> = match request.method() {
            "eth_getBlockByNumber" | "eth_getBlockByHash" => {
                let block = serde_json::from_str::<Block>(answer.get());
                block
                    .map_or_else(|_| Vec::new(), |block| block.transactions)
                    .iter()
                    .map(Transaction::hash)
                    .collect()
            }
            "eth_getBlockReceipts" => {
                let receipts = serde_json::from_str::<Vec<Receipt>>(answer.get());
                receipts
                    .unwrap_or_default()
                    .iter()
                    .map(|receipt| receipt.transaction_hash)
                    .collect()
            }
            "eth_getTransactionReceipt" => transaction(request).into_iter().collect(),
            "eth_getTransactionByHash" if !answer.get().contains("\"blockHash\":null") => {
                transaction(request).into_iter().collect()
            }
            _ => return,
        };
        let mut known = lock(&self.transactions);
        hashes.into_iter().for_each(|hash| known.insert(hash));
    }

    /// Whether there is what a `null` denies; nothing if the `null` is to be believed.
    pub(crate) fn existence(&self, request: &SerializedRequest) -> Option<Existence> {
        let existence = match BlockRef::of_request(request) {
            BlockRef::Tag(Tag::Pending) => return None,
            BlockRef::Number(number) => match self.heads.latest() {
                Some(head) if number <= head => Existence::Certain,
                Some(_) => Existence::Unlikely,
                None => Existence::Likely,
            },
            BlockRef::None if self.knows(request) => Existence::Certain,
            BlockRef::None => Existence::Unlikely,
            _ => Existence::Likely,
        };
        let is_settled = existence != Existence::Likely
            && BlockRef::of_request(request) == BlockRef::None
            || existence == Existence::Unlikely;
        let confirmed = lock(&self.nulls).get(&key(request)).is_some_and(|(head, at)| {
            *head == self.heads.latest() && at.elapsed() < self.heads.block_time()
        });
        (!(is_settled && confirmed)).then_some(existence)
    }

    /// Whether the transaction that is looked up was sent, or seen in a block.
    fn knows(&self, request: &SerializedRequest) -> bool {
        let hash = transaction(request);
        hash.is_some_and(|hash| lock(&self.transactions).known.contains(&hash))
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

impl Transactions {
    fn insert(&mut self, transaction: B256) {
        if self.known.insert(transaction) {
            self.order.push_back(transaction);
            if self.order.len() > TRANSACTIONS
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
    }
}

#[derive(Deserialize)]
struct Block {
    transactions: Vec<Transaction>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    transaction_hash: B256,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Transaction {
    Hash(B256),
    Full { hash: B256 },
}

impl Transaction {
    const fn hash(&self) -> B256 {
        match self {
            Self::Hash(hash) | Self::Full { hash } => *hash,
        }
    }
}

pub(crate) const BLOCK_NUMBER: &str = "eth_blockNumber";

/// Whether the answer is the newest block or its number.
fn asks_for_newest(request: &SerializedRequest) -> bool {
    let is_latest = || BlockRef::of_request(request) == BlockRef::Tag(Tag::Latest);
    match request.method() {
        BLOCK_NUMBER => true,
        "eth_getBlockByNumber" => is_latest(),
        _ => false,
    }
}

/// The transaction that a look-up by hash names.
fn transaction(request: &SerializedRequest) -> Option<B256> {
    let (hash,) = serde_json::from_str::<(B256,)>(request.params()?.get()).ok()?;
    Some(hash)
}

fn key(request: &SerializedRequest) -> u64 {
    let mut hasher = DefaultHasher::new();
    request.method().hash(&mut hasher);
    request.params().map(|params| params.get()).hash(&mut hasher);
    hasher.finish()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far an endpoint must be to answer a request.
pub(crate) enum Wanted {
    /// All endpoints are equally far, or it does not matter.
    Anything,
    /// At the head.
    Head,
    /// At this head, which a caller was given; or not asked for a block time, and so perhaps there.
    Floor { head: u64, block_time: Duration },
    /// At this block.
    Block {
        number: u64,
        /// The head that most have.
        served: u64,
        /// The newest block that any endpoint has shown.
        newest: u64,
    },
}

impl Wanted {
    pub(crate) fn of(request: &SerializedRequest, roster: &Roster) -> Self {
        let lookouts = || roster.seats.iter().map(|seat| &seat.lookout);
        let newest = lookouts().filter_map(Lookout::head).max();
        let is_even = |newest| lookouts().all(|l| l.head() == Some(newest) && !l.is_lagging());
        let Some(newest) = newest.filter(|newest| !is_even(*newest)) else { return Self::Anything };
        let block = |number| {
            let served = roster.shared.freshness.heads.latest().unwrap_or(newest);
            Self::Block { number, served, newest }
        };
        match BlockRef::of_request(request) {
            BlockRef::Number(number) | BlockRef::Range(_, Edge::Number(number)) => block(number),
            BlockRef::Tag(Tag::Earliest) => Self::Anything,
            _ if asks_for_newest(request) => {
                let freshness = &roster.shared.freshness;
                let head = freshness.floor();
                match lookouts().any(|lookout| lookout.has(head) && !lookout.is_lagging()) {
                    true => Self::Floor { head, block_time: freshness.heads.block_time() },
                    false => Self::Head,
                }
            }
            _ => Self::Head,
        }
    }

    /// Whether this endpoint is there. One that has not shown the block is believed to have it if
    /// most do, or if nobody has shown it.
    pub(crate) fn is_at(&self, lookout: &Lookout) -> bool {
        match self {
            Self::Anything => true,
            Self::Head => !lookout.is_lagging(),
            Self::Floor { head, block_time } => {
                let is_old = || lookout.age().is_none_or(|age| age >= *block_time);
                !lookout.is_lagging() && (lookout.has(*head) || is_old())
            }
            Self::Block { number, served, newest } => {
                lookout.has(*number)
                    || !lookout.is_lagging() && (number <= served || number > newest)
            }
        }
    }
}
