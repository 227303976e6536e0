//! What a transaction does: pays gas, moves value, logs, or fails.

use super::{
    account::Accounts,
    block::Executed,
    spec::{ChainSpec, ContractCall, REVERT_DATA, REVERTING},
};
use alloy_consensus::{Transaction as _, TxEnvelope, transaction::Recovered};
use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256, keccak256};

/// The block that is being made, and the parent whose state it starts from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Environment {
    pub(crate) number: u64,
    pub(crate) parent: B256,
    pub(crate) base_fee: u64,
}

/// Runs one transaction; `logs` is what it emits if it succeeds, or nothing to let it decide.
pub(crate) fn execute(
    spec: &ChainSpec,
    accounts: &mut Accounts,
    environment: Environment,
    transaction: Recovered<TxEnvelope>,
    logs: Option<Vec<Log>>,
) -> Executed {
    let tx = transaction.inner();
    let success = !fails(spec, &transaction, environment.number);
    let gas_used = intrinsic_gas(tx.kind(), tx.input()).min(tx.gas_limit());
    let price = tx.effective_gas_price(Some(environment.base_fee));
    let moved = if success { tx.value() } else { U256::ZERO };
    let fee = U256::from(gas_used) * U256::from(price)
        + U256::from(tx.blob_gas_used().unwrap_or_default());

    let at = (environment.number, environment.parent);
    let mut sender = accounts.at(spec, transaction.signer(), at);
    sender.nonce = tx.nonce() + 1;
    sender.balance = sender.balance.saturating_sub(fee).saturating_sub(moved);
    accounts.write(transaction.signer(), environment.number, sender);

    let created = tx.kind().is_create().then(|| transaction.signer().create(tx.nonce()));
    if let Some(target) = created.or(tx.to()).filter(|_| success) {
        let mut account = accounts.at(spec, target, at);
        account.balance = account.balance.saturating_add(moved);
        if created.is_some() {
            account.nonce = 1;
            account.code = tx.input().clone();
        }
        accounts.write(target, environment.number, account);
    }
    let logs = if success { logs.unwrap_or_else(|| own_logs(spec, &transaction)) } else { vec![] };
    Executed { success, gas_used, logs, created: created.filter(|_| success), transaction }
}

fn fails(spec: &ChainSpec, transaction: &Recovered<TxEnvelope>, block: u64) -> bool {
    let tx = transaction.inner();
    let Some(to) = tx.to() else { return false };
    let call = ContractCall { from: transaction.signer(), to, data: tx.input().clone(), block };
    matches!(programmed(spec, &call), Some(Err(_)))
}

/// The answer of an address that does not answer with a hash.
pub(crate) fn programmed(spec: &ChainSpec, call: &ContractCall) -> Option<Result<Bytes, Bytes>> {
    if call.to == REVERTING {
        return Some(Err(Bytes::from_static(REVERT_DATA)));
    }
    spec.contracts.get(&call.to).map(|contract| contract(call))
}

/// What an address without a closure answers to a call at a block.
pub(crate) fn call_result(block: B256, to: Address, data: &[u8]) -> B256 {
    keccak256([block.as_slice(), to.as_slice(), data].concat())
}

/// Gas of a transaction, as `eth_estimateGas` tells it and as the receipt has it.
pub(crate) fn intrinsic_gas(kind: TxKind, input: &[u8]) -> u64 {
    let base = if kind.is_create() { 53_000 } else { 21_000 };
    let data = input.len() as u64;
    base + if data == 0 { 0 } else { 5_000 + 16 * data }
}

/// A sent transaction to a contract logs `Received(address indexed from, uint256 value)`.
fn own_logs(spec: &ChainSpec, transaction: &Recovered<TxEnvelope>) -> Vec<Log> {
    let tx = transaction.inner();
    let Some(contract) = tx.to().filter(|to| spec.is_contract(to)) else { return vec![] };
    let topics = vec![keccak256("Received(address,uint256)"), transaction.signer().into_word()];
    vec![Log::new_unchecked(contract, topics, tx.value().to_be_bytes::<32>().into())]
}
