use alloy_json_rpc::{Response, SerializedRequest};
use alloy_primitives::B256;
use serde::Deserialize;
use std::collections::{HashSet, VecDeque};

/// So many transactions are remembered: those of about eighty full blocks of mainnet.
const TRANSACTIONS: usize = 16_384;

/// Transactions that were sent, or seen in a block; the oldest are forgotten.
#[derive(Default)]
pub(super) struct Transactions {
    known: HashSet<B256>,
    order: VecDeque<B256>,
}

impl Transactions {
    pub(super) fn contains(&self, transaction: &B256) -> bool {
        self.known.contains(transaction)
    }

    pub(super) fn insert(&mut self, transaction: B256) {
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

/// The transactions of a block. Where they stand in full, their hashes are picked out of the text:
/// to read all of a large block would take longer than the rest of the call.
fn of_block(block: &str) -> Vec<B256> {
    #[derive(Deserialize)]
    struct Block {
        transactions: Vec<B256>,
    }
    const HASH: &str = "\"hash\":\"";
    let hash = |at: usize| block.get(at + HASH.len()..)?.get(..66)?.parse().ok();
    match serde_json::from_str::<Block>(block) {
        Ok(Block { transactions }) => transactions,
        Err(_) => block.match_indices(HASH).filter_map(|(at, _)| hash(at)).collect(),
    }
}

/// The transactions that an answer shows in a block.
pub(super) fn in_answer(request: &SerializedRequest, answer: &Response) -> Vec<B256> {
    let Some(answer) = answer.payload.as_success() else { return Vec::new() };
    match request.method() {
        "eth_getBlockByNumber" | "eth_getBlockByHash" => of_block(answer.get()),
        "eth_getBlockReceipts" => of_receipts(answer.get()),
        "eth_getTransactionReceipt" => named(request).into_iter().collect(),
        // One of the pool has no receipt yet.
        "eth_getTransactionByHash" if !answer.get().contains("\"blockHash\":null") => {
            named(request).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn of_receipts(receipts: &str) -> Vec<B256> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Receipt {
        transaction_hash: B256,
    }
    let receipts = serde_json::from_str::<Vec<Receipt>>(receipts).unwrap_or_default();
    receipts.iter().map(|receipt| receipt.transaction_hash).collect()
}

/// The transaction that a look-up by hash names.
pub(super) fn named(request: &SerializedRequest) -> Option<B256> {
    let (hash,) = serde_json::from_str::<(B256,)>(request.params()?.get()).ok()?;
    Some(hash)
}
