//! The simulated chain.

pub(crate) mod account;
pub(crate) mod block;
pub(crate) mod execution;
pub(crate) mod ledger;
mod miner;
mod pool;
pub(crate) mod spec;
mod traffic;

use crate::{
    ErrorObject,
    rpc::{self, Sight},
};
use alloy_primitives::{Address, B256, Bytes};
use alloy_rpc_types_eth::{Block, Header};
use ledger::Ledger;
pub use miner::Miner;
use serde_json::{Value, value::RawValue};
use spec::ChainSpec;
use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::watch;
use traffic::Load;

/// The environment variable from which [`SimChain::random`] takes its seed.
const SEED_VARIABLE: &str = "ALCLAD_SEED";

/// A simulated Ethereum chain; clones share it.
///
/// Every block, transaction, receipt and log follows from the seed and from what was done to the
/// chain, so a failing test can be run again exactly. A chain does nothing by itself: call
/// [`mine`](Self::mine), or let [`mine_on_schedule`](Self::mine_on_schedule) do it.
///
/// ```
/// use alclad_testkit::SimChain;
///
/// let chain = SimChain::new(7);
/// chain.mine(20);
/// assert_eq!(chain.block_number(), 20);
/// assert_eq!(chain.answer("eth_blockNumber", serde_json::json!([])).unwrap(), "0x14");
/// ```
#[derive(Clone)]
pub struct SimChain {
    shared: Arc<Shared>,
}

struct Shared {
    spec: ChainSpec,
    ledger: RwLock<Ledger>,
    /// Counts changes of the head, for subscriptions.
    changes: watch::Sender<u64>,
    nodes: AtomicU64,
}

/// What a reorg did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reorg {
    /// The number of the last block that stayed.
    pub fork: u64,
    /// The hashes of the blocks that are no longer in the chain, lowest first.
    pub orphaned: Vec<B256>,
    /// The hashes of the blocks that took their place, lowest first.
    pub adopted: Vec<B256>,
}

impl SimChain {
    /// A chain with the default [`ChainSpec`] of this seed, which has only its genesis block.
    pub fn new(seed: u64) -> Self {
        Self::start(ChainSpec::new(seed))
    }

    /// A chain with settings of your own.
    pub fn start(spec: ChainSpec) -> Self {
        let ledger = Ledger::new(&spec);
        Self::of(spec, ledger)
    }

    fn of(spec: ChainSpec, ledger: Ledger) -> Self {
        let (changes, _) = watch::channel(0);
        let (ledger, nodes) = (RwLock::new(ledger), AtomicU64::new(0));
        Self { shared: Arc::new(Shared { spec, ledger, changes, nodes }) }
    }

    /// A chain with a new seed each time, which is printed; set `ALCLAD_SEED` to run one again.
    pub fn random() -> Self {
        let given = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| fastrand::u64(..));
        eprintln!("simulated chain: {SEED_VARIABLE}={seed}");
        Self::new(seed)
    }

    /// A chain of the same height with another chain id and other content: what an endpoint
    /// serves that someone configured for the wrong network.
    #[must_use]
    pub fn twin(&self, chain_id: u64) -> Self {
        let seed = !self.shared.spec.seed;
        let twin = Self::start(ChainSpec { seed, chain_id, ..self.shared.spec.clone() });
        twin.mine(self.block_number());
        twin
    }

    /// A chain of its own that begins as this one is now: what was true before a reorg, for who
    /// wants to compare.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        Self::of(self.shared.spec.clone(), self.ledger().clone())
    }

    /// The seed from which everything follows.
    pub fn seed(&self) -> u64 {
        self.shared.spec.seed
    }

    /// The chain id.
    pub fn chain_id(&self) -> u64 {
        self.shared.spec.chain_id
    }

    /// The number of the newest block.
    pub fn block_number(&self) -> u64 {
        self.ledger().head()
    }

    /// The header of the newest block.
    pub fn head(&self) -> Header {
        self.ledger().tip().header.clone()
    }

    /// The block of this number, with whole transactions.
    pub fn block(&self, number: u64) -> Option<Block> {
        Some(self.ledger().block(number)?.rpc(true))
    }

    /// The accounts that send the random transactions.
    pub fn accounts(&self) -> &[Address] {
        &self.shared.spec.traffic_accounts
    }

    /// The contracts that emit the random logs.
    pub fn contracts(&self) -> &[Address] {
        &self.shared.spec.traffic_contracts
    }

    /// Makes `blocks` blocks of what waits in the pool and some random transactions.
    pub fn mine(&self, blocks: u64) {
        self.change(|ledger, spec| (0..blocks).for_each(|_| ledger.mine(spec, None, true)));
    }

    /// Makes one block of what waits in the pool and `transactions` random transactions with
    /// `logs` logs each.
    pub fn mine_with(&self, transactions: usize, logs: usize) {
        let load = Load { transactions, logs: Some(logs) };
        self.change(|ledger, spec| ledger.mine(spec, Some(load), true));
    }

    /// Makes a block every block time until the returned guard is dropped.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use = "mining stops when the guard is dropped"]
    pub fn mine_on_schedule(&self) -> Miner {
        Miner::start(self.clone(), self.shared.spec.block_time)
    }

    /// Replaces the last `depth` blocks by as many others.
    ///
    /// Random transactions of the orphaned blocks vanish; those that were sent go back to the pool
    /// and wait for the next block that is mined. The genesis always stays.
    pub fn reorg(&self, depth: u64) -> Reorg {
        self.reorg_to(depth, depth)
    }

    /// Replaces the last `depth` blocks by `length` others, as when a longer branch wins.
    pub fn reorg_to(&self, depth: u64, length: u64) -> Reorg {
        self.change(|ledger, spec| {
            let fork = ledger.head().saturating_sub(depth);
            let orphaned = ledger.rewind(fork);
            (0..length).for_each(|_| ledger.mine(spec, None, false));
            let adopted = ledger.blocks().iter().map(|block| block.hash());
            let adopted = adopted.skip(usize::try_from(fork + 1).unwrap_or(usize::MAX)).collect();
            Reorg { fork, orphaned, adopted }
        })
    }

    /// Whether a block of this hash was in the chain once and is no longer.
    pub fn is_orphaned(&self, block: B256) -> bool {
        self.ledger().is_orphaned(block)
    }

    /// The hashes of the transactions that wait in the pool.
    pub fn pending(&self) -> Vec<B256> {
        self.ledger().pool.iter().map(|transaction| *transaction.tx_hash()).collect()
    }

    /// Drops a transaction from the pool, as if the network had forgotten it.
    pub fn forget(&self, transaction: B256) -> bool {
        self.write().pool.forget(transaction)
    }

    /// How many times a transaction stands in the chain; more than one is a double spend.
    pub fn inclusions(&self, transaction: B256) -> usize {
        let ledger = self.ledger();
        let all = ledger.blocks().iter().flat_map(|block| &block.transactions);
        all.filter(|included| *included.inner.tx_hash() == transaction).count()
    }

    /// How many times a transaction was handed in, accepted or not.
    pub fn submissions(&self, transaction: B256) -> u64 {
        self.ledger().pool.submissions(transaction)
    }

    /// The right answer to a request at the head of the chain, to compare others with.
    ///
    /// # Errors
    ///
    /// The error object with which a healthy node answers.
    pub fn answer(&self, method: &str, params: Value) -> Result<Value, ErrorObject> {
        self.answer_at(u64::MAX, method, params)
    }

    /// The right answer of a node that has only seen the blocks up to `head`.
    ///
    /// # Errors
    ///
    /// The error object with which such a node answers.
    pub fn answer_at(&self, head: u64, method: &str, params: Value) -> Result<Value, ErrorObject> {
        let params = rpc::to_json(&params);
        let sight = Sight { ceiling: Some(head), ..Sight::default() };
        let answer = self.respond(&sight, method, Some(&params))?;
        serde_json::from_str(answer.get()).map_err(ErrorObject::invalid_params)
    }

    /// What `eth_call` answers for an address without a closure: a hash of block, `to` and data.
    pub fn call_result(block: B256, to: Address, data: &[u8]) -> Bytes {
        execution::call_result(block, to, data).into()
    }

    pub(crate) fn respond(
        &self,
        sight: &Sight,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<Box<RawValue>, ErrorObject> {
        if method == "eth_sendRawTransaction" {
            let raw: Bytes = rpc::Params::parse(params)?.required(0)?;
            return self.write().submit(&self.shared.spec, &raw).map(|hash| rpc::to_json(&hash));
        }
        rpc::answer(&self.shared.spec, &self.ledger(), sight, method, params)
    }

    pub(crate) fn spec(&self) -> &ChainSpec {
        &self.shared.spec
    }

    pub(crate) fn ledger(&self) -> RwLockReadGuard<'_, Ledger> {
        self.shared.ledger.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Ledger> {
        self.shared.ledger.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Ledger, &ChainSpec) -> T) -> T {
        let done = change(&mut self.write(), &self.shared.spec);
        self.shared.changes.send_modify(|count| *count += 1);
        done
    }

    /// Changes whenever blocks came or went.
    #[cfg(feature = "ws")]
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Counts the nodes of a chain, so that each draws other random numbers.
    pub(crate) fn enrol(&self) -> u64 {
        self.shared.nodes.fetch_add(1, Ordering::Relaxed)
    }
}

impl fmt::Debug for SimChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimChain")
            .field("spec", &self.shared.spec)
            .field("block_number", &self.block_number())
            .finish_non_exhaustive()
    }
}
