//! `eth_getLogs`, and the limits that vendors put on it.

use super::{Answer, Params, View, ok};
use crate::ErrorObject;
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};

/// How much one `eth_getLogs` may ask for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogLimit {
    pub(crate) blocks: Option<u64>,
    pub(crate) results: Option<usize>,
}

pub(super) fn logs(view: View<'_>, params: &Params<'_>) -> Answer {
    let filter: Filter = params.required(0)?;
    let found = match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let block = view.by_hash(hash).ok_or_else(|| ErrorObject::server("unknown block"))?;
            matching(view, &filter, block.number(), block.number())
        }
        FilterBlockOption::Range { from_block, to_block } => {
            let from = view.number(from_block.unwrap_or_default());
            let to = view.number(to_block.unwrap_or_default());
            check_range(view.log_limit, from, to)?;
            matching(view, &filter, from, to)
        }
    };
    if view.log_limit.results.is_some_and(|limit| found.len() > limit) {
        let limit = view.log_limit.results.unwrap_or_default();
        let why = format!("query returned more than {limit} results");
        return Err(ErrorObject::new(-32005, why));
    }
    ok(found)
}

fn check_range(limit: LogLimit, from: u64, to: u64) -> Result<(), ErrorObject> {
    if from > to {
        return Err(ErrorObject::invalid_params("invalid block range params"));
    }
    match limit.blocks {
        Some(blocks) if to - from >= blocks => {
            let why = format!("query exceeds max block range {blocks}");
            Err(ErrorObject::new(-32005, why))
        }
        _ => Ok(()),
    }
}

/// The logs of these blocks that match by address and topics; blocks above the head have none.
pub(crate) fn matching<'a>(view: View<'a>, filter: &Filter, from: u64, to: u64) -> Vec<&'a Log> {
    let blocks = (from..=to.min(view.head)).filter_map(|number| view.at(number));
    let candidates = blocks.filter(|block| filter.matches_bloom(block.header.inner.logs_bloom));
    candidates.flat_map(|block| block.logs()).filter(|log| filter.matches(&log.inner)).collect()
}
