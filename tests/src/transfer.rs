use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718,
    primitives::{Address, B256, Bytes, TxKind, U256},
    signers::{SignerSync, local::PrivateKeySigner},
};

/// A transaction of one account, signed for this chain: as it is sent, and its hash.
///
/// # Panics
///
/// Never: the key is a good one.
pub fn transfer(chain_id: u64, nonce: u64) -> (Bytes, B256) {
    let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(9)).expect("a key");
    let transaction = TxEip1559 {
        chain_id,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(Address::repeat_byte(1)),
        value: U256::from(1),
        ..TxEip1559::default()
    };
    let signature = signer.sign_hash_sync(&transaction.signature_hash()).expect("a signature");
    let envelope = TxEnvelope::from(transaction.into_signed(signature));
    (envelope.encoded_2718().into(), *envelope.tx_hash())
}
