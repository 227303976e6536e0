//! Balances, nonces, code, storage, calls.

use super::{Answer, Params, View, ok, quantity};
use crate::{
    ErrorObject,
    chain::{
        account::Account,
        block::SealedBlock,
        execution::{call_result, intrinsic_gas, programmed},
        spec::ContractCall,
    },
};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, Bytes, TxKind, U256, keccak256};
use alloy_rpc_types_eth::TransactionRequest;

fn account(view: View<'_>, params: &Params<'_>) -> Result<Account, ErrorObject> {
    let block = view.state(params.optional(1)?)?;
    Ok(view.ledger.account(view.spec, params.required(0)?, block))
}

pub(super) fn balance(view: View<'_>, params: &Params<'_>) -> Answer {
    ok(account(view, params)?.balance)
}

pub(super) fn code(view: View<'_>, params: &Params<'_>) -> Answer {
    ok(account(view, params)?.code)
}

/// A pending nonce counts what waits in the pool.
pub(super) fn nonce(view: View<'_>, params: &Params<'_>) -> Answer {
    let nonce = account(view, params)?.nonce;
    if params.optional(1)? == Some(BlockId::Number(BlockNumberOrTag::Pending)) {
        return quantity(view.ledger.pool.next_nonce(params.required(0)?, nonce));
    }
    quantity(nonce)
}

/// Every slot of every address has a value, which differs from block to block.
pub(super) fn storage(view: View<'_>, params: &Params<'_>) -> Answer {
    let (address, slot): (Address, U256) = (params.required(0)?, params.required(1)?);
    let block = view.state(params.optional(2)?)?;
    let slot = slot.to_be_bytes::<32>();
    ok(keccak256([block.hash().as_slice(), address.as_slice(), &slot].concat()))
}

pub(super) fn call(view: View<'_>, params: &Params<'_>) -> Answer {
    let request: TransactionRequest = params.required(0)?;
    let block = view.state(params.optional(1)?)?;
    ok(run(view, &request, block)?)
}

pub(super) fn estimate_gas(view: View<'_>, params: &Params<'_>) -> Answer {
    let request: TransactionRequest = params.required(0)?;
    let block = view.state(params.optional(1)?)?;
    run(view, &request, block)?;
    let kind = request.to.unwrap_or_default();
    quantity(intrinsic_gas(kind, request.input.input().map_or(&[], |input| input)))
}

fn run(
    view: View<'_>,
    request: &TransactionRequest,
    block: &SealedBlock,
) -> Result<Bytes, ErrorObject> {
    let data = request.input.input().cloned().unwrap_or_default();
    let Some(TxKind::Call(to)) = request.to else { return Ok(data) };
    let from = request.from.unwrap_or_default();
    let call = ContractCall { from, to, data, block: block.number() };
    match programmed(view.spec, &call) {
        Some(result) => result.map_err(|data| ErrorObject::reverted(&data)),
        None => Ok(call_result(block.hash(), to, &call.data).into()),
    }
}
