//! Nonces, balances and code, block by block.

use super::spec::ChainSpec;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use std::collections::HashMap;

const ETHER: u128 = 1_000_000_000_000_000_000;
const GWEI: u64 = 1_000_000_000;

/// What the state knows of one account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    pub(crate) code: Bytes,
}

/// The accounts that a transaction has touched, each with its states by block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounts {
    histories: HashMap<Address, Vec<(u64, Account)>>,
}

impl Accounts {
    /// The account as of the end of a block.
    pub(crate) fn at(
        &self,
        spec: &ChainSpec,
        address: Address,
        (number, hash): (u64, B256),
    ) -> Account {
        self.touched(address, number).cloned().unwrap_or_else(|| untouched(spec, address, hash))
    }

    fn touched(&self, address: Address, number: u64) -> Option<&Account> {
        let history = self.histories.get(&address)?;
        history.iter().rev().find(|(since, _)| *since <= number).map(|(_, account)| account)
    }

    /// Writes the state of an account as of a block that is being made.
    pub(crate) fn write(&mut self, address: Address, number: u64, account: Account) {
        let history = self.histories.entry(address).or_default();
        match history.last_mut() {
            Some((since, last)) if *since == number => *last = account,
            _ => history.push((number, account)),
        }
    }

    /// Forgets what happened after a block.
    pub(crate) fn rewind(&mut self, number: u64) {
        self.histories.retain(|_, history| {
            history.retain(|(since, _)| *since <= number);
            !history.is_empty()
        });
    }
}

fn untouched(spec: &ChainSpec, address: Address, block: B256) -> Account {
    let code = if spec.is_contract(&address) { contract_code(spec, address) } else { Bytes::new() };
    let balance = spec.balances.get(&address).copied().unwrap_or_else(|| {
        let ether = 1_000 + number_of(&[&spec.seed.to_be_bytes(), address.as_slice()]) % 9_000;
        let drift = number_of(&[block.as_slice(), address.as_slice()]) % GWEI;
        U256::from(u128::from(ether) * ETHER + u128::from(drift))
    });
    Account { nonce: u64::from(!code.is_empty()), balance, code }
}

fn contract_code(spec: &ChainSpec, address: Address) -> Bytes {
    let body = keccak256([&spec.seed.to_be_bytes(), address.as_slice()].concat());
    [&[0x60, 0x80, 0x60, 0x40, 0x52][..], body.as_slice()].concat().into()
}

fn number_of(parts: &[&[u8]]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = keccak256(parts.concat()).0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
