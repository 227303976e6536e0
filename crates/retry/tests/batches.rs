//! A batch is judged and asked again member by member, and answered whole and in order.

mod support;

use alclad_core::{
    Fault, Outcome, classify,
    error::{BadAnswer, DuplicateId, Misfit, cause},
};
use alclad_retry::RetryLayer;
use alclad_testkit::{
    Disruption, ErrorObject, REVERT_DATA, SimChain, SimNode, answer, assert_ids, batch, error,
    error_object, request,
};
use alloy_json_rpc::{ErrorPayload, Id, Response, ResponsePacket, ResponsePayload};
use std::io::ErrorKind::ConnectionRefused;
use support::{Conversation, errors, exact, http, io, reads};
use tower::{Layer, ServiceExt};

const A: (u64, &str) = (1, "eth_call");
const B: (u64, &str) = (2, "eth_call");
const C: (u64, &str) = (3, "eth_call");

/// The results, as they stand in the JSON.
fn results(answer: &ResponsePacket) -> Vec<&str> {
    answer.payloads().map(|payload| payload.as_success().unwrap().get()).collect()
}

#[tokio::test(start_paused = true)]
async fn only_the_failed_members_are_asked_again_and_the_order_is_kept() {
    let mut talk = Conversation::of(&exact(), reads(1..=3));
    let limited = error(2, -32005, "limit exceeded");
    let first = talk.hears(0, &[A, B, C]).await;
    first.answer_batch([answer(3, "0x3"), limited, answer(1, "0x1")]);
    talk.hears(100, &[B]).await.answer_batch([answer(2, "0x2")]);
    let answer = talk.ends(100).await.unwrap();
    assert_ids(&answer, &[1, 2, 3]);
    assert_eq!(results(&answer), ["\"0x1\"", "\"0x2\"", "\"0x3\""]);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_reverts_does_not_disturb_the_others() {
    let mut talk = Conversation::of(&exact(), reads(1..=3));
    let reverted = error_object(2, ErrorObject::reverted(REVERT_DATA));
    let first = talk.hears(0, &[A, B, C]).await;
    first.answer_batch([error(1, -32005, "limit exceeded"), reverted, answer(3, "0x3")]);
    talk.hears(100, &[A]).await.answer_batch([answer(1, "0x1")]);
    let answer = talk.ends(100).await.unwrap();
    assert_ids(&answer, &[1, 2, 3]);
    assert_eq!(errors(&answer), [None, Some((3, "execution reverted")), None]);
}

#[tokio::test(start_paused = true)]
async fn members_that_fail_together_are_asked_again_together_jitter_or_not() {
    let node = SimNode::new(&SimChain::new(7));
    for failure in [Disruption::http_status(503), Disruption::rpc_error(-32005, "slow down")] {
        node.reset_counters();
        node.set(failure.times(1));
        let answer = RetryLayer::new().layer(node.transport()).oneshot(batch([
            request(1, "eth_chainId", ()),
            request(2, "eth_blockNumber", ()),
            request(3, "eth_gasPrice", ()),
            request(4, "net_version", ()),
        ]));
        assert_ids(&answer.await.unwrap(), &[1, 2, 3, 4]);
        assert_eq!(node.packets(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_became_due_meanwhile_goes_along() {
    let mut talk = Conversation::of(&exact(), reads(1..=3));
    let first = talk.hears(0, &[A, B, C]).await;
    first.answer_batch([
        error(1, -32005, "slow down, try again in 10ms"),
        error(2, -32005, "slow down, try again in 20ms"),
        error(3, -32005, "slow down, try again in 30ms"),
    ]);
    let second = talk.hears(10, &[A]).await;
    tokio::time::advance(std::time::Duration::from_millis(40)).await;
    second.answer_batch([answer(1, "0x1")]);
    talk.hears(50, &[B, C]).await.answer_batch([answer(2, "0x2"), answer(3, "0x3")]);
    assert_eq!(results(&talk.ends(50).await.unwrap()), ["\"0x1\"", "\"0x2\"", "\"0x3\""]);
}

#[tokio::test(start_paused = true)]
async fn each_member_waits_for_what_it_was_told() {
    let mut talk = Conversation::of(&exact(), reads(1..=3));
    let first = talk.hears(0, &[A, B, C]).await;
    first.answer_batch([
        error(1, -32005, "slow down, try again in 4s"),
        error(2, -32000, "header not found"),
        error(3, -32005, "slow down"),
    ]);
    talk.hears(100, &[C]).await.answer_batch([answer(3, "0x3")]);
    talk.hears(2_000, &[B]).await.answer_batch([answer(2, "0x2")]);
    talk.hears(4_000, &[A]).await.answer_batch([answer(1, "0x1")]);
    assert_ids(&talk.ends(4_000).await.unwrap(), &[1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn missing_foreign_and_doubled_members_are_asked_again() {
    let mut talk = Conversation::of(&exact(), reads(1..=3));
    let first = talk.hears(0, &[A, B, C]).await;
    first.answer_batch([answer(9, "0x9"), answer(2, "0x2"), answer(3, "0x3"), answer(3, "0x4")]);
    talk.hears(100, &[A, C]).await.answer_batch([]);
    talk.hears(300, &[A, C]).await.answer_batch([answer(3, "0x3"), answer(1, "0x1")]);
    let answer = talk.ends(300).await.unwrap();
    assert_ids(&answer, &[1, 2, 3]);
    assert_eq!(results(&answer), ["\"0x1\"", "\"0x2\"", "\"0x3\""]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_nobody_answers_rightly_ends_with_a_typed_error() {
    for (wrong, misfit) in [
        (vec![answer(8, "0x"), answer(9, "0x")], Misfit::Missing),
        (vec![answer(1, "0x"), answer(1, "0x")], Misfit::Missing),
        (
            vec![answer(1, "0x"), answer(1, "0x"), answer(2, "0x"), answer(2, "0x")],
            Misfit::Duplicate,
        ),
        (vec![answer(9, "0x")], Misfit::Missing),
    ] {
        let mut talk = Conversation::of(&exact(), reads(1..=2));
        for at in [0, 100, 300, 700, 1_500] {
            talk.hears(at, &[A, B]).await.answer_batch(wrong.clone());
        }
        let error = talk.ends(1_500).await.unwrap_err();
        assert_eq!(cause::<BadAnswer>(&error).unwrap().problem, misfit);
        assert_eq!(Fault::of_error("eth_call", &error), Fault::Malformed);
    }
}

#[tokio::test(start_paused = true)]
async fn members_without_an_answer_say_how_they_failed() {
    let mut talk = Conversation::of(&exact(), reads(1..=3));
    let first = talk.hears(0, &[A, B, C]).await;
    first.answer_batch([answer(2, "0x2"), error(3, -32005, "limit exceeded")]);
    for at in [100, 300, 700] {
        talk.hears(at, &[A, C]).await.fail(http(503));
    }
    talk.hears(1_500, &[A, C]).await.fail(io(ConnectionRefused));
    let answer = talk.ends(1_500).await.unwrap();
    assert_ids(&answer, &[1, 2, 3]);
    assert_eq!(
        errors(&answer),
        [Some((-32603, "no endpoint: Connection")), None, Some((-32005, "limit exceeded"))]
    );
    let ours = &answer.responses()[0];
    let refused = Fault::Connection { maybe_sent: false };
    assert_eq!(classify("eth_call", ours), Outcome::Fault(refused));
    assert!(
        ours.payload.as_error().unwrap().data.as_ref().unwrap().get().contains(r#""attempts":5"#)
    );
}

#[tokio::test(start_paused = true)]
async fn a_batch_without_any_answer_ends_with_the_last_error() {
    let mut talk = Conversation::of(&exact(), reads(1..=3));
    for at in [0, 100, 300, 700, 1_500] {
        talk.hears(at, &[A, B, C]).await.fail(http(503));
    }
    let error = talk.ends(1_500).await.unwrap_err();
    assert_eq!(error.as_transport_err().unwrap().as_http_error().unwrap().status, 503);
}

#[tokio::test(start_paused = true)]
async fn one_error_for_the_whole_batch_is_every_members() {
    let limited = ErrorPayload { code: -32005, message: "slow down".into(), data: None };
    let limited = Response { id: Id::None, payload: ResponsePayload::Failure(limited) };
    let mut talk = Conversation::of(&exact(), reads(1..=3));
    talk.hears(0, &[A, B, C]).await.answer(limited.clone());
    talk.hears(100, &[A, B, C]).await.answer_batch([limited.clone()]);
    talk.hears(300, &[A, B, C]).await.answer_batch([answer(2, "0x2")]);
    for at in [700, 1_500] {
        talk.hears(at, &[A, C]).await.answer(limited.clone());
    }
    let answer = talk.ends(1_500).await.unwrap();
    assert_ids(&answer, &[1, 2, 3]);
    let limited = Some((-32005, "slow down"));
    assert_eq!(errors(&answer), [limited, None, limited]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_one_that_is_answered_by_a_single_stays_a_batch() {
    let mut talk = Conversation::of(&exact(), reads([1]));
    talk.hears(0, &[A]).await.answer(answer(1, "0x1"));
    let answer = talk.ends(0).await.unwrap();
    assert_eq!(answer.as_batch().expect("a batch").len(), 1);
    assert_eq!(results(&answer), ["\"0x1\""]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_batch_is_answered_without_asking_anybody() {
    let answer = Conversation::of(&exact(), reads([])).ends(0).await.unwrap();
    assert_eq!(answer.as_batch().expect("a batch").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn two_members_with_one_id_are_refused() {
    let error = Conversation::of(&exact(), reads([1, 2, 1])).ends(0).await.unwrap_err();
    assert_eq!(cause::<DuplicateId>(&error).unwrap().id, Id::Number(1));
    assert_eq!(Fault::of_error("eth_call", &error), Fault::InvalidRequest);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_mixes_up_its_batches_gives_right_answers_in_the_end() {
    let node = SimNode::new(&SimChain::new(7));
    node.chain().mine(20);
    let block = |number: u64| format!("0x{number:x}");
    for disruption in [
        Disruption::MissingMembers,
        Disruption::ReorderedMembers,
        Disruption::DuplicatedMembers,
        Disruption::ForeignIds,
    ] {
        node.set(disruption.times(2));
        let questions =
            batch((1..=10).map(|id| request(id, "eth_getBlockByNumber", (block(id), false))));
        let answer = exact().layer(node.transport()).oneshot(questions).await.unwrap();
        assert_ids(&answer, &Vec::from_iter(1..=10));
        for (number, result) in (1..=10).zip(results(&answer)) {
            assert!(result.contains(&format!(r#""number":"{}""#, block(number))), "{result}");
        }
    }
}
