//! When a limiter said that the next request may come: read wherever it is said.

use alclad_core::{Fault, HttpFacts, Limiter, classify_with};
use alloy_json_rpc::{ErrorPayload, Id, Response, ResponsePayload};
use alloy_transport::TransportErrorKind;
use serde_json::value::RawValue;
use std::time::Duration;

fn hint(message: &str, data: Option<&str>) -> Option<Duration> {
    hint_with(message, data, None)
}

fn hint_with(message: &str, data: Option<&str>, header: Option<Duration>) -> Option<Duration> {
    let data = data.map(|data| RawValue::from_string(data.to_owned()).expect("JSON"));
    let error = ErrorPayload { code: 429, message: message.to_owned().into(), data };
    let answer = Response { id: Id::Number(1), payload: ResponsePayload::Failure(error) };
    let http = HttpFacts { status: None, retry_after: header };
    match classify_with("eth_call", &answer, http, None).fault() {
        Some(Fault::RateLimited { retry_after, by: Limiter::Vendor }) => retry_after,
        other => panic!("{message} is {other:?}"),
    }
}

#[test]
fn texts_say_when() {
    for (text, millis) in [
        ("rate limited, try again in 4ms", 4),
        ("Too many requests. Retry after 2 seconds", 2000),
        ("retry in 1.5s", 1500),
        ("slow down: wait 3 minutes", 180_000),
        ("please retry after 500 ms", 500),
        ("Retry-After: 3", 3000),
        ("call rate limit exhausted, retry in 10s", 10_000),
        ("Try again in 1 hour.", 3_600_000),
        ("try again in 1m30s", 90_000),
        ("rate limit: try_again_in 250.5 ms", 250),
        ("please wait for at least 2 seconds before the next request", 2000),
        ("You can try again after 30 sec", 30_000),
        ("retry your request in 5 seconds", 5000),
        ("limit resets in 12 s", 12_000),
    ] {
        let found = hint(text, None).map(|hint| hint.as_millis());
        assert_eq!(found, Some(millis), "{text}");
    }
}

#[test]
fn data_says_when() {
    for (data, millis) in [
        (r#"{"rate":{"allowed_rps":1,"backoff_seconds":30,"current_rps":1.4},"see":"x"}"#, 30_000),
        (r#"{"rate":{"backoff_seconds":0.25}}"#, 250),
        (r#"{"backoff_seconds":30.0}"#, 30_000),
        (r#"{"try_again_in":"700ms"}"#, 700),
        (r#"{"try_again_in":"1.2s"}"#, 1200),
        (r#"{"retry_after":2}"#, 2000),
        (r#"{"retry_after_ms": 40}"#, 40),
        (r#"{"retryAfter":"3"}"#, 3000),
        (r#""try again in 9s""#, 9000),
    ] {
        let found = hint("Too many requests", Some(data)).map(|hint| hint.as_millis());
        assert_eq!(found, Some(millis), "{data}");
    }
}

#[test]
fn the_header_is_believed_first() {
    let header = Some(Duration::from_secs(7));
    assert_eq!(hint_with("try again in 4ms", None, header), header);
}

#[test]
fn the_header_of_a_refused_request_is_the_hint() {
    let header = Some(Duration::from_secs(52));
    let error = TransportErrorKind::http_error_with_retry_after(429, "no".to_owned(), header);
    let fault = Fault::of_error("eth_call", &error);
    assert_eq!(fault, Fault::RateLimited { retry_after: header, by: Limiter::Vendor });
}

#[test]
fn no_hint_is_made_up() {
    for text in [
        "",
        "Too many requests, please try again later",
        "try again in",
        "try again in ms",
        "300/second request limit reached",
        "credits limited to 6000/sec",
        "retry after 2024-01-01T00:00:00Z",
        "retry after some time. The limit is 300 requests",
    ] {
        assert_eq!(hint(text, None), None, "{text}");
    }
    let data = r#"{"rate":{"backoff_seconds":null,"allowed_rps":10},"see":"https://x/24"}"#;
    assert_eq!(hint("Too many requests", Some(data)), None);
}

#[test]
fn a_hint_of_a_year_is_kept_and_no_number_is_too_large() {
    assert_eq!(hint("try again in 365 days", None), Some(Duration::from_secs(365 * 86_400)));
    let text = format!("try again in {} seconds", "9".repeat(100));
    assert!(hint(&text, None).is_some_and(|hint| hint > Duration::from_secs(u64::MAX / 2)));
    let text = format!("retry in 0.{}s", "3".repeat(100));
    assert_eq!(hint(&text, None), Some(Duration::from_nanos(333_333_333)));
}
