//! Random transactions and logs: the other users of the chain.

use super::{
    account::Accounts,
    block::Executed,
    execution::{Environment, execute},
    spec::ChainSpec,
};
use alloy_consensus::{
    SignableTransaction, TxEip1559, TxEip2930, TxEnvelope, TxLegacy, transaction::Recovered,
};
use alloy_primitives::{Address, B256, Bytes, Log, Signature, TxKind, U256, keccak256};
use fastrand::Rng;

const GWEI: u128 = 1_000_000_000;

/// How many transactions a block gets, and how many logs each of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) transactions: usize,
    pub(crate) logs: Option<usize>,
}

/// Makes and runs the random transactions of one block.
pub(crate) fn random_transactions(
    spec: &ChainSpec,
    accounts: &mut Accounts,
    environment: Environment,
    load: Load,
    rng: &mut Rng,
) -> Vec<Executed> {
    let run = |_| {
        let from = pick(&spec.traffic_accounts, rng);
        let contract = pick(&spec.traffic_contracts, rng);
        let nonce = accounts.at(spec, from, (environment.number, environment.parent)).nonce;
        let transaction = random_transaction(spec.chain_id, nonce, contract, rng);
        let count = load.logs.unwrap_or_else(|| rng.usize(spec.logs.clone()));
        let logs = (0..count).map(|_| random_log(spec, contract, rng)).collect();
        let transaction = Recovered::new_unchecked(transaction, from);
        execute(spec, accounts, environment, transaction, Some(logs))
    };
    (0..load.transactions).map(run).collect()
}

/// The signature is random: valid in form, but it does not recover to the sender.
fn random_transaction(chain_id: u64, nonce: u64, contract: Address, rng: &mut Rng) -> TxEnvelope {
    let (to, value) = (TxKind::Call(contract), U256::from(rng.u64(..GWEI as u64)));
    let input = random_bytes(rng, 4 + 32 * rng.clone().usize(0..3));
    let (gas_limit, gas_price) = (100_000 + rng.u64(..100_000), 15 * GWEI + rng.u128(..GWEI));
    let signature = random_signature(rng);
    match rng.u8(..4) {
        0 => TxLegacy { chain_id: Some(chain_id), nonce, gas_price, gas_limit, to, value, input }
            .into_signed(signature)
            .into(),
        1 => TxEip2930 {
            chain_id,
            nonce,
            gas_price,
            gas_limit,
            to,
            value,
            input,
            access_list: <_>::default(),
        }
        .into_signed(signature)
        .into(),
        _ => TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: 2 * gas_price,
            max_priority_fee_per_gas: GWEI + rng.u128(..GWEI),
            to,
            value,
            access_list: <_>::default(),
            input,
        }
        .into_signed(signature)
        .into(),
    }
}

/// A `Transfer` or an `Approval` between two accounts of the chain.
fn random_log(spec: &ChainSpec, contract: Address, rng: &mut Rng) -> Log {
    let event = if rng.bool() { "Transfer" } else { "Approval" };
    let event = keccak256(format!("{event}(address,address,uint256)"));
    let mut account = || pick(&spec.traffic_accounts, rng).into_word();
    let topics = vec![event, account(), account()];
    let amount = B256::from(U256::from(rng.u64(..)));
    Log::new_unchecked(contract, topics, amount.into())
}

fn random_signature(rng: &mut Rng) -> Signature {
    let mut scalar = || U256::from_be_bytes(std::array::from_fn::<_, 32, _>(|_| rng.u8(..))) >> 1;
    let (r, s) = (scalar(), scalar() >> 1);
    Signature::new(r, s, rng.bool())
}

fn random_bytes(rng: &mut Rng, length: usize) -> Bytes {
    std::iter::repeat_with(|| rng.u8(..)).take(length).collect()
}

fn pick(addresses: &[Address], rng: &mut Rng) -> Address {
    rng.choice(addresses).copied().unwrap_or_default()
}
