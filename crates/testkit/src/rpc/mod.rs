//! What a node answers to each method.

mod blocks;
mod fees;
mod logs;
mod params;
mod state;
mod transactions;
mod view;

use crate::{
    ErrorObject,
    chain::{ledger::Ledger, spec::ChainSpec},
};
pub(crate) use logs::{LogLimit, matching as matching_logs};
pub(crate) use params::Params;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
pub(crate) use view::{Sight, View};

/// A result as JSON, or the error.
pub(crate) type Answer = Result<Box<RawValue>, ErrorObject>;

/// Writes a value whose serialization cannot fail: no map with odd keys, no failing impl.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    to_raw_value(value).expect("RPC types serialize to JSON")
}

pub(crate) fn ok<T: Serialize>(value: T) -> Answer {
    Ok(to_json(&value))
}

/// Quantities are hex strings in Ethereum's JSON-RPC.
pub(crate) fn quantity(value: impl Into<u128>) -> Answer {
    ok(format!("{:#x}", value.into()))
}

/// Answers a method that changes nothing.
pub(crate) fn answer(
    spec: &ChainSpec,
    ledger: &Ledger,
    sight: &Sight,
    method: &str,
    params: Option<&RawValue>,
) -> Answer {
    let view = View::new(spec, ledger, sight);
    let params = &Params::parse(params)?;
    match method {
        "eth_chainId" => quantity(spec.chain_id),
        "net_version" => ok(spec.chain_id.to_string()),
        "web3_clientVersion" => ok(concat!("alclad-testkit/", env!("CARGO_PKG_VERSION"))),
        "eth_syncing" => ok(false),
        "eth_accounts" => ok([(); 0]),
        "eth_blockNumber" => quantity(view.head),
        "eth_getBlockByNumber" | "eth_getBlockByHash" => blocks::block(view, params),
        "eth_getBlockReceipts" => blocks::receipts(view, params),
        "eth_getBlockTransactionCountByNumber" | "eth_getBlockTransactionCountByHash" => {
            blocks::transaction_count(view, params)
        }
        "eth_getTransactionByHash" => transactions::by_hash(view, params),
        "eth_getTransactionByBlockHashAndIndex" | "eth_getTransactionByBlockNumberAndIndex" => {
            transactions::by_index(view, params)
        }
        "eth_getTransactionReceipt" => transactions::receipt(view, params),
        "eth_getLogs" => logs::logs(view, params),
        "eth_getBalance" => state::balance(view, params),
        "eth_getCode" => state::code(view, params),
        "eth_getStorageAt" => state::storage(view, params),
        "eth_getTransactionCount" => state::nonce(view, params),
        "eth_call" => state::call(view, params),
        "eth_estimateGas" => state::estimate_gas(view, params),
        "eth_gasPrice" => fees::gas_price(view),
        "eth_maxPriorityFeePerGas" => quantity(fees::PRIORITY_FEE),
        "eth_blobBaseFee" => quantity(fees::BLOB_BASE_FEE),
        "eth_feeHistory" => fees::history(view, params),
        _ => Err(ErrorObject::method_not_found(method)),
    }
}
