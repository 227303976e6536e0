//! How long it waits before it asks again.

mod support;

use alclad_retry::{Backoff, RetryLayer};
use alclad_testkit::{ErrorObject, answer, error, error_object};
use alloy_transport::{TransportError, TransportErrorKind};
use serde_json::json;
use std::time::Duration;
use support::{Conversation, exact, exact_backoff, http, read};

fn limited(retry_after: Duration) -> TransportError {
    TransportErrorKind::http_error_with_retry_after(429, String::new(), Some(retry_after))
}

#[tokio::test(start_paused = true)]
async fn waits_for_the_hint_then_retries() {
    let mut talk = Conversation::of(&exact(), read());
    talk.hears_read(0).await.fail(limited(Duration::from_secs(3)));
    talk.hears_read(3_000).await.answer(answer(1, "0x"));
    assert!(talk.ends(3_000).await.unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn obeys_the_hint_of_a_server_that_is_down() {
    let hint = Some(Duration::from_secs(7));
    let down = TransportErrorKind::http_error_with_retry_after(503, String::new(), hint);
    let mut talk = Conversation::of(&exact(), read());
    talk.hears_read(0).await.fail(down);
    talk.hears_read(7_000).await.answer(answer(1, "0x"));
    assert!(talk.ends(7_000).await.unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn doubles_its_backoff_and_ends_with_the_last_error() {
    let mut talk = Conversation::of(&exact(), read());
    for at in [0, 100, 300, 700] {
        talk.hears_read(at).await.fail(http(500));
    }
    talk.hears_read(1_500).await.fail(http(503));
    let error = talk.ends(1_500).await.unwrap_err();
    assert_eq!(error.as_transport_err().unwrap().as_http_error().unwrap().status, 503);
}

#[tokio::test(start_paused = true)]
async fn no_backoff_is_longer_than_its_cap() {
    let policy = exact_backoff()
        .with_first(Duration::from_secs(2))
        .with_cap(Duration::from_secs(3))
        .with_attempts(4);
    let mut talk = Conversation::of(&RetryLayer::with_policy(policy), read());
    for at in [0, 2_000, 5_000, 8_000] {
        talk.hears_read(at).await.fail(http(500));
    }
    assert!(talk.ends(8_000).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn reads_the_hint_in_the_words_and_in_the_data_of_an_error_member() {
    let mut talk = Conversation::of(&exact(), read());
    let words = error(1, -32005, "too many requests, try again in 4ms");
    talk.hears_read(0).await.answer(words);
    let data = json!({ "rate": { "backoff_seconds": 2.0 } });
    let data = ErrorObject::new(-32005, "project ID request rate exceeded").with_data(data);
    talk.hears_read(4).await.answer(error_object(1, data));
    talk.hears_read(2_004).await.answer(answer(1, "0x"));
    assert!(talk.ends(2_004).await.unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_of_a_year_is_not_waited_for() {
    let mut talk = Conversation::of(&exact(), read());
    talk.hears_read(0).await.fail(http(500));
    talk.hears_read(100).await.fail(limited(Duration::from_secs(365 * 86_400)));
    let error = talk.ends(100).await.unwrap_err();
    assert_eq!(error.as_transport_err().unwrap().as_http_error().unwrap().status, 429);
}

#[tokio::test(start_paused = true)]
async fn a_hint_for_ever_stops_the_call_whatever_the_maximum_is() {
    let policy = Backoff::new().with_max_hint(Duration::MAX);
    let mut talk = Conversation::of(&RetryLayer::with_policy(policy), read());
    let words = "rate limit exceeded, retry after 99999999999999999999999999 days";
    talk.hears_read(0).await.answer(error(1, -32005, words));
    assert_eq!(talk.ends(0).await.unwrap().first_error_message(), Some(words));
}

#[tokio::test(start_paused = true)]
async fn missing_data_is_waited_for_by_the_block_and_not_for_long() {
    let policy = exact_backoff().with_block_time(Duration::from_secs(12));
    let mut talk = Conversation::of(&RetryLayer::with_policy(policy), read());
    for at in [0, 12_000, 24_000] {
        talk.hears_read(at).await.answer(error(1, -32000, "missing trie node 5f3a (path )"));
    }
    let answer = talk.ends(24_000).await.unwrap();
    assert_eq!(answer.first_error_message(), Some("missing trie node 5f3a (path )"));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_sees_the_block_meanwhile_answers() {
    let mut talk = Conversation::of(&exact(), read());
    talk.hears_read(0).await.answer(error(1, -32000, "header not found"));
    talk.hears_read(2_000).await.answer(answer(1, "0x"));
    assert!(talk.ends(2_000).await.unwrap().is_success());
}
