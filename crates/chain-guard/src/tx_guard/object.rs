use super::caps::Terms;
use alclad_core::error::RefusedTransaction;
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use alloy_primitives::{U64, U128};
use serde::{Deserialize, de::IgnoredAny};

/// What the object of `eth_sendTransaction` says of itself: each quantity as hex or as a number.
pub(super) fn terms(object: &str) -> Result<Terms, RefusedTransaction> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Object {
        chain_id: Option<U64>,
        gas: Option<U64>,
        gas_price: Option<U128>,
        max_fee_per_gas: Option<U128>,
        max_fee_per_blob_gas: Option<U128>,
        blob_versioned_hashes: Option<Vec<IgnoredAny>>,
        blobs: Option<Vec<IgnoredAny>>,
    }
    let object: Object =
        serde_json::from_str(object).map_err(|_| RefusedTransaction::Unreadable)?;
    let count = |blobs: &Option<Vec<IgnoredAny>>| blobs.as_ref().map_or(0, Vec::len);
    let blobs = count(&object.blob_versioned_hashes).max(count(&object.blobs));
    let blob_gas = u128::from(DATA_GAS_PER_BLOB).saturating_mul(blobs as u128);
    let fee_per_blob_gas = object.max_fee_per_blob_gas.map_or(0, |fee| fee.to::<u128>());
    Ok(Terms {
        chain_id: object.chain_id.map(|id| id.to()),
        gas: object.gas.map(|gas| gas.to()),
        // Of two, the one that the node will not heed is not known.
        fee_per_gas: object.max_fee_per_gas.max(object.gas_price).map(|fee| fee.to()),
        blob_fee: fee_per_blob_gas.saturating_mul(blob_gas),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_hex_or_a_number() {
        for object in [r#"{"chainId":"0x539","gas":"0x5208"}"#, r#"{"gas":21000,"chainId":1337}"#] {
            let terms = terms(object).unwrap();
            assert_eq!((terms.chain_id, terms.gas), (Some(1337), Some(21000)));
        }
        assert_eq!(terms(r#"{"to":"0x00","chainId":null}"#), Ok(Terms::default()));
        assert_eq!(terms(r#"{"gasPrice":"0x7"}"#).unwrap().fee_per_gas, Some(7));
        let both = r#"{"maxFeePerGas":"0x1","gasPrice":"0x7"}"#;
        assert_eq!(terms(both).unwrap().fee_per_gas, Some(7));
    }

    #[test]
    fn blobs_are_paid_for_too() {
        for blobs in [r#""blobVersionedHashes":["0x01","0x01"]"#, r#""blobs":["0x","0x"]"#] {
            let object = format!(r#"{{"maxFeePerBlobGas":"0x3",{blobs}}}"#);
            assert_eq!(terms(&object).unwrap().blob_fee, 3 * 2 * 131_072);
        }
    }

    #[test]
    fn a_chain_id_that_cannot_be_read_is_refused() {
        for object in [r#"{"chainId":"mainnet"}"#, r#"{"chainId":-1}"#, "[]", "7", "null"] {
            assert_eq!(terms(object), Err(RefusedTransaction::Unreadable), "{object}");
        }
    }
}
