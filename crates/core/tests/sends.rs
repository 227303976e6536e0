//! What an answer to a send means is decided by the transaction's hash.

use alclad_core::{Fault, Limiter, Member, Members, Notes, Outcome, Questions, send};
use alclad_testkit::{answer, answers, assert_packet, batch, error, request, single};
use alloy_consensus::{TxEnvelope, TxLegacy, TypedTransaction};
use alloy_eips::eip2718::Encodable2718;
use alloy_json_rpc::{Id, Response, ResponsePacket, SerializedRequest};
use alloy_primitives::{Bytes, Signature};
use alloy_transport::{HttpError, TransportError, TransportErrorKind};
use serde_json::json;

fn transaction() -> TxEnvelope {
    (TypedTransaction::from(TxLegacy::default()), Signature::test_signature()).into()
}

fn request_to_send(id: u64) -> SerializedRequest {
    request(id, send::SEND_RAW_TRANSACTION, (Bytes::from(transaction().encoded_2718()),))
}

/// A send that was answered so.
fn sent(message: &'static str) -> Members {
    let questions = Questions::new(&single(request_to_send(1)), false).unwrap();
    let mut members = Members::new(questions);
    let answer = ResponsePacket::Single(error(1, -32000, message));
    members.absorb(&[0], Ok(answer), &Notes::default(), None);
    members
}

/// How a send ends whose nonce is too low, when the look-up is answered so.
fn looked_up(answer: Result<Response, TransportError>) -> Option<Outcome> {
    let mut members = sent("nonce too low");
    let lookup = send::resolve(&mut members[0]).expect("it must be looked up");
    lookup.settle(&mut members[0], answer.map(ResponsePacket::Single));
    members[0].outcome()
}

fn found(id: u64) -> Response {
    answer(id, json!({ "hash": transaction().tx_hash(), "nonce": "0x0" }))
}

fn is_the_hash(member: &Member) -> bool {
    let hash = json!(transaction().tx_hash()).to_string();
    let answer = member.last_answer().and_then(|answer| answer.payload.as_success());
    !member.is_open() && answer.is_some_and(|answer| answer.get() == hash)
}

#[test]
fn a_transaction_that_is_known_is_accepted() {
    let mut members = sent("already known");
    assert!(send::resolve(&mut members[0]).is_none());
    assert!(is_the_hash(&members[0]));
}

#[test]
fn any_other_error_is_left_alone() {
    for message in ["insufficient funds", "out of cheese", "too many requests"] {
        let mut members = sent(message);
        assert!(send::resolve(&mut members[0]).is_none());
        assert!(members[0].open_fault().is_some());
    }
}

#[test]
fn a_nonce_that_is_too_low_is_looked_up() {
    let mut members = sent("nonce too low");
    let lookup = send::resolve(&mut members[0]).expect("it must be looked up");
    assert_packet(&lookup.packet(), &[(1, "eth_getTransactionByHash")]);
    lookup.settle(&mut members[0], Ok(ResponsePacket::Single(found(1))));
    assert!(is_the_hash(&members[0]));
}

#[test]
fn a_look_up_without_a_finding_changes_nothing() {
    let too_low = Some(Outcome::Fault(Fault::NonceTooLow));
    assert_eq!(looked_up(Ok(answer(1, ()))), too_low);
    assert_eq!(looked_up(Ok(answer(1, json!({})))), too_low);
    assert_eq!(looked_up(Ok(answer(1, json!({ "hash": Bytes::new() })))), too_low);
    assert_eq!(looked_up(Ok(found(2))), too_low);
    // A node that does not offer look-ups still offers sends.
    assert_eq!(looked_up(Ok(error(1, -32601, "the method does not exist"))), too_low);
}

#[test]
fn a_look_up_that_failed_is_an_attempt_that_failed() {
    let gone = TransportErrorKind::backend_gone();
    let unsure = Fault::Connection { maybe_sent: true };
    assert_eq!(looked_up(Err(gone)), Some(Outcome::Fault(unsure)));
    let limited = Fault::RateLimited { retry_after: None, by: Limiter::Vendor };
    assert_eq!(looked_up(Ok(error(1, -32005, "slow down"))), Some(Outcome::Fault(limited)));
}

#[test]
fn an_error_without_an_id_accepts_no_transaction_of_several() {
    let nobodys = || Response { id: Id::None, ..error(0, -32000, "already known") };
    let body = "already known".to_owned();
    let refused = TransportErrorKind::HttpError(HttpError { status: 400, body });
    for answer in [
        Ok(ResponsePacket::Single(nobodys())),
        Ok(answers([nobodys()])),
        Err(TransportError::Transport(refused)),
    ] {
        let packet = batch([request_to_send(1), request_to_send(2)]);
        let mut members = Members::new(Questions::new(&packet, true).unwrap());
        members.absorb(&[0, 1], answer, &Notes::default(), None);
        for index in [0, 1] {
            assert!(send::resolve(&mut members[index]).is_none());
            assert_eq!(members[index].open_fault(), Some(Fault::Malformed));
        }
    }
}
