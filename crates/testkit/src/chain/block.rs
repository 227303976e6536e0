//! One block: its header, its transactions, its receipts, and the JSON of it.

use super::spec::ChainSpec;
use alloy_consensus::{
    Block as ConsensusBlock, BlockBody, Header as ConsensusHeader, Receipt, ReceiptEnvelope,
    Sealable, Transaction as _, TxEnvelope,
    constants::EMPTY_WITHDRAWALS,
    proofs::{calculate_receipt_root, calculate_transaction_root},
    transaction::{Recovered, TransactionInfo},
};
use alloy_eips::{eip4895::Withdrawals, eip7685::EMPTY_REQUESTS_HASH};
use alloy_primitives::{Address, B256, Bloom, Log as EventLog, U256};
use alloy_rpc_types_eth::{Block, BlockTransactions, Header, Log, Transaction, TransactionReceipt};
use serde_json::value::RawValue;
use std::sync::OnceLock;

pub(crate) const GAS_LIMIT: u64 = 36_000_000;
const GWEI: u64 = 1_000_000_000;

/// A transaction and what came of it.
#[derive(Debug)]
pub(crate) struct Executed {
    pub(crate) transaction: Recovered<TxEnvelope>,
    pub(crate) success: bool,
    pub(crate) gas_used: u64,
    pub(crate) logs: Vec<EventLog>,
    pub(crate) created: Option<Address>,
}

/// A block of the chain as the RPC types show it.
#[derive(Debug)]
pub(crate) struct SealedBlock {
    pub(crate) header: Header,
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) receipts: Vec<TransactionReceipt>,
    full: OnceLock<Box<RawValue>>,
    brief: OnceLock<Box<RawValue>>,
}

impl SealedBlock {
    /// Seals a block on top of its parent; without one it is the genesis.
    pub(crate) fn seal(
        spec: &ChainSpec,
        parent: Option<&Header>,
        rng: &mut fastrand::Rng,
        executed: Vec<Executed>,
    ) -> Self {
        let receipts = consensus_receipts(&executed);
        let transactions = executed.iter().map(|done| done.transaction.inner().clone()).collect();
        let withdrawals = Some(Withdrawals::default());
        let body = BlockBody { transactions, ommers: vec![], withdrawals };
        let header = header(spec, parent, rng, &body.transactions, &receipts);
        let size = ConsensusBlock::rlp_length_for(&header, &body);
        let mut header = Header::from_sealed(header.seal_slow());
        header.size = Some(U256::from(size));
        Self {
            transactions: rpc_transactions(&header, &executed),
            receipts: rpc_receipts(&header, &executed, receipts),
            header,
            full: OnceLock::new(),
            brief: OnceLock::new(),
        }
    }

    pub(crate) const fn number(&self) -> u64 {
        self.header.inner.number
    }

    pub(crate) const fn hash(&self) -> B256 {
        self.header.hash
    }

    pub(crate) fn base_fee(&self) -> u64 {
        self.header.inner.base_fee_per_gas.unwrap_or_default()
    }

    pub(crate) fn logs(&self) -> impl Iterator<Item = &Log> {
        self.receipts.iter().flat_map(|receipt| receipt.inner.logs())
    }

    /// The block with whole transactions, or only their hashes.
    pub(crate) fn rpc(&self, full: bool) -> Block {
        let transactions = if full {
            BlockTransactions::Full(self.transactions.clone())
        } else {
            let hashes = self.transactions.iter().map(|tx| *tx.inner.tx_hash());
            BlockTransactions::Hashes(hashes.collect())
        };
        Block::new(self.header.clone(), transactions).with_withdrawals(Some(Withdrawals::default()))
    }

    /// The same as JSON, which is made once.
    pub(crate) fn json(&self, full: bool) -> Box<RawValue> {
        let made = if full { &self.full } else { &self.brief };
        made.get_or_init(|| crate::rpc::to_json(&self.rpc(full))).clone()
    }
}

/// What the child of this block must pay per gas; it follows from the hash alone.
pub(crate) fn next_base_fee(parent: B256) -> u64 {
    8 * GWEI + u64::from_be_bytes(std::array::from_fn(|i| parent[i])) % (4 * GWEI)
}

fn header(
    spec: &ChainSpec,
    parent: Option<&Header>,
    rng: &mut fastrand::Rng,
    transactions: &[TxEnvelope],
    receipts: &[ReceiptEnvelope],
) -> ConsensusHeader {
    let number = parent.map_or(0, |parent| parent.number + 1);
    let parent_hash = parent.map_or(B256::ZERO, |parent| parent.hash);
    ConsensusHeader {
        parent_hash,
        beneficiary: Address::from(std::array::from_fn(|_| rng.u8(..))),
        state_root: random_hash(rng),
        transactions_root: calculate_transaction_root(transactions),
        receipts_root: calculate_receipt_root(receipts),
        logs_bloom: receipts.iter().fold(Bloom::ZERO, |all, one| all | *one.logs_bloom()),
        number,
        gas_limit: GAS_LIMIT,
        gas_used: receipts.last().map_or(0, ReceiptEnvelope::cumulative_gas_used),
        timestamp: spec.timestamp(number),
        extra_data: "alclad".into(),
        mix_hash: random_hash(rng),
        base_fee_per_gas: Some(next_base_fee(parent_hash)),
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        blob_gas_used: Some(transactions.iter().filter_map(|tx| tx.blob_gas_used()).sum()),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(random_hash(rng)),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..ConsensusHeader::default()
    }
}

fn consensus_receipts(executed: &[Executed]) -> Vec<ReceiptEnvelope> {
    let mut cumulative_gas_used = 0;
    let receipts = executed.iter().map(|done| {
        cumulative_gas_used += done.gas_used;
        let logs = done.logs.clone();
        let receipt = Receipt { status: done.success.into(), cumulative_gas_used, logs };
        ReceiptEnvelope::from_typed(done.transaction.tx_type(), receipt)
    });
    receipts.collect()
}

fn rpc_transactions(header: &Header, executed: &[Executed]) -> Vec<Transaction> {
    let shown = executed.iter().zip(0..).map(|(done, index)| {
        let info = TransactionInfo {
            hash: Some(*done.transaction.tx_hash()),
            index: Some(index),
            block_hash: Some(header.hash),
            block_number: Some(header.number),
            base_fee: header.base_fee_per_gas,
            block_timestamp: Some(header.timestamp),
        };
        Transaction::from_transaction(done.transaction.clone(), info)
    });
    shown.collect()
}

fn rpc_receipts(
    header: &Header,
    executed: &[Executed],
    receipts: Vec<ReceiptEnvelope>,
) -> Vec<TransactionReceipt> {
    let mut log_index = 0;
    let shown = executed.iter().zip(receipts).zip(0..).map(|((done, receipt), index)| {
        let tx = &done.transaction;
        let inner = receipt.map_logs(|inner| {
            log_index += 1;
            Log {
                inner,
                block_hash: Some(header.hash),
                block_number: Some(header.number),
                block_timestamp: Some(header.timestamp),
                transaction_hash: Some(*tx.tx_hash()),
                transaction_index: Some(index),
                log_index: Some(log_index - 1),
                removed: false,
            }
        });
        TransactionReceipt {
            inner,
            transaction_hash: *tx.tx_hash(),
            transaction_index: Some(index),
            block_hash: Some(header.hash),
            block_number: Some(header.number),
            gas_used: done.gas_used,
            effective_gas_price: tx.effective_gas_price(header.base_fee_per_gas),
            blob_gas_used: tx.blob_gas_used(),
            blob_gas_price: tx.blob_gas_used().map(|_| 1),
            from: tx.signer(),
            to: tx.to(),
            contract_address: done.created,
        }
    });
    shown.collect()
}

fn random_hash(rng: &mut fastrand::Rng) -> B256 {
    B256::new(std::array::from_fn(|_| rng.u8(..)))
}
