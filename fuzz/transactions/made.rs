//! Transactions of every type, whole and spoilt.

use super::{CHAIN, Settings};
use alclad_core::error::RefusedTransaction;
use alloy_consensus::{
    TxEip1559, TxEip2930, TxEip4844, TxEip4844Variant, TxEip4844WithSidecar, TxEip7702, TxEnvelope,
    TxLegacy, TypedTransaction,
};
use alloy_eips::{
    eip2718::Encodable2718,
    eip2930::{AccessList, AccessListItem},
    eip4844::BlobTransactionSidecar,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use arbitrary::Arbitrary;

/// A transaction, and what goes wrong with its bytes.
#[derive(Arbitrary, Debug)]
pub(super) struct Made {
    ty: Type,
    chain: Chain,
    gas: u64,
    price: u64,
    to: Option<[u8; 20]>,
    input: Vec<u8>,
    list: Vec<u8>,
    signature: (u64, u64, bool),
    mistakes: Vec<(u16, Mistake)>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Type {
    Legacy,
    Eip2930,
    Eip1559,
    Eip4844,
    WithSidecar,
    Eip7702,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Chain {
    Right,
    Other(u64),
    /// Only a legacy transaction can name none.
    None,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Mistake {
    Put(u8),
    Add(u8),
    Take,
    Cut,
}

// === impl Made ===

impl Made {
    pub(super) fn raw(&self) -> Vec<u8> {
        let (r, s, parity) = self.signature;
        let signature = Signature::new(U256::from(r), U256::from(s), parity);
        let mut raw = TxEnvelope::from((self.transaction(), signature)).encoded_2718();
        for (place, mistake) in &self.mistakes {
            let place = usize::from(*place) % raw.len().max(1);
            match mistake {
                Mistake::Add(byte) => raw.insert(place, *byte),
                _ if raw.is_empty() => {}
                Mistake::Put(byte) => raw[place] = *byte,
                Mistake::Take => drop(raw.remove(place)),
                Mistake::Cut => raw.truncate(place),
            }
        }
        raw
    }

    pub(super) const fn is_whole(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// By the letter of the rules.
    pub(super) fn refused_because(&self, settings: Settings) -> Option<RefusedTransaction> {
        match self.chain_id() {
            None if settings.has(Settings::UNPROTECTED) => None,
            None => Some(RefusedTransaction::Unprotected),
            Some(CHAIN) => None,
            Some(actual) => Some(RefusedTransaction::OtherChain { expected: CHAIN, actual }),
        }
    }

    fn chain_id(&self) -> Option<u64> {
        match (self.chain, self.ty) {
            (Chain::Right, _) => Some(CHAIN),
            (Chain::Other(id), _) => Some(id),
            (Chain::None, Type::Legacy) => None,
            (Chain::None, _) => Some(0),
        }
    }

    fn transaction(&self) -> TypedTransaction {
        let chain_id = self.chain_id().unwrap_or_default();
        let (gas_limit, gas_price) = (self.gas, u128::from(self.price));
        let to = self.to.map_or(TxKind::Create, |to| TxKind::Call(to.into()));
        let (input, access_list) = (Bytes::copy_from_slice(&self.input), self.access_list());
        let max_fee_per_gas = gas_price;
        match self.ty {
            Type::Legacy => {
                let chain_id = self.chain_id();
                TxLegacy { chain_id, gas_price, gas_limit, to, input, ..TxLegacy::default() }.into()
            }
            Type::Eip2930 => {
                let rest = TxEip2930 { access_list, ..TxEip2930::default() };
                TxEip2930 { chain_id, gas_price, gas_limit, to, input, ..rest }.into()
            }
            Type::Eip1559 => {
                let rest = TxEip1559 { access_list, ..TxEip1559::default() };
                TxEip1559 { chain_id, max_fee_per_gas, gas_limit, to, input, ..rest }.into()
            }
            Type::Eip4844 => {
                TypedTransaction::Eip4844(TxEip4844Variant::TxEip4844(self.with_blobs(chain_id)))
            }
            Type::WithSidecar => {
                let transaction = self.with_blobs(chain_id);
                let sidecar = BlobTransactionSidecar {
                    commitments: vec![[7; 48].into(); self.list.len() % 4],
                    ..BlobTransactionSidecar::default()
                };
                let whole = TxEip4844WithSidecar::from_tx_and_sidecar(transaction, sidecar.into());
                TypedTransaction::Eip4844(TxEip4844Variant::TxEip4844WithSidecar(whole))
            }
            Type::Eip7702 => {
                let authorization_list = self.authorizations();
                let rest = TxEip7702 { access_list, authorization_list, ..TxEip7702::default() };
                let to = self.address();
                TxEip7702 { chain_id, max_fee_per_gas, gas_limit, to, input, ..rest }.into()
            }
        }
    }

    fn address(&self) -> Address {
        self.to.unwrap_or_default().into()
    }

    fn with_blobs(&self, chain_id: u64) -> TxEip4844 {
        TxEip4844 {
            chain_id,
            gas_limit: self.gas,
            max_fee_per_gas: self.price.into(),
            to: self.address(),
            access_list: self.access_list(),
            blob_versioned_hashes: vec![B256::ZERO; self.list.len() % 4],
            ..TxEip4844::default()
        }
    }

    fn access_list(&self) -> AccessList {
        let item = |slots: &u8| AccessListItem {
            address: self.address(),
            storage_keys: vec![B256::repeat_byte(*slots); usize::from(*slots % 3)],
        };
        self.list.iter().take(8).map(item).collect::<Vec<_>>().into()
    }

    fn authorizations(&self) -> Vec<SignedAuthorization> {
        let sign = |byte: &u8| {
            let authorization = Authorization {
                chain_id: U256::from(*byte),
                address: self.address(),
                nonce: (*byte).into(),
            };
            SignedAuthorization::new_unchecked(authorization, *byte % 2, U256::ONE, U256::ONE)
        };
        self.list.iter().take(4).map(sign).collect()
    }
}
