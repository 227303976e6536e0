//! A transaction may be sent again, because its hash tells whether it has arrived.

mod support;

use alclad_core::error::{OverLimit, TypedError};
use alclad_retry::RetryLayer;
use alclad_testkit::{
    Disruption, SimChain, SimNode, answer, assert_ids, batch, error, request, single,
};
use alloy_consensus::{
    SignableTransaction, TxEip4844, TxEip4844Variant, TxEip4844WithSidecar, TxEnvelope, TxLegacy,
};
use alloy_eips::{eip2718::Encodable2718, eip4844::BlobTransactionSidecar};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_primitives::{B256, Bytes, Signature, TxKind};
use serde_json::json;
use std::{io::ErrorKind::ConnectionReset, time::Duration};
use support::{Conversation, errors, exact, http, io};
use tokio::time::sleep;
use tower::{Layer, ServiceExt};

const SEND: &[(u64, &str)] = &[(1, "eth_sendRawTransaction")];
const LOOK_UP: &[(u64, &str)] = &[(1, "eth_getTransactionByHash")];

fn transaction(gas_price: u128) -> TxEnvelope {
    let transaction = TxLegacy {
        chain_id: Some(1),
        gas_price,
        gas_limit: 21_000,
        to: TxKind::Call([7; 20].into()),
        ..TxLegacy::default()
    };
    transaction.into_signed(Signature::test_signature()).into()
}

/// The same transaction, with its blobs and without.
fn blobs() -> (TxEnvelope, TxEnvelope) {
    let transaction = TxEip4844 { blob_versioned_hashes: vec![B256::ZERO], ..TxEip4844::default() };
    let sidecar = BlobTransactionSidecar {
        blobs: vec![[0; 131_072].into()],
        commitments: vec![[0; 48].into()],
        proofs: vec![[0; 48].into()],
    };
    let sign = |variant: TxEip4844Variant| variant.into_signed(Signature::test_signature()).into();
    let bare = sign(transaction.clone().into());
    (sign(TxEip4844WithSidecar::from_tx_and_sidecar(transaction, sidecar).into()), bare)
}

fn raw(transaction: &TxEnvelope) -> Bytes {
    transaction.encoded_2718().into()
}

fn send(raw: Bytes) -> RequestPacket {
    single(request(1, "eth_sendRawTransaction", (raw,)))
}

fn is_hash(answer: &ResponsePacket, hash: &B256) -> bool {
    let hash = json!(hash).to_string();
    answer.payloads().all(|payload| payload.as_success().unwrap().get() == hash)
}

#[tokio::test(start_paused = true)]
async fn a_send_whose_answer_was_lost_is_its_hash_and_happens_once() {
    let node = SimNode::new(&SimChain::new(7));
    let transaction = transaction(100_000_000_000);
    node.set(Disruption::LoseAnswer.on("eth_sendRawTransaction").times(1));
    let layer = RetryLayer::new();
    let answer = layer.layer(node.transport()).oneshot(send(raw(&transaction))).await.unwrap();
    assert!(is_hash(&answer, transaction.tx_hash()));
    node.chain().mine(3);
    assert_eq!(node.calls("eth_sendRawTransaction"), 2);
    assert_eq!(node.chain().inclusions(*transaction.tx_hash()), 1);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_was_mined_before_it_was_sent_again_is_its_hash() {
    let node = SimNode::new(&SimChain::new(7));
    let transaction = transaction(100_000_000_000);
    node.set(Disruption::LoseAnswer.on("eth_sendRawTransaction").times(1));
    let service = exact().layer(node.transport());
    let call = tokio::spawn(service.oneshot(send(raw(&transaction))));
    sleep(Duration::from_millis(50)).await;
    node.chain().mine(1);
    assert!(is_hash(&call.await.unwrap().unwrap(), transaction.tx_hash()));
    assert_eq!(node.calls("eth_getTransactionByHash"), 1);
    assert_eq!(node.chain().inclusions(*transaction.tx_hash()), 1);
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_another_transaction_used_stays_too_low() {
    let mut talk = Conversation::of(&exact(), send(raw(&transaction(1))));
    talk.hears(0, SEND).await.fail(io(ConnectionReset));
    talk.hears(100, SEND).await.answer(error(1, -32000, "nonce too low"));
    talk.hears(100, LOOK_UP).await.answer(answer(1, ()));
    assert_eq!(errors(&talk.ends(100).await.unwrap()), [Some((-32000, "nonce too low"))]);
}

#[tokio::test(start_paused = true)]
async fn the_hash_of_a_blob_transaction_is_that_without_its_blobs() {
    let (with_blobs, bare) = blobs();
    assert!(raw(&with_blobs).len() > 131_072 && raw(&bare).len() < 1_000);
    let hash = alloy_primitives::keccak256(raw(&bare));
    let mut talk = Conversation::of(&exact(), send(raw(&with_blobs)));
    talk.hears(0, SEND).await.fail(io(ConnectionReset));
    talk.hears(100, SEND).await.answer(error(1, -32000, "already known"));
    assert!(is_hash(&talk.ends(100).await.unwrap(), &hash));
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_is_too_low_is_looked_up_by_its_hash() {
    let transaction = transaction(1);
    let hash = *transaction.tx_hash();
    let mut talk = Conversation::of(&exact(), send(raw(&transaction)));
    talk.hears(0, SEND).await.answer(error(1, -32000, "nonce too low"));
    let look_up = talk.hears(0, LOOK_UP).await;
    let params = look_up.packet().as_single().unwrap().params().unwrap().get().to_owned();
    assert_eq!(params, json!([hash]).to_string());
    look_up.answer(answer(1, json!({ "hash": hash })));
    assert!(is_hash(&talk.ends(0).await.unwrap(), &hash));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_whose_look_up_fails_has_failed() {
    let transaction = transaction(1);
    let mut talk = Conversation::of(&exact(), send(raw(&transaction)));
    talk.hears(0, SEND).await.answer(error(1, -32000, "nonce too low"));
    talk.hears(0, LOOK_UP).await.fail(http(503));
    talk.hears(100, SEND).await.answer(error(1, -32000, "nonce too low"));
    let found = json!({ "hash": transaction.tx_hash() });
    talk.hears(100, LOOK_UP).await.answer(answer(1, found));
    assert!(is_hash(&talk.ends(100).await.unwrap(), transaction.tx_hash()));
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_tells_nothing_leaves_the_error_as_it_is() {
    let transaction = transaction(1);
    let found = |hash: &B256| json!({ "hash": hash });
    for nothing in [
        answer(1, ()),
        answer(1, json!({})),
        answer(1, found(&B256::ZERO)),
        answer(2, found(transaction.tx_hash())),
        error(1, -32601, "the method does not exist"),
    ] {
        let mut talk = Conversation::of(&exact(), send(raw(&transaction)));
        talk.hears(0, SEND).await.answer(error(1, -32000, "nonce too low"));
        talk.hears(0, LOOK_UP).await.answer(nothing);
        assert_eq!(errors(&talk.ends(0).await.unwrap()), [Some((-32000, "nonce too low"))]);
    }
}

#[tokio::test(start_paused = true)]
async fn look_ups_that_fail_to_the_end_leave_the_error_as_it_is() {
    let mut talk = Conversation::of(&exact(), send(raw(&transaction(1))));
    for at in [0, 100, 300, 700, 1_500] {
        talk.hears(at, SEND).await.answer(error(1, -32000, "nonce too low"));
        talk.hears(at, LOOK_UP).await.answer(error(1, -32005, "slow down"));
    }
    assert_eq!(errors(&talk.ends(1_500).await.unwrap()), [Some((-32000, "nonce too low"))]);
}

#[tokio::test(start_paused = true)]
async fn a_send_whose_look_up_our_own_limit_stopped_was_an_attempt() {
    let limited = || OverLimit::new(Duration::from_millis(100)).into_transport_error();
    let mut talk = Conversation::of(&exact(), send(raw(&transaction(1))));
    for at in [0, 100, 200, 300, 400] {
        talk.hears(at, SEND).await.answer(error(1, -32000, "nonce too low"));
        talk.hears(at, LOOK_UP).await.fail(limited());
    }
    assert_eq!(errors(&talk.ends(400).await.unwrap()), [Some((-32000, "nonce too low"))]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_an_ethereum_transaction_has_no_hash_to_guess() {
    let mut talk = Conversation::of(&exact(), send(Bytes::from_static(b"\x7e strange")));
    talk.hears(0, SEND).await.answer(error(1, -32000, "already known"));
    assert_eq!(errors(&talk.ends(0).await.unwrap()), [Some((-32000, "already known"))]);
}

#[tokio::test(start_paused = true)]
async fn sends_in_a_batch_are_decided_one_by_one() {
    let (one, other) = (transaction(1), transaction(2));
    let questions = batch([
        request(1, "eth_sendRawTransaction", (raw(&one),)),
        request(2, "eth_call", ()),
        request(3, "eth_sendRawTransaction", (raw(&other),)),
    ]);
    let mut talk = Conversation::of(&exact(), questions);
    let all = [(1, SEND[0].1), (2, "eth_call"), (3, SEND[0].1)];
    talk.hears(0, &all).await.answer_batch([
        error(1, -32000, "already known"),
        answer(2, "0x"),
        error(3, -32000, "nonce too low"),
    ]);
    talk.hears(0, &[(3, LOOK_UP[0].1)]).await.answer(answer(3, ()));
    let answer = talk.ends(0).await.unwrap();
    assert_ids(&answer, &[1, 2, 3]);
    assert_eq!(errors(&answer), [None, None, Some((-32000, "nonce too low"))]);
    let hash = answer.responses()[0].payload.as_success().unwrap().get();
    assert_eq!(hash, json!(one.tx_hash()).to_string());
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_is_refused_is_not_sent_again() {
    for why in ["insufficient funds for gas * price + value", "replacement transaction underpriced"]
    {
        let mut talk = Conversation::of(&exact(), send(raw(&transaction(1))));
        talk.hears(0, SEND).await.answer(error(1, -32000, why));
        assert_eq!(errors(&talk.ends(0).await.unwrap()), [Some((-32000, why))]);
    }
}
