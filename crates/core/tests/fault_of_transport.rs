//! The fault of a whole packet: of every kind of error that a transport makes.

use alclad_core::{Classify, Evidence, Fault, Limiter, Unsupported};
use alloy_json_rpc::{Id, RpcError};
use alloy_transport::{TransportError, TransportErrorKind};
use std::{error::Error, fmt, io, time::Duration};

const NOT_SENT: Fault = Fault::Connection { maybe_sent: false };
const MAYBE_SENT: Fault = Fault::Connection { maybe_sent: true };
const RATE_LIMITED: Fault = Fault::RateLimited { retry_after: None, by: Limiter::Vendor };

/// An error with causes, as reqwest and hyper nest them.
#[derive(Debug)]
struct Nested(&'static str, Option<Box<dyn Error + Send + Sync>>);

impl fmt::Display for Nested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Nested {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|cause| cause as _)
    }
}

fn nested(texts: &[&'static str], root: Option<Box<dyn Error + Send + Sync>>) -> Nested {
    let (first, rest) = texts.split_first().expect("at least one text");
    match rest {
        [] => Nested(first, root),
        rest => Nested(first, Some(Box::new(nested(rest, root)))),
    }
}

fn fault(error: impl Error + Send + Sync + 'static) -> Fault {
    Fault::of_error("eth_call", &TransportErrorKind::custom(error))
}

fn text(text: &str) -> Fault {
    Fault::of_error("eth_call", &TransportErrorKind::custom_str(text))
}

fn body(text: &str) -> Fault {
    let err = serde_json::from_str::<u8>("?").expect_err("not a number");
    Fault::of_error("eth_call", &TransportError::DeserError { err, text: text.to_owned() })
}

#[test]
fn io_errors_tell_whether_something_was_sent() {
    use io::ErrorKind as Kind;
    for (kind, expected) in [
        (Kind::ConnectionRefused, NOT_SENT),
        (Kind::NotFound, NOT_SENT),
        (Kind::HostUnreachable, NOT_SENT),
        (Kind::ConnectionReset, MAYBE_SENT),
        (Kind::ConnectionAborted, MAYBE_SENT),
        (Kind::BrokenPipe, MAYBE_SENT),
        (Kind::UnexpectedEof, MAYBE_SENT),
        (Kind::TimedOut, Fault::Timeout),
    ] {
        assert_eq!(fault(io::Error::from(kind)), expected, "{kind}");
        assert_eq!(
            fault(nested(&["outer", "inner"], Some(io::Error::from(kind).into()))),
            expected
        );
    }
}

#[test]
fn reqwest_errors_are_read_from_the_inside() {
    let url = "error sending request for url (https://rate-limit.example/timeout/reverted)";
    let refused = || Some(io::Error::from(io::ErrorKind::ConnectionRefused).into());
    let reset = || Some(io::Error::from(io::ErrorKind::ConnectionReset).into());
    let eof = || Some(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    for (error, expected) in [
        (nested(&[url, "client error (Connect)", "tcp connect error"], refused()), NOT_SENT),
        (nested(&[url, "client error (Connect)", "dns error"], None), NOT_SENT),
        // the handshake broke: no request was sent yet
        (nested(&[url, "client error (Connect)"], eof()), NOT_SENT),
        (nested(&[url, "client error (SendRequest)", "connection error"], reset()), MAYBE_SENT),
        (
            nested(
                &[url, "client error (SendRequest)", "connection closed before message completed"],
                None,
            ),
            MAYBE_SENT,
        ),
        (nested(&[url, "operation timed out"], None), Fault::Timeout),
        (
            nested(&["error decoding response body", "error reading a body from connection"], None),
            MAYBE_SENT,
        ),
        (nested(&["error decoding response body"], None), Fault::Malformed),
        (nested(&[url], None), MAYBE_SENT),
    ] {
        let shown = format!("{error:?}");
        assert_eq!(fault(error), expected, "{shown}");
    }
}

#[test]
fn timeouts_of_tower_and_tokio_are_timeouts() {
    assert_eq!(fault(tower::timeout::error::Elapsed::new()), Fault::Timeout);
    assert_eq!(fault(io::Error::other(tower::timeout::error::Elapsed::new())), Fault::Timeout);
}

#[tokio::test(start_paused = true)]
async fn an_elapsed_timer_is_a_timeout() {
    let elapsed = tokio::time::timeout(Duration::from_secs(1), std::future::pending::<()>());
    assert_eq!(fault(elapsed.await.expect_err("nothing comes")), Fault::Timeout);
}

#[test]
fn texts_of_other_transports_are_read() {
    for (message, expected) in [
        ("429 Too Many Requests", RATE_LIMITED),
        ("HTTP error: 429 Too Many Requests", RATE_LIMITED),
        ("HTTP error: 401 Unauthorized", Fault::Unauthorized),
        ("WebSocket connection error: HTTP error: 429 Too Many Requests", RATE_LIMITED),
        ("HTTP error: 503 Service Unavailable", Fault::ServerError),
        ("Max retries exceeded HTTP error 502 with empty body", Fault::ServerError),
        ("error sending request for url (https://example.org/)", MAYBE_SENT),
        ("operation timed out", Fault::Timeout),
        ("dns error: failed to lookup address information", NOT_SENT),
        ("tcp connect error", NOT_SENT),
        ("connection closed before message completed", MAYBE_SENT),
        ("error decoding response body", Fault::Malformed),
        ("WebSocket connection closed", MAYBE_SENT),
        ("the hamster is tired", Fault::Unknown),
    ] {
        assert_eq!(text(message), expected, "{message}");
    }
}

#[test]
fn alloys_errors_are_found_inside_others() {
    let inner = TransportErrorKind::http_error(429, String::new());
    assert_eq!(fault(nested(&["layer"], Some(Box::new(inner)))), RATE_LIMITED);
}

#[test]
fn every_kind_of_alloys_has_its_fault() {
    use TransportErrorKind as Kind;
    let method = Fault::Unsupported { what: Unsupported::Method };
    let parse = || serde_json::from_str::<u8>("?").expect_err("not a number");
    for (error, expected) in [
        (Kind::backend_gone(), MAYBE_SENT),
        (Kind::missing_batch_response(Id::Number(1)), Fault::Malformed),
        (Kind::pubsub_unavailable(), method),
        (RpcError::UnsupportedFeature("x"), method),
        (RpcError::SerError(parse()), Fault::InvalidRequest),
        (RpcError::local_usage_str("no signer"), Fault::InvalidRequest),
        (RpcError::NullResp, Fault::MissingData),
        (Kind::non_retryable_str("the hamster is gone"), Fault::Unknown),
        (Kind::non_retryable_str("401 Unauthorized"), Fault::Unauthorized),
    ] {
        assert_eq!(Fault::of_error("eth_call", &error), expected, "{error}");
    }
}

#[test]
fn errors_of_any_shape_are_found_in_a_body() {
    for (text, expected) in [
        (r#"{"error":{"code":-32000,"message":"header not found"}}"#, Fault::MissingData),
        (r#"{"code":-32000,"message":"header not found"}"#, Fault::MissingData),
        (r#"[{"error":{"code":-32000,"message":"header not found"}}]"#, Fault::MissingData),
        (r#"{"error":"Too many requests"}"#, RATE_LIMITED),
        (r#"{"error":{"message":"Too many requests"}}"#, RATE_LIMITED),
        (
            r#"{"error":{"code":"-32601","message":"x"}}"#,
            Fault::Unsupported { what: Unsupported::Method },
        ),
        (r#"{"error":true,"message":"Unauthorized"}"#, Fault::Unauthorized),
        (r#""rate limit exceeded""#, RATE_LIMITED),
        ("error code: 1015", RATE_LIMITED),
        (r#"{"error":{"code":-32000,"message":"odd"}}"#, Fault::Unknown),
    ] {
        assert_eq!(body(text), expected, "{text}");
    }
}

#[test]
fn the_words_of_a_broken_answer_tell_nothing() {
    for text in [
        "",
        "   ",
        "<html><title>Welcome to nginx!</title></html>",
        "my random something error",
        r#"{"jsonrpc":"2.0","id":1,"result":"too many requests"#,
        r#"{"jsonrpc":"2.0","id":1,"result":"too many requests","error":null}"#,
        r#"[{"jsonrpc":"2.0","id":1,"result":["execution reverted"#,
        // What the first member of a batch that was cut off ended in, the others did not.
        r#"[{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"execution reverted"}},{"jso"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        "[]",
        "null",
        "42",
    ] {
        assert_eq!(body(text), Fault::Malformed, "{text}");
    }
}

#[test]
fn a_refusal_is_read_with_its_status() {
    let http = |status, body: &str| {
        Fault::of_error("eth_call", &TransportErrorKind::http_error(status, body.to_owned()))
    };
    let reverted = r#"{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"execution reverted"}}"#;
    assert_eq!(http(500, reverted), Fault::Reverted);
    assert_eq!(http(503, &format!("{reverted} (request id 7)")), Fault::Reverted);
    assert_eq!(http(400, r#"{"message":"odd","code":99}"#), Fault::Unknown);
    assert_eq!(http(400, "<html><title>400 Bad Request</title></html>"), Fault::Unknown);
    assert_eq!(http(400, "Bad Request: invalid JSON"), Fault::Unknown);
    assert_eq!(http(400, r#"{"message":"Bad Request"}"#), Fault::Unknown);
    assert_eq!(http(404, r#"{"message":"Not Found"}"#), Fault::ServerError);
    assert_eq!(http(404, r#"{"code":404,"message":"Not Found"}"#), Fault::ServerError);
    assert_eq!(http(418, ""), Fault::Unknown);
}

#[test]
fn ones_own_classifier_hears_bodies_and_foreign_errors() {
    let mine: &dyn Classify = &|evidence: &Evidence<'_>| {
        evidence.message.contains("hamster").then_some(Fault::WrongChain)
    };
    let judge = |error| Fault::of_error_with("eth_call", &error, Some(mine));
    assert_eq!(judge(TransportErrorKind::custom_str("hamster")), Fault::WrongChain);
    assert_eq!(judge(TransportErrorKind::http_error(500, "hamster".into())), Fault::WrongChain);
    let err = serde_json::from_str::<u8>("?").expect_err("not a number");
    assert_eq!(judge(RpcError::DeserError { err, text: "{hamster".into() }), Fault::WrongChain);
    assert_eq!(judge(TransportErrorKind::custom_str("timed out")), Fault::Timeout);
}
