//! `eth_getBlock*`.

use super::{Answer, Params, View, ok, quantity};
use alloy_eips::BlockId;

pub(super) fn block(view: View<'_>, params: &Params<'_>) -> Answer {
    let found = view.find(params.required::<BlockId>(0)?);
    let full = params.optional(1)?.unwrap_or(false);
    found.map_or_else(|| ok(()), |block| Ok(block.json(full)))
}

pub(super) fn receipts(view: View<'_>, params: &Params<'_>) -> Answer {
    let found = view.find(params.required::<BlockId>(0)?);
    let kept = found.filter(|block| block.number() >= view.oldest);
    ok(kept.map(|block| &block.receipts))
}

pub(super) fn transaction_count(view: View<'_>, params: &Params<'_>) -> Answer {
    let found = view.find(params.required::<BlockId>(0)?);
    found.map_or_else(|| ok(()), |block| quantity(block.transactions.len() as u64))
}
