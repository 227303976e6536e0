//! Gas prices.

use super::{Answer, Params, View, ok, quantity};
use crate::{
    ErrorObject,
    chain::block::{GAS_LIMIT, SealedBlock, next_base_fee},
};
use alloy_consensus::Transaction as _;
use alloy_eips::{BlockNumberOrTag, eip7840::BlobParams};
use alloy_primitives::U64;
use alloy_rpc_types_eth::FeeHistory;
use serde::Deserialize;
use std::sync::Arc;

pub(super) const PRIORITY_FEE: u64 = 1_000_000_000;
pub(super) const BLOB_BASE_FEE: u64 = 1;
const MAX_HISTORY: u64 = 1_024;

pub(super) fn gas_price(view: View<'_>) -> Answer {
    let head = view.state(None)?;
    quantity(head.base_fee() + PRIORITY_FEE)
}

/// Some clients send the number of blocks as a quantity, others as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Quantity(U64),
    Number(u64),
}

pub(super) fn history(view: View<'_>, params: &Params<'_>) -> Answer {
    let count = match params.required(0)? {
        Count::Quantity(count) => count.to(),
        Count::Number(count) => count,
    };
    let newest = view.number(params.required::<BlockNumberOrTag>(1)?);
    let percentiles: Option<Vec<f64>> = params.optional(2)?;
    let newest = view.at(newest).ok_or_else(|| ErrorObject::server("request beyond head block"))?;
    let oldest = (newest.number() + 1).saturating_sub(count.min(MAX_HISTORY));
    let blocks = (oldest..=newest.number()).filter_map(|number| view.at(number));
    ok(summary(oldest, &blocks.collect::<Vec<_>>(), newest, percentiles.as_deref()))
}

fn summary(
    oldest_block: u64,
    blocks: &[&Arc<SealedBlock>],
    newest: &SealedBlock,
    percentiles: Option<&[f64]>,
) -> FeeHistory {
    let next = u128::from(next_base_fee(newest.hash()));
    let base_fees = blocks.iter().map(|block| u128::from(block.base_fee()));
    let max_blob_gas = BlobParams::cancun().max_blob_gas_per_block() as f64;
    let blob_gas = |block: &SealedBlock| block.header.inner.blob_gas_used.unwrap_or_default();
    FeeHistory {
        oldest_block,
        base_fee_per_gas: base_fees.chain([next]).collect(),
        gas_used_ratio: blocks
            .iter()
            .map(|block| block.header.inner.gas_used as f64 / GAS_LIMIT as f64)
            .collect(),
        base_fee_per_blob_gas: vec![u128::from(BLOB_BASE_FEE); blocks.len() + 1],
        blob_gas_used_ratio: blocks.iter().map(|b| blob_gas(b) as f64 / max_blob_gas).collect(),
        reward: percentiles.map(|asked| blocks.iter().map(|b| rewards(b, asked)).collect()),
    }
}

/// The tips of a block at the asked percentiles, each transaction counting the same.
fn rewards(block: &SealedBlock, percentiles: &[f64]) -> Vec<u128> {
    let base_fee = block.base_fee();
    let tip = |tx: &alloy_rpc_types_eth::Transaction| {
        tx.inner.effective_tip_per_gas(base_fee).unwrap_or_default()
    };
    let mut tips: Vec<u128> = block.transactions.iter().map(tip).collect();
    tips.sort_unstable();
    let last = tips.len().saturating_sub(1);
    let at = |percentile: &f64| {
        let index = (percentile.clamp(0.0, 100.0) / 100.0 * last as f64).round() as usize;
        tips.get(index).copied().unwrap_or_default()
    };
    percentiles.iter().map(at).collect()
}
