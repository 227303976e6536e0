//! The blocks of a chain, its state and its pool: what one lock guards.

use super::{
    account::{Account, Accounts},
    block::{SealedBlock, next_base_fee},
    execution::{Environment, execute},
    pool::Pool,
    spec::ChainSpec,
    traffic::{Load, random_transactions},
};
use crate::ErrorObject;
use alloy_consensus::{
    Transaction as _, TxEip4844Variant, TxEnvelope,
    transaction::{Recovered, SignerRecoverable},
};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256};
use fastrand::Rng;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Everything about a chain that changes.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    blocks: Vec<Arc<SealedBlock>>,
    numbers: HashMap<B256, u64>,
    locations: HashMap<B256, (u64, usize)>,
    orphans: HashSet<B256>,
    sent: HashSet<B256>,
    accounts: Accounts,
    pub(crate) pool: Pool,
    branch: u64,
}

impl Ledger {
    pub(crate) fn new(spec: &ChainSpec) -> Self {
        let mut ledger = Self {
            blocks: Vec::new(),
            numbers: HashMap::new(),
            locations: HashMap::new(),
            orphans: HashSet::new(),
            sent: HashSet::new(),
            accounts: Accounts::default(),
            pool: Pool::default(),
            branch: 0,
        };
        ledger.append(SealedBlock::seal(spec, None, &mut Rng::with_seed(spec.seed), vec![]));
        ledger
    }

    pub(crate) fn tip(&self) -> &Arc<SealedBlock> {
        self.blocks.last().expect("a chain has its genesis, and a reorg never removes it")
    }

    pub(crate) fn head(&self) -> u64 {
        self.tip().number()
    }

    pub(crate) fn blocks(&self) -> &[Arc<SealedBlock>] {
        &self.blocks
    }

    pub(crate) fn block(&self, number: u64) -> Option<&Arc<SealedBlock>> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    pub(crate) fn number_of(&self, hash: B256) -> Option<u64> {
        self.numbers.get(&hash).copied()
    }

    /// Block number and index of a transaction that is in a block.
    pub(crate) fn location(&self, hash: B256) -> Option<(u64, usize)> {
        self.locations.get(&hash).copied()
    }

    pub(crate) fn is_orphaned(&self, block: B256) -> bool {
        self.orphans.contains(&block)
    }

    pub(crate) fn account(
        &self,
        spec: &ChainSpec,
        address: Address,
        block: &SealedBlock,
    ) -> Account {
        self.accounts.at(spec, address, (block.number(), block.hash()))
    }

    /// Makes one block; the pool comes first unless the block belongs to a reorg.
    pub(crate) fn mine(&mut self, spec: &ChainSpec, load: Option<Load>, with_pool: bool) {
        let parent = Arc::clone(self.tip());
        let environment = Environment {
            number: parent.number() + 1,
            parent: parent.hash(),
            base_fee: next_base_fee(parent.hash()),
        };
        let mut rng = block_rng(spec.seed, environment.number, self.branch);
        let mut executed = Vec::new();
        if with_pool {
            let at = (parent.number(), parent.hash());
            let nonce_of = |address| self.accounts.at(spec, address, at).nonce;
            for transaction in self.pool.take(environment.base_fee, nonce_of) {
                let accounts = &mut self.accounts;
                executed.push(execute(spec, accounts, environment, transaction, None));
            }
        }
        let load = load.unwrap_or_else(|| Load {
            transactions: rng.usize(spec.transactions.clone()),
            logs: None,
        });
        let accounts = &mut self.accounts;
        executed.extend(random_transactions(spec, accounts, environment, load, &mut rng));
        self.append(SealedBlock::seal(spec, Some(&parent.header), &mut rng, executed));
    }

    fn append(&mut self, block: SealedBlock) {
        let number = block.number();
        self.numbers.insert(block.hash(), number);
        for (index, transaction) in block.transactions.iter().enumerate() {
            self.locations.insert(*transaction.inner.tx_hash(), (number, index));
        }
        self.blocks.push(Arc::new(block));
    }

    /// Removes the blocks above `fork`; what was sent goes back to the pool.
    pub(crate) fn rewind(&mut self, fork: u64) -> Vec<B256> {
        let keep = usize::try_from(fork).map_or(usize::MAX, |fork| fork.saturating_add(1));
        let removed = self.blocks.split_off(keep.min(self.blocks.len()));
        self.branch += 1;
        self.accounts.rewind(fork);
        for block in &removed {
            self.numbers.remove(&block.hash());
            self.orphans.insert(block.hash());
            for transaction in &block.transactions {
                let hash = *transaction.inner.tx_hash();
                self.locations.remove(&hash);
                if self.sent.contains(&hash) {
                    self.pool.restore(transaction.inner.clone());
                }
            }
        }
        removed.iter().map(|block| block.hash()).collect()
    }

    /// Takes a raw transaction into the pool and tells its hash.
    pub(crate) fn submit(&mut self, spec: &ChainSpec, raw: &[u8]) -> Result<B256, ErrorObject> {
        let transaction = decode(raw)?;
        let hash = *transaction.tx_hash();
        self.pool.note(hash);
        if let Some(chain_id) = transaction.chain_id().filter(|id| *id != spec.chain_id) {
            let want = spec.chain_id;
            let why = format!("invalid chain id for signer: have {chain_id} want {want}");
            return Err(ErrorObject::server(why));
        }
        let sender = self.account(spec, transaction.signer(), self.tip());
        self.pool.admit(transaction, &sender)?;
        self.sent.insert(hash);
        Ok(hash)
    }
}

/// Decodes a transaction as it is sent, without keeping the sidecar of a blob transaction.
fn decode(raw: &[u8]) -> Result<Recovered<TxEnvelope>, ErrorObject> {
    let transaction = TxEnvelope::decode_2718_exact(raw)
        .map_err(|error| ErrorObject::server(format!("rlp: {error}")))?
        .map_eip4844(TxEip4844Variant::drop_sidecar);
    let signer = transaction
        .recover_signer()
        .map_err(|_| ErrorObject::server("invalid sender: invalid transaction v, r, s values"))?;
    Ok(Recovered::new_unchecked(transaction, signer))
}

/// Each block draws from its own generator, so its content does not depend on who asked what.
fn block_rng(seed: u64, number: u64, branch: u64) -> Rng {
    let mut root = Rng::with_seed(seed ^ branch.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    Rng::with_seed(root.u64(..) ^ number.wrapping_mul(0xd1b5_4a32_d192_ed03))
}
