//! The hash of a transaction is known before it is sent, and what is none has no hash.

use alclad_core::send::{SEND_RAW_TRANSACTION, transaction_hash};
use alclad_testkit::request;
use alloy_consensus::{
    TxEip1559, TxEip2930, TxEip4844, TxEip4844Variant, TxEip4844WithSidecar, TxEip7702, TxEnvelope,
    TxLegacy, TypedTransaction,
};
use alloy_eips::{
    eip2718::Encodable2718,
    eip4844::{BYTES_PER_BLOB, BlobTransactionSidecar},
    eip7594::{BlobTransactionSidecarEip7594, BlobTransactionSidecarVariant},
};
use alloy_primitives::{B256, Bytes, Signature, TxKind, b256, bytes, keccak256};
use serde_json::{Value, json};

fn hash_of(raw: &[u8]) -> Option<B256> {
    hash_of_params(json!([Bytes::copy_from_slice(raw)]))
}

fn hash_of_params(params: Value) -> Option<B256> {
    transaction_hash(&request(1, SEND_RAW_TRANSACTION, params))
}

fn raw(transaction: impl Into<TypedTransaction>) -> Vec<u8> {
    TxEnvelope::from((transaction.into(), Signature::test_signature())).encoded_2718()
}

fn blob_transaction() -> TxEip4844 {
    TxEip4844 { blob_versioned_hashes: vec![B256::ZERO], ..TxEip4844::default() }
}

fn with_sidecar(sidecar: BlobTransactionSidecarVariant) -> Vec<u8> {
    let transaction = TxEip4844WithSidecar::from_tx_and_sidecar(blob_transaction(), sidecar);
    raw(TxEip4844Variant::from(transaction))
}

/// One of each type that is hashed as it is sent.
fn plain() -> Vec<Vec<u8>> {
    let legacy = TxLegacy { chain_id: Some(1), to: TxKind::Create, ..TxLegacy::default() };
    vec![
        raw(TxLegacy { chain_id: None, ..legacy.clone() }),
        raw(legacy),
        raw(TxEip2930::default()),
        raw(TxEip1559 { input: bytes!("c0ffee"), ..TxEip1559::default() }),
        raw(blob_transaction()),
        raw(TxEip7702::default()),
    ]
}

#[test]
fn the_hash_of_a_transaction_is_that_of_its_bytes() {
    for raw in plain() {
        assert_eq!(hash_of(&raw), Some(keccak256(&raw)));
    }
}

#[test]
fn the_example_of_eip_155_has_the_hash_that_everybody_knows() {
    let raw = bytes!(
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080"
        "25a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276"
        "a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
    );
    let known = b256!("33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788");
    assert_eq!(hash_of(&raw), Some(known));
}

#[test]
fn blobs_and_their_proofs_are_not_hashed() {
    let bare = raw(blob_transaction());
    let blobs = vec![[0; BYTES_PER_BLOB].into()];
    let commitments = vec![[0; 48].into()];
    let proofs = vec![[0; 48].into()];
    let cell_proofs = vec![[0; 48].into(); 128];
    let (more_blobs, more_commitments) = (blobs.clone(), commitments.clone());
    for sidecar in [
        BlobTransactionSidecar { blobs, commitments, proofs }.into(),
        BlobTransactionSidecarEip7594 {
            blobs: more_blobs,
            commitments: more_commitments,
            cell_proofs,
        }
        .into(),
    ] {
        let whole = with_sidecar(sidecar);
        assert!(whole.len() > BYTES_PER_BLOB);
        assert_eq!(hash_of(&whole), Some(keccak256(&bare)));
    }
}

#[test]
fn only_a_send_has_a_hash() {
    let raw = Bytes::from(plain().remove(0));
    for method in ["eth_call", "eth_sendTransaction", "eth_sendRawTransactionSync"] {
        assert_eq!(transaction_hash(&request(1, method, (&raw,))), None);
    }
    assert_eq!(transaction_hash(&request(1, SEND_RAW_TRANSACTION, ())), None);
    for params in [json!([]), json!([raw, raw]), json!({ "raw": raw }), json!([7]), json!(["0xz"])]
    {
        assert_eq!(hash_of_params(params), None);
    }
}

#[test]
fn a_transaction_with_too_little_or_too_much_has_no_hash() {
    for raw in plain() {
        for length in 0..raw.len() {
            assert_eq!(hash_of(&raw[..length]), None);
        }
        assert_eq!(hash_of(&[&*raw, &[0]].concat()), None);
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    for _ in 0..20_000 {
        let mut noise = vec![0; dice.usize(..200)];
        dice.fill(&mut noise);
        if let Some(first) = noise.first_mut() {
            *first = dice.choice([*first, 0xf8, 0xc0, 1, 2, 3, 4, 0x7e]).expect("there are some");
        }
        hash_of(&noise);
    }
    for mut raw in plain() {
        for _ in 0..2_000 {
            let place = dice.usize(..raw.len());
            let before = std::mem::replace(&mut raw[place], dice.u8(..));
            hash_of(&raw);
            raw[place] = before;
        }
    }
}
