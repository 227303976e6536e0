//! The caller's deadline ends a call, and no wait outlasts it.

mod support;

use alclad_core::{
    CallOptions, Fault,
    error::{DeadlineExceeded, cause},
};
use alclad_testkit::{answer, assert_ids, batch, error, request, single};
use alloy_json_rpc::{RequestPacket, SerializedRequest};
use alloy_transport::TransportError;
use std::time::Duration;
use support::{Conversation, errors, exact, http};

/// A read that has so many milliseconds.
fn read_within(id: u64, limit: u64) -> SerializedRequest {
    let mut read = request(id, "eth_call", ());
    let options = CallOptions::new().with_timeout(Duration::from_millis(limit));
    read.meta_mut().extensions_mut().insert(options);
    read
}

fn within(limit: u64) -> RequestPacket {
    single(read_within(1, limit))
}

fn exceeded(error: &TransportError) -> (u32, Option<Fault>) {
    assert_eq!(Fault::of_error("eth_call", error), Fault::Timeout);
    let exceeded = cause::<DeadlineExceeded>(error).expect("it is the deadline");
    (exceeded.attempts, exceeded.last)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_answers_ends_at_its_deadline() {
    let mut talk = Conversation::of(&exact(), within(250));
    let _unanswered = talk.hears_read(0).await;
    assert_eq!(exceeded(&talk.ends(250).await.unwrap_err()), (1, None));
}

#[tokio::test(start_paused = true)]
async fn a_later_attempt_ends_there_too() {
    let mut talk = Conversation::of(&exact(), within(250));
    talk.hears_read(0).await.fail(http(503));
    let _unanswered = talk.hears_read(100).await;
    assert_eq!(exceeded(&talk.ends(250).await.unwrap_err()), (2, Some(Fault::ServerError)));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_would_outlast_it_is_not_begun() {
    let mut talk = Conversation::of(&exact(), within(300));
    talk.hears_read(0).await.fail(http(500));
    talk.hears_read(100).await.fail(http(503));
    let last = talk.ends(100).await.unwrap_err();
    assert_eq!(last.as_transport_err().unwrap().as_http_error().unwrap().status, 503);

    let mut talk = Conversation::of(&exact(), within(3_000));
    talk.hears_read(0).await.answer(error(1, -32005, "slow down, try again in 4s"));
    let answer = talk.ends(0).await.unwrap();
    assert_eq!(errors(&answer), [Some((-32005, "slow down, try again in 4s"))]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_after_it() {
    let error = Conversation::of(&exact(), within(0)).ends(0).await.unwrap_err();
    assert_eq!(exceeded(&error), (0, None));
}

#[tokio::test(start_paused = true)]
async fn the_last_real_answer_is_better_than_none() {
    let mut talk = Conversation::of(&exact(), within(250));
    talk.hears_read(0).await.answer(error(1, -32005, "slow down"));
    let _unanswered = talk.hears_read(100).await;
    assert_eq!(errors(&talk.ends(250).await.unwrap()), [Some((-32005, "slow down"))]);
}

#[tokio::test(start_paused = true)]
async fn the_members_of_a_batch_that_are_answered_by_then_keep_their_answers() {
    let questions = batch([read_within(1, 250), request(2, "eth_call", ())]);
    let mut talk = Conversation::of(&exact(), questions);
    let both = [(1, "eth_call"), (2, "eth_call")];
    talk.hears(0, &both).await.answer_batch([answer(2, "0x")]);
    let _unanswered = talk.hears(100, &both[..1]).await;
    let answer = talk.ends(250).await.unwrap();
    assert_ids(&answer, &[1, 2]);
    assert_eq!(errors(&answer), [Some((-32603, "no endpoint: Timeout")), None]);
}
