use super::caps::{Caps, Terms};
use alclad_core::error::RefusedTransaction;
use alloy_consensus::{Transaction, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;

/// Whether these bytes are a transaction that may be sent to this chain.
pub(super) fn check(raw: &[u8], caps: &Caps, expected: u64) -> Result<(), RefusedTransaction> {
    match decode(raw) {
        Ok(terms) => caps.check(&terms, expected),
        Err(RefusedTransaction::UnknownType { .. }) if caps.unknown_types => Ok(()),
        Err(refused) => Err(refused),
    }
}

/// What a signed transaction says of itself; with its blobs or without them.
fn decode(raw: &[u8]) -> Result<Terms, RefusedTransaction> {
    match raw.first() {
        // EIP-2718: a type is at most 0x7f, and a legacy transaction begins as a list.
        Some(ty @ (0 | 5..=0x7f)) => Err(RefusedTransaction::UnknownType { ty: *ty }),
        Some(1..=4 | 0xc0..) => {
            let envelope = TxEnvelope::decode_2718_exact(raw);
            envelope.map(|envelope| terms(&envelope)).map_err(|_| RefusedTransaction::Unreadable)
        }
        Some(0x80..0xc0) | None => Err(RefusedTransaction::Unreadable),
    }
}

fn terms(envelope: &TxEnvelope) -> Terms {
    let blob_gas = envelope.blob_gas_used().unwrap_or_default();
    let blob_fee = envelope.max_fee_per_blob_gas().unwrap_or_default();
    Terms {
        chain_id: envelope.chain_id(),
        gas: Some(envelope.gas_limit()),
        fee_per_gas: Some(envelope.max_fee_per_gas()),
        blob_fee: blob_fee.saturating_mul(blob_gas.into()),
    }
}

#[cfg(test)]
mod tests;
