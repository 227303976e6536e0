//! Transactions that were sent and wait for a block.

use super::{account::Account, block::GAS_LIMIT};
use crate::ErrorObject;
use alloy_consensus::{Transaction as _, TxEnvelope, transaction::Recovered};
use alloy_primitives::{Address, B256, U256};
use std::collections::{BTreeMap, HashMap};

/// The pool of a chain: by sender, then by nonce.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    waiting: BTreeMap<Address, BTreeMap<u64, Recovered<TxEnvelope>>>,
    submissions: HashMap<B256, u64>,
}

impl Pool {
    /// Notes that a transaction was handed in, whatever came of it.
    pub(crate) fn note(&mut self, hash: B256) {
        *self.submissions.entry(hash).or_default() += 1;
    }

    pub(crate) fn submissions(&self, hash: B256) -> u64 {
        self.submissions.get(&hash).copied().unwrap_or_default()
    }

    /// Takes a transaction in, as a node would check it against its sender's account.
    pub(crate) fn admit(
        &mut self,
        transaction: Recovered<TxEnvelope>,
        sender: &Account,
    ) -> Result<(), ErrorObject> {
        let (hash, nonce) = (*transaction.tx_hash(), transaction.nonce());
        if self.find(hash).is_some() {
            return Err(ErrorObject::server("already known"));
        }
        if nonce < sender.nonce {
            let next = sender.nonce;
            let why = format!("nonce too low: next nonce {next}, tx nonce {nonce}");
            return Err(ErrorObject::server(why));
        }
        affordable(&transaction, sender.balance)?;
        let by_nonce = self.waiting.entry(transaction.signer()).or_default();
        if let Some(rival) = by_nonce.get(&nonce) {
            let least = rival.max_fee_per_gas() + rival.max_fee_per_gas() / 10;
            if transaction.max_fee_per_gas() < least {
                return Err(ErrorObject::server("replacement transaction underpriced"));
            }
        }
        by_nonce.insert(nonce, transaction);
        Ok(())
    }

    /// Puts a transaction back whose block was orphaned.
    pub(crate) fn restore(&mut self, transaction: Recovered<TxEnvelope>) {
        let by_nonce = self.waiting.entry(transaction.signer()).or_default();
        by_nonce.entry(transaction.nonce()).or_insert(transaction);
    }

    pub(crate) fn find(&self, hash: B256) -> Option<&Recovered<TxEnvelope>> {
        self.iter().find(|transaction| *transaction.tx_hash() == hash)
    }

    pub(crate) fn forget(&mut self, hash: B256) -> bool {
        let before = self.iter().count();
        for by_nonce in self.waiting.values_mut() {
            by_nonce.retain(|_, transaction| *transaction.tx_hash() != hash);
        }
        before != self.iter().count()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Recovered<TxEnvelope>> {
        self.waiting.values().flat_map(BTreeMap::values)
    }

    /// The first nonce from `nonce` on that no waiting transaction of the sender has.
    pub(crate) fn next_nonce(&self, sender: Address, nonce: u64) -> u64 {
        let taken = |nonce: &u64| {
            self.waiting.get(&sender).is_some_and(|by_nonce| by_nonce.contains_key(nonce))
        };
        (nonce..).find(|nonce| !taken(nonce)).unwrap_or(nonce)
    }

    /// Takes out what the next block can hold: in nonce order, without gaps, fees covered.
    pub(crate) fn take(
        &mut self,
        base_fee: u64,
        nonce_of: impl Fn(Address) -> u64,
    ) -> Vec<Recovered<TxEnvelope>> {
        let (mut taken, mut gas) = (Vec::new(), 0);
        for (sender, by_nonce) in &mut self.waiting {
            let mut nonce = nonce_of(*sender);
            *by_nonce = by_nonce.split_off(&nonce);
            while let Some(entry) = by_nonce.first_entry() {
                let transaction = entry.get();
                let room = gas + transaction.gas_limit() <= GAS_LIMIT;
                let pays = transaction.max_fee_per_gas() >= u128::from(base_fee);
                if !room || !pays || *entry.key() != nonce {
                    break;
                }
                (nonce, gas) = (nonce + 1, gas + transaction.gas_limit());
                taken.push(entry.remove());
            }
        }
        self.waiting.retain(|_, by_nonce| !by_nonce.is_empty());
        taken
    }
}

fn affordable(transaction: &Recovered<TxEnvelope>, balance: U256) -> Result<(), ErrorObject> {
    let gas = U256::from(transaction.gas_limit()) * U256::from(transaction.max_fee_per_gas());
    let cost = gas.saturating_add(transaction.value());
    if cost > balance {
        let why = format!(
            "insufficient funds for gas * price + value: balance {balance}, tx cost {cost}"
        );
        return Err(ErrorObject::server(why));
    }
    if transaction.gas_limit() < 21_000 {
        return Err(ErrorObject::server("intrinsic gas too low"));
    }
    Ok(())
}
