//! What a simulated chain is made of before its first block.

use alloy_primitives::{Address, Bytes, U256, address};
use std::{collections::HashMap, fmt, ops::RangeInclusive, sync::Arc, time::Duration};

/// An address whose every call reverts, with [`REVERT_DATA`].
pub const REVERTING: Address = address!("0xdeaddeaddeaddeaddeaddeaddeaddeaddeaddead");

/// What a call to [`REVERTING`] reverts with: `Error("alclad")`.
pub const REVERT_DATA: &[u8] = &alloy_primitives::hex!(
    "08c379a0"
    "0000000000000000000000000000000000000000000000000000000000000020"
    "0000000000000000000000000000000000000000000000000000000000000006"
    "616c636c61640000000000000000000000000000000000000000000000000000"
);

/// What a contract of yours is asked: see [`ChainSpec::with_contract`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ContractCall {
    /// Who calls; zero when the call did not say.
    pub from: Address,
    /// The contract that is called.
    pub to: Address,
    /// The calldata.
    pub data: Bytes,
    /// The number of the block whose state is asked.
    pub block: u64,
}

type Contract = Arc<dyn Fn(&ContractCall) -> Result<Bytes, Bytes> + Send + Sync>;

/// The settings of a [`SimChain`](crate::SimChain), fixed once it starts.
///
/// ```
/// use alclad_testkit::{ChainSpec, SimChain};
/// use std::time::Duration;
///
/// let spec = ChainSpec::new(7).with_chain_id(8453).with_block_time(Duration::from_millis(250));
/// let chain = SimChain::start(spec);
/// assert_eq!(chain.chain_id(), 8453);
/// ```
#[derive(Clone)]
pub struct ChainSpec {
    pub(crate) seed: u64,
    pub(crate) chain_id: u64,
    pub(crate) block_time: Duration,
    pub(crate) genesis_time: u64,
    pub(crate) transactions: RangeInclusive<usize>,
    pub(crate) logs: RangeInclusive<usize>,
    pub(crate) safe_distance: u64,
    pub(crate) finalized_distance: u64,
    pub(crate) balances: HashMap<Address, U256>,
    pub(crate) contracts: HashMap<Address, Contract>,
    pub(crate) traffic_accounts: Vec<Address>,
    pub(crate) traffic_contracts: Vec<Address>,
}

impl ChainSpec {
    /// Chain 1 with a block every twelve seconds, up to four random transactions in each block
    /// and up to three logs in each transaction; all of it follows from the seed.
    pub fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut addresses = |count| -> Vec<_> {
            std::iter::repeat_with(|| Address::from(std::array::from_fn(|_| rng.u8(..))))
                .take(count)
                .collect()
        };
        Self {
            seed,
            chain_id: 1,
            block_time: Duration::from_secs(12),
            genesis_time: 1_700_000_000,
            transactions: 0..=4,
            logs: 0..=3,
            safe_distance: 32,
            finalized_distance: 64,
            balances: HashMap::new(),
            contracts: HashMap::new(),
            traffic_accounts: addresses(8),
            traffic_contracts: addresses(4),
        }
    }

    /// Sets the chain id.
    #[must_use]
    pub const fn with_chain_id(mut self, chain_id: u64) -> Self {
        self.chain_id = chain_id;
        self
    }

    /// Sets the time from one block to the next.
    #[must_use]
    pub const fn with_block_time(mut self, block_time: Duration) -> Self {
        self.block_time = block_time;
        self
    }

    /// Sets the Unix time of the genesis block, in seconds.
    #[must_use]
    pub const fn with_genesis_time(mut self, seconds: u64) -> Self {
        self.genesis_time = seconds;
        self
    }

    /// Sets how many random transactions a block has, and how many logs each of them.
    #[must_use]
    pub const fn with_traffic(
        mut self,
        transactions: RangeInclusive<usize>,
        logs: RangeInclusive<usize>,
    ) -> Self {
        self.transactions = transactions;
        self.logs = logs;
        self
    }

    /// Sets how far the `safe` and the `finalized` block are behind the head.
    #[must_use]
    pub const fn with_finality(mut self, safe: u64, finalized: u64) -> Self {
        self.safe_distance = safe;
        self.finalized_distance = finalized;
        self
    }

    /// Gives an account exactly this balance, in wei, until it sends or receives.
    ///
    /// Any other account starts with thousands of ether and drifts by less than a gwei from block
    /// to block, so that a stale balance can be told from a fresh one.
    #[must_use]
    pub fn with_balance(mut self, account: Address, wei: U256) -> Self {
        self.balances.insert(account, wei);
        self
    }

    /// Lets a closure answer the calls to an address: `Ok` with its output, `Err` to revert.
    ///
    /// Any other address answers with a hash of the call and its block. The closure must not use
    /// the chain itself, which is locked while it runs.
    #[must_use]
    pub fn with_contract(
        mut self,
        address: Address,
        answer: impl Fn(&ContractCall) -> Result<Bytes, Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.contracts.insert(address, Arc::new(answer));
        self
    }

    pub(crate) fn is_contract(&self, address: &Address) -> bool {
        *address == REVERTING
            || self.contracts.contains_key(address)
            || self.traffic_contracts.contains(address)
    }

    /// Seconds since 1970 at which this block is made.
    pub(crate) fn timestamp(&self, number: u64) -> u64 {
        let since_genesis = self.block_time.as_millis().saturating_mul(u128::from(number)) / 1_000;
        self.genesis_time.saturating_add(u64::try_from(since_genesis).unwrap_or(u64::MAX))
    }
}

impl fmt::Debug for ChainSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainSpec")
            .field("seed", &self.seed)
            .field("chain_id", &self.chain_id)
            .field("block_time", &self.block_time)
            .finish_non_exhaustive()
    }
}
