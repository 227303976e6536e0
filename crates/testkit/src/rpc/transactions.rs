//! `eth_getTransaction*`.

use super::{Answer, Params, View, ok};
use alloy_consensus::transaction::TransactionInfo;
use alloy_eips::BlockId;
use alloy_primitives::{B256, U64};
use alloy_rpc_types_eth::Transaction;

/// A transaction that waits, or that stands in a block which this node has not seen, is pending.
pub(super) fn by_hash(view: View<'_>, params: &Params<'_>) -> Answer {
    let hash: B256 = params.required(0)?;
    if let Some((number, index)) = view.ledger.location(hash) {
        let block = view.ledger.block(number);
        let transaction = block.and_then(|block| block.transactions.get(index));
        if number <= view.head {
            return ok(transaction);
        }
        return ok(transaction.map(|seen| pending(seen.inner.clone())));
    }
    ok(view.ledger.pool.find(hash).map(|waiting| pending(waiting.clone())))
}

fn pending(
    transaction: alloy_consensus::transaction::Recovered<alloy_consensus::TxEnvelope>,
) -> Transaction {
    Transaction::from_transaction(transaction, TransactionInfo::default())
}

pub(super) fn by_index(view: View<'_>, params: &Params<'_>) -> Answer {
    let block = view.find(params.required::<BlockId>(0)?);
    let index = usize::try_from(params.required::<U64>(1)?.to::<u64>()).unwrap_or(usize::MAX);
    ok(block.and_then(|block| block.transactions.get(index)))
}

pub(super) fn receipt(view: View<'_>, params: &Params<'_>) -> Answer {
    let location = view.ledger.location(params.required(0)?);
    let receipt = location
        .filter(|(number, _)| *number >= view.oldest)
        .and_then(|(number, index)| view.at(number)?.receipts.get(index));
    ok(receipt)
}
