//! Nothing that an endpoint can say makes the classifier panic, hang or grow.

use alclad_core::{Fault, HttpFacts, classify_with};
use alloy_json_rpc::{ErrorPayload, Id, Response, ResponsePayload};
use alloy_transport::{TransportError, TransportErrorKind};
use serde_json::value::RawValue;
use std::time::Duration;

fn texts() -> Vec<String> {
    let mut texts = vec![String::new(), "\0".into(), "\u{feff}".into(), "<".into(), "\\".into()];
    for unit in [
        "a",
        " ",
        "\n",
        "é",
        "日本語",
        "🦀",
        "<",
        "</",
        "<script",
        "\\",
        "\\n",
        "\"",
        "_",
        "-",
        "*",
        " * ",
        "block ",
        "try again in ",
        "retry after 9",
        "9",
        "1.",
        "[",
        "{",
        "{\"error\":",
        "[[",
        "execution reverted ",
        "error code: ",
    ] {
        for times in [1, 2, 7, 2047, 2048, 2049, 100_000] {
            texts.push(unit.repeat(times));
        }
    }
    texts.push(format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)));
    texts.push(format!("{{\"error\":{}}}", "[".repeat(50_000) + &"]".repeat(50_000)));
    texts.push(format!("{{\"error\":{{\"message\":\"{}\"}}}}", "x".repeat(1 << 20)));
    texts
}

#[test]
fn no_text_is_too_much() {
    for text in texts() {
        let data = serde_json::value::to_raw_value(&text).ok();
        for method in ["", "_", "eth_sendRawTransaction", "eth_getLogs", "🦀"] {
            let error =
                ErrorPayload { code: 429, message: text.clone().into(), data: data.clone() };
            let payload = ResponsePayload::Failure(error);
            let answer = Response { id: Id::Number(1), payload };
            let http = HttpFacts { status: Some(u16::MAX), retry_after: Some(Duration::MAX) };
            assert!(classify_with(method, &answer, http, None).fault().is_some());
        }
    }
}

#[test]
fn no_body_is_too_much() {
    for text in texts() {
        let _ = Fault::of_error("eth_call", &TransportErrorKind::http_error(0, text.clone()));
        let _ = Fault::of_error("eth_call", &TransportErrorKind::custom_str(&text));
        let err = serde_json::from_str::<u8>("?").expect_err("not a number");
        let _ = Fault::of_error("eth_call", &TransportError::DeserError { err, text });
    }
}

#[test]
fn deep_data_is_text_like_any_other() {
    let deep = format!("{}\"header not found\"{}", "[".repeat(500), "]".repeat(500));
    let data = RawValue::from_string(deep).ok();
    let error = ErrorPayload { code: -32000, message: "odd".into(), data };
    let error = TransportError::ErrorResp(error);
    assert_eq!(Fault::of_error("eth_call", &error), Fault::MissingData);
}
