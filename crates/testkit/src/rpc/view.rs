//! A chain as one node sees it.

use super::LogLimit;
use crate::{
    ErrorObject,
    chain::{block::SealedBlock, ledger::Ledger, spec::ChainSpec},
};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::B256;
use std::sync::Arc;

/// How far a node sees.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sight {
    /// How many blocks it is behind the head of the chain.
    pub(crate) lag: u64,
    /// The newest block that it can ever know.
    pub(crate) ceiling: Option<u64>,
    /// For how many blocks below its head it has state and receipts.
    pub(crate) kept: Option<u64>,
    pub(crate) log_limit: LogLimit,
}

/// What a method reads from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) spec: &'a ChainSpec,
    pub(crate) ledger: &'a Ledger,
    pub(crate) head: u64,
    /// The oldest block whose state and receipts are still there.
    pub(crate) oldest: u64,
    pub(crate) log_limit: LogLimit,
}

impl<'a> View<'a> {
    pub(crate) fn new(spec: &'a ChainSpec, ledger: &'a Ledger, sight: &Sight) -> Self {
        let head = ledger.head().saturating_sub(sight.lag).min(sight.ceiling.unwrap_or(u64::MAX));
        let oldest = sight.kept.map_or(0, |depth| head.saturating_sub(depth));
        Self { spec, ledger, head, oldest, log_limit: sight.log_limit }
    }

    /// The block of this number, if it is not above the head.
    pub(crate) fn at(self, number: u64) -> Option<&'a Arc<SealedBlock>> {
        self.ledger.block(number).filter(|_| number <= self.head)
    }

    pub(crate) fn by_hash(self, hash: B256) -> Option<&'a Arc<SealedBlock>> {
        self.at(self.ledger.number_of(hash)?)
    }

    pub(crate) fn find(self, block: BlockId) -> Option<&'a Arc<SealedBlock>> {
        match block {
            BlockId::Hash(hash) => self.by_hash(hash.block_hash),
            BlockId::Number(tag) => self.at(self.number(tag)),
        }
    }

    /// The number that a tag stands for; `pending` is the newest block.
    pub(crate) fn number(self, tag: BlockNumberOrTag) -> u64 {
        let head = self.head;
        match tag {
            BlockNumberOrTag::Number(number) => number,
            BlockNumberOrTag::Earliest => 0,
            BlockNumberOrTag::Latest | BlockNumberOrTag::Pending => head,
            BlockNumberOrTag::Safe => head.saturating_sub(self.spec.safe_distance),
            BlockNumberOrTag::Finalized => head.saturating_sub(self.spec.finalized_distance),
        }
    }

    /// The block whose state is asked, if this node still has that state.
    pub(crate) fn state(self, block: Option<BlockId>) -> Result<&'a Arc<SealedBlock>, ErrorObject> {
        let block =
            self.find(block.unwrap_or_default()).ok_or_else(ErrorObject::header_not_found)?;
        if block.number() < self.oldest {
            let root = block.header.inner.state_root;
            let why = format!("missing trie node {root} (path ) state {root} is not available");
            return Err(ErrorObject::server(why));
        }
        Ok(block)
    }
}
