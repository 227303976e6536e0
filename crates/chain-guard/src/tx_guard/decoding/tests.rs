use super::*;
use alloy_consensus::{
    TxEip1559, TxEip2930, TxEip4844, TxEip4844Variant, TxEip4844WithSidecar, TxEip7702, TxLegacy,
    TypedTransaction,
};
use alloy_eips::{
    eip2718::Encodable2718,
    eip2930::{AccessList, AccessListItem},
    eip4844::{BYTES_PER_BLOB, BlobTransactionSidecar},
    eip7594::{BlobTransactionSidecarEip7594, BlobTransactionSidecarVariant},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use fastrand::Rng;

const CAPS: Caps = Caps {
    unprotected: false,
    unknown_types: false,
    fee_per_gas: Some(1_000),
    total_fee: Some(100_000_000),
    gas: Some(100_000),
};

fn raw(transaction: impl Into<TypedTransaction>) -> Vec<u8> {
    TxEnvelope::from((transaction.into(), Signature::test_signature())).encoded_2718()
}

fn access_list() -> AccessList {
    let item = AccessListItem { address: Address::ZERO, storage_keys: vec![B256::ZERO; 2] };
    vec![item.clone(), item].into()
}

fn legacy(chain_id: Option<u64>) -> TxLegacy {
    let to = TxKind::Call(Address::ZERO);
    TxLegacy { chain_id, gas_price: 7, gas_limit: 21_000, to, ..TxLegacy::default() }
}

fn blob_transaction() -> TxEip4844 {
    let blob_versioned_hashes = vec![B256::ZERO];
    TxEip4844 { chain_id: 1, blob_versioned_hashes, ..TxEip4844::default() }
}

fn with_sidecar(sidecar: impl Into<BlobTransactionSidecarVariant>) -> Vec<u8> {
    let transaction = TxEip4844WithSidecar::from_tx_and_sidecar(blob_transaction(), sidecar.into());
    raw(TxEip4844Variant::from(transaction))
}

fn sidecar(blobs: usize) -> BlobTransactionSidecar {
    BlobTransactionSidecar {
        blobs: vec![[0; BYTES_PER_BLOB].into(); blobs],
        commitments: vec![[0; 48].into()],
        proofs: vec![[0; 48].into()],
    }
}

fn cell_sidecar(blobs: usize) -> BlobTransactionSidecarEip7594 {
    BlobTransactionSidecarEip7594 {
        blobs: vec![[0; BYTES_PER_BLOB].into(); blobs],
        commitments: vec![[0; 48].into()],
        cell_proofs: vec![[0; 48].into(); 4],
    }
}

/// One of each type, for chain 1.
fn protected() -> Vec<Vec<u8>> {
    let input = Bytes::from(vec![0xc0; 70]);
    let authorization = Authorization { chain_id: U256::ZERO, address: Address::ZERO, nonce: 1 };
    let signed = SignedAuthorization::new_unchecked(authorization, 0, U256::ONE, U256::ONE);
    let list = access_list();
    vec![
        raw(legacy(Some(1))),
        raw(TxEip2930 { chain_id: 1, access_list: list.clone(), ..TxEip2930::default() }),
        raw(TxEip1559 {
            chain_id: 1,
            input,
            access_list: list.clone(),
            value: U256::MAX,
            ..TxEip1559::default()
        }),
        raw(blob_transaction()),
        with_sidecar(sidecar(0)),
        with_sidecar(cell_sidecar(0)),
        raw(TxEip7702 {
            chain_id: 1,
            access_list: list,
            authorization_list: vec![signed.clone(), signed],
            ..TxEip7702::default()
        }),
    ]
}

#[test]
fn every_type_of_the_right_chain_passes_and_of_another_is_refused() {
    let blobs = [with_sidecar(sidecar(1)), with_sidecar(cell_sidecar(1))];
    for raw in protected().iter().chain(&blobs) {
        assert_eq!(check(raw, &CAPS, 1), Ok(()));
        let other = RefusedTransaction::OtherChain { expected: 5, actual: 1 };
        assert_eq!(check(raw, &CAPS, 5), Err(other));
    }
}

#[test]
fn what_names_no_chain_is_refused_unless_allowed() {
    let raw = raw(legacy(None));
    assert_eq!(check(&raw, &CAPS, 1), Err(RefusedTransaction::Unprotected));
    assert_eq!(check(&raw, &Caps { unprotected: true, ..CAPS }, 1), Ok(()));
}

#[test]
fn unknown_types_are_refused_unless_allowed() {
    for ty in [0, 5, 0x71, 0x7b, 0x7e, 0x7f] {
        let refused = RefusedTransaction::UnknownType { ty };
        assert_eq!(check(&[ty, 0xc0], &CAPS, 1), Err(refused));
        assert_eq!(check(&[ty, 0xc0], &Caps { unknown_types: true, ..CAPS }, 1), Ok(()));
    }
}

#[test]
fn bytes_that_are_no_transaction_are_refused_whatever_is_allowed() {
    let caps = Caps { unknown_types: true, unprotected: true, ..CAPS };
    for raw in protected() {
        for length in 0..raw.len() {
            assert_eq!(check(&raw[..length], &caps, 1), Err(RefusedTransaction::Unreadable));
        }
        let longer = [&*raw, &[0]].concat();
        assert_eq!(check(&longer, &caps, 1), Err(RefusedTransaction::Unreadable));
    }
    for ty in 0x80..0xc0 {
        assert_eq!(check(&[ty], &caps, 1), Err(RefusedTransaction::Unreadable));
    }
}

#[test]
fn caps_hold_at_their_very_edge() {
    let caps = Caps::default();
    let of = |gas_limit, gas_price| raw(TxLegacy { gas_limit, gas_price, ..legacy(Some(1)) });
    let gas = Caps { gas: Some(21_000), ..caps };
    assert_eq!(check(&of(21_000, 1), &gas, 1), Ok(()));
    let refused = RefusedTransaction::GasTooHigh { gas: 21_001, most: 21_000 };
    assert_eq!(check(&of(21_001, 1), &gas, 1), Err(refused));

    let per_gas = Caps { fee_per_gas: Some(7), ..caps };
    assert_eq!(check(&of(21_000, 7), &per_gas, 1), Ok(()));
    let refused = RefusedTransaction::FeeTooHigh { wei: 8, most: 7, total: false };
    assert_eq!(check(&of(21_000, 8), &per_gas, 1), Err(refused));

    let total = Caps { total_fee: Some(147_000), ..caps };
    assert_eq!(check(&of(21_000, 7), &total, 1), Ok(()));
    let refused = RefusedTransaction::FeeTooHigh { wei: 168_000, most: 147_000, total: true };
    assert_eq!(check(&of(21_000, 8), &total, 1), Err(refused));
    let endless = RefusedTransaction::FeeTooHigh { wei: u128::MAX, most: 147_000, total: true };
    assert_eq!(check(&of(u64::MAX, u128::MAX), &total, 1), Err(endless));
}

#[test]
fn blobs_are_paid_for_too() {
    let blob = raw(TxEip4844 { max_fee_per_blob_gas: 2, ..blob_transaction() });
    let fee = 2 * 131_072;
    assert_eq!(check(&blob, &Caps { total_fee: Some(fee), ..Caps::default() }, 1), Ok(()));
    let refused = RefusedTransaction::FeeTooHigh { wei: fee, most: fee - 1, total: true };
    let caps = Caps { total_fee: Some(fee - 1), ..Caps::default() };
    assert_eq!(check(&blob, &caps, 1), Err(refused));
}

/// Bytes that are nearly a transaction, or not at all.
fn mangled(corpus: &[Vec<u8>], dice: &mut Rng) -> Vec<u8> {
    let mut bytes = corpus[dice.usize(..corpus.len())].clone();
    for _ in 0..dice.usize(1..5) {
        let place = dice.usize(..=bytes.len());
        let end = dice.usize(place..=bytes.len());
        match dice.u8(..8) {
            0 => bytes.truncate(place),
            1 => drop(bytes.drain(place..end)),
            2 => bytes.extend_from_within(place..end),
            3 => {
                let other = &corpus[dice.usize(..corpus.len())];
                bytes.splice(place..end, other[dice.usize(..other.len())..].iter().copied());
            }
            4 => bytes.insert(place, dice.u8(..)),
            // Lengths of RLP, at their edges.
            5 if place < bytes.len() => {
                let edges = [0, 0x7f, 0x80, 0xb7, 0xb8, 0xbf, 0xc0, 0xf7, 0xf8, 0xff];
                bytes[place] = edges[dice.usize(..edges.len())];
            }
            _ if place < bytes.len() => bytes[place] ^= 1 << dice.u8(..8),
            _ => {}
        }
        bytes.truncate(4_096);
    }
    if dice.u8(..) == 0 {
        bytes.iter_mut().for_each(|byte| *byte = dice.u8(..));
    }
    bytes
}

fn hurl(seed: u64, inputs: u64) {
    let mut corpus = protected();
    corpus.extend([raw(legacy(None)), raw(TxLegacy { to: TxKind::Create, ..legacy(Some(9)) })]);
    let mut dice = Rng::with_seed(seed);
    let mut passed = 0;
    for input in 0..inputs {
        let bytes = mangled(&corpus, &mut dice);
        passed += u64::from(check(&bytes, &CAPS, 1).is_ok());
        // Something new that is a transaction is worth going on from.
        if corpus.len() < 500 && decode(&bytes).is_ok() && input % 16 == 0 {
            corpus.push(bytes);
        }
    }
    println!("seed {seed}: {passed} of {inputs} inputs are transactions for chain 1");
    assert!(passed > 0 && passed < inputs);
}

#[test]
fn no_bytes_make_it_panic() {
    (0..4).for_each(|seed| hurl(seed, 10_000));
}

#[test]
fn a_mangled_blob_makes_no_panic() {
    let mut dice = Rng::with_seed(7);
    for whole in [with_sidecar(sidecar(1)), with_sidecar(cell_sidecar(1))] {
        for _ in 0..300 {
            let mut bytes = whole.clone();
            let place = dice.usize(..bytes.len()).min(dice.usize(..600));
            bytes[place] ^= 1 << dice.u8(..8);
            let _ = check(
                &bytes[..bytes.len() - dice.usize(..2) * dice.usize(..bytes.len())],
                &CAPS,
                1,
            );
        }
    }
}

/// `cargo test --release -p alclad-chain-guard -- --ignored ten_million`
#[test]
#[ignore = "takes minutes without optimisation"]
fn ten_million_inputs_make_no_panic() {
    (0..100).for_each(|seed| hurl(seed, 100_000));
}
