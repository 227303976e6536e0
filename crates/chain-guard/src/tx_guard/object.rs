use super::caps::Terms;
use alclad_core::error::RefusedTransaction;
use alloy_primitives::{U64, U128};
use serde::Deserialize;

/// What the object of `eth_sendTransaction` says of itself: each quantity as hex or as a number.
pub(super) fn terms(object: &str) -> Result<Terms, RefusedTransaction> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Object {
        chain_id: Option<U64>,
        gas: Option<U64>,
        gas_price: Option<U128>,
        max_fee_per_gas: Option<U128>,
    }
    let object: Object =
        serde_json::from_str(object).map_err(|_| RefusedTransaction::Unreadable)?;
    Ok(Terms {
        chain_id: object.chain_id.map(|id| id.to()),
        gas: object.gas.map(|gas| gas.to()),
        fee_per_gas: object.max_fee_per_gas.or(object.gas_price).map(|fee| fee.to()),
        blob_fee: 0,
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
    }

    #[test]
    fn a_chain_id_that_cannot_be_read_is_refused() {
        for object in [r#"{"chainId":"mainnet"}"#, r#"{"chainId":-1}"#, "[]", "7", "null"] {
            assert_eq!(terms(object), Err(RefusedTransaction::Unreadable), "{object}");
        }
    }
}
