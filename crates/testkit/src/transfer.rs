use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;

/// A small transfer to sign and send.
///
/// Equal ones have one hash, and each account has a key of its own, so that no transaction but the
/// one that was meant is known already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The chain that it is signed for; 1 unless said otherwise.
    pub chain_id: u64,
    /// One of 255 accounts, counted from 1; 9 unless said otherwise.
    pub account: u8,
    /// How many the account has sent before.
    pub nonce: u64,
    /// In wei; 1 unless said otherwise.
    pub value: u64,
}

impl Transfer {
    /// As `eth_sendRawTransaction` takes it, and its hash.
    ///
    /// # Panics
    ///
    /// If the account is 0, which has no key.
    pub fn signed(self) -> (Bytes, B256) {
        let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(self.account)).expect("a key");
        let transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: 21_000,
            max_fee_per_gas: 100_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to: TxKind::Call(Address::repeat_byte(1)),
            value: U256::from(self.value),
            ..TxEip1559::default()
        };
        let signature = signer.sign_hash_sync(&transaction.signature_hash()).expect("a signature");
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        (envelope.encoded_2718().into(), *envelope.tx_hash())
    }
}

impl Default for Transfer {
    fn default() -> Self {
        Self { chain_id: 1, account: 9, nonce: 0, value: 1 }
    }
}
