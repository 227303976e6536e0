//! The rules of judgement, above all those that others got wrong.

use alclad_core::{
    Classify, Evidence, Fault, HttpFacts, Limiter, Outcome, Unsupported, VendorTable, classify,
    classify_with,
};
use alloy_json_rpc::{ErrorPayload, Id, Response, ResponsePayload};
use serde_json::value::RawValue;
use std::{sync::Arc, time::Duration};

const SEND: &str = "eth_sendRawTransaction";

fn error(code: i64, message: &str, data: Option<&str>) -> Response {
    let data = data.map(|data| RawValue::from_string(data.to_owned()).expect("JSON"));
    let error = ErrorPayload { code, message: message.to_owned().into(), data };
    Response { id: Id::Number(1), payload: ResponsePayload::Failure(error) }
}

fn judge(method: &str, status: Option<u16>, code: i64, message: &str) -> Fault {
    let http = HttpFacts { status, retry_after: None };
    let outcome = classify_with(method, &error(code, message, None), http, None);
    outcome.fault().expect("an error is a fault")
}

fn member(method: &str, code: i64, message: &str) -> Fault {
    judge(method, None, code, message)
}

const RATE_LIMITED: Fault = Fault::RateLimited { retry_after: None, by: Limiter::Vendor };

#[test]
fn a_revert_is_a_revert_whatever_its_reason_says() {
    for reason in [
        "rate limit exceeded",
        "header not found",
        "nonce too low",
        "already known",
        "insufficient funds",
        "method not found",
        "query returned more than 10000 results",
        "monthly capacity limit exceeded",
        "timeout",
        "internal error",
    ] {
        for method in ["eth_call", "eth_estimateGas", "eth_getLogs", SEND] {
            let message = format!("execution reverted: {reason}");
            for (code, status) in [(3, None), (-32000, None), (-32603, Some(500)), (3, Some(429))] {
                assert_eq!(judge(method, status, code, &message), Fault::Reverted, "{message}");
            }
        }
    }
}

#[test]
fn revert_data_is_a_revert_without_a_word() {
    let panic = r#""0x4e487b710000000000000000000000000000000000000000000000000000000000000011""#;
    let custom = r#""0x39753cda""#;
    for (code, message, data) in [
        (-32603, "", panic),
        (3, "rate limit", custom),
        (-32000, "oops", r#"{"data":"0x08c379a000"}"#),
    ] {
        let outcome = classify("eth_call", &error(code, message, Some(data)));
        assert_eq!(outcome, Outcome::Fault(Fault::Reverted), "{message}");
    }
}

#[test]
fn code_3_alone_is_not_a_proof() {
    assert_eq!(judge("eth_call", Some(400), 3, "Unknown block"), Fault::MissingData);
    assert_eq!(member("eth_call", 3, "whatever the contract says"), Fault::Reverted);
}

#[test]
fn nonce_and_already_known_are_read_for_sends_only() {
    for (message, fault) in
        [("nonce too low", Fault::NonceTooLow), ("already known", Fault::AlreadyKnown)]
    {
        for method in [
            SEND,
            "eth_sendTransaction",
            "eth_sendRawTransactionSync",
            "eth_sendRawTransactionConditional",
            "eth_sendPrivateTransaction",
            "eth_sendBundle",
            "zks_sendRawTransactionWithDetailedOutput",
        ] {
            assert_eq!(member(method, -32000, message), fault, "{method}");
        }
        for method in ["eth_call", "eth_getTransactionCount", "eth_estimateGas", "trace_call"] {
            assert_eq!(member(method, -32000, message), Fault::Unknown, "{method}");
        }
    }
}

#[test]
fn an_unknown_transaction_is_not_a_known_transaction() {
    assert_eq!(member(SEND, -32000, "unknown transaction type"), Fault::InvalidRequest);
    assert_eq!(member(SEND, -32000, "Known transaction"), Fault::AlreadyKnown);
}

#[test]
fn what_is_said_of_another_transaction_is_never_success() {
    for message in [
        "replacement transaction underpriced",
        "a transaction with the same nonce already exists in the pool",
        "authority nonce too low",
        "address already reserved",
        "there is another tx which has the same nonce in the tx pool",
    ] {
        assert_eq!(member(SEND, -32000, message), Fault::TxRejected, "{message}");
    }
}

#[test]
fn case_is_ignored_and_data_is_read_too() {
    assert_eq!(member("eth_call", -32000, "TOO MANY REQUESTS"), RATE_LIMITED);
    assert_eq!(member("eth_call", -32000, "RATE_LIMIT_EXCEEDED"), RATE_LIMITED);
    for data in [r#""Header Not Found""#, r#"{"cause":{"message":"header not found"}}"#] {
        let outcome = classify("eth_call", &error(-32000, "oops", Some(data)));
        assert_eq!(outcome, Outcome::Fault(Fault::MissingData));
    }
}

#[test]
fn minus_32005_on_logs_is_decided_by_its_text() {
    let logs = |message| member("eth_getLogs", -32005, message);
    assert_eq!(logs("query returned more than 10000 results"), Fault::RangeTooLarge);
    assert_eq!(logs("limit exceeded"), Fault::RangeTooLarge);
    assert_eq!(logs("project ID request rate exceeded"), RATE_LIMITED);
    assert_eq!(logs("daily request count exceeded, request rate limited"), Fault::QuotaExhausted);
    assert_eq!(member("eth_call", -32005, "limit exceeded"), RATE_LIMITED);
}

#[test]
fn minus_32603_and_minus_32600_are_decided_by_their_text() {
    assert_eq!(member("eth_call", -32603, "Internal error"), Fault::ServerError);
    assert_eq!(member("eth_call", -32603, ""), Fault::ServerError);
    assert_eq!(member("eth_call", -32603, "header not found"), Fault::MissingData);
    assert_eq!(member("eth_call", -32600, "Must be authenticated!"), Fault::Unauthorized);
    assert_eq!(member("eth_call", -32600, "Monthly capacity limit"), Fault::QuotaExhausted);
    assert_eq!(member("eth_call", -32600, "Invalid Request"), Fault::InvalidRequest);
}

#[test]
fn a_method_is_told_from_a_form_of_request() {
    let method = Fault::Unsupported { what: Unsupported::Method };
    let request = Fault::Unsupported { what: Unsupported::Request };
    assert_eq!(member("trace_block", -32601, ""), method);
    assert_eq!(member("trace_block", -32601, "block tracing is not available"), method);
    assert_eq!(member("debug_traceCall", -32001, "rpc method is not whitelisted"), method);
    assert_eq!(member("eth_getBlockByNumber", -32000, "safe block not found"), request);
    assert_eq!(member("eth_getBlockByNumber", -32602, "block tag not supported"), request);
    assert_eq!(member("eth_call", -32600, "batch too large"), request);
}

#[test]
fn a_status_never_turns_the_requests_own_fault_into_the_servers() {
    for status in [400, 403, 404, 500, 502, 503] {
        let judge = |method, code, message| judge(method, Some(status), code, message);
        assert_eq!(judge(SEND, -32000, "nonce too low"), Fault::NonceTooLow);
        assert_eq!(judge(SEND, -32000, "already known"), Fault::AlreadyKnown);
        assert_eq!(judge(SEND, -32000, "insufficient funds"), Fault::TxRejected);
        assert_eq!(judge("eth_call", -32000, "execution reverted"), Fault::Reverted);
        assert_eq!(judge("eth_call", -32601, "").name(), "Unsupported");
    }
    for status in [400, 500, 503] {
        assert_eq!(judge("eth_call", Some(status), -32602, "bad"), Fault::InvalidRequest);
    }
}

#[test]
fn a_429_is_a_rate_limit_unless_it_speaks_of_a_day_or_a_month() {
    let judge = |message| judge("eth_call", Some(429), -32000, message);
    for message in ["", "Exceeded the quota", "get an API key", "see /settings/billing", "odd"] {
        assert_eq!(judge(message), RATE_LIMITED, "{message}");
    }
    assert_eq!(judge("daily request count exceeded"), Fault::QuotaExhausted);
    assert_eq!(judge("monthly quota reached"), Fault::QuotaExhausted);
}

#[test]
fn statuses_speak_where_nothing_else_does() {
    for (status, fault) in [
        (401, "Unauthorized"),
        (402, "QuotaExhausted"),
        (403, "Unauthorized"),
        (404, "ServerError"),
        (405, "Unsupported"),
        (408, "Timeout"),
        (410, "ServerError"),
        (413, "RangeTooLarge"),
        (415, "Unsupported"),
        (429, "RateLimited"),
        (500, "ServerError"),
        (502, "ServerError"),
        (503, "ServerError"),
        (504, "Timeout"),
        (520, "ServerError"),
        (524, "Timeout"),
        (525, "ServerError"),
    ] {
        assert_eq!(judge("eth_call", Some(status), -32000, "").name(), fault, "{status}");
        let code = i64::from(status);
        assert_eq!(member("eth_call", code, "").name(), fault, "{status} as a code");
    }
    assert_eq!(judge("eth_call", Some(200), -32000, "odd"), Fault::Unknown);
}

#[test]
fn what_nobody_has_seen_is_unknown() {
    for code in [-32000, -32603, -32099, 1, 0, i64::MIN, i64::MAX] {
        assert_eq!(member("eth_call", code, "flux capacitor misaligned"), Fault::Unknown, "{code}");
    }
    let evidence = Evidence::new("eth_call", "flux capacitor misaligned");
    assert_eq!(VendorTable.classify(&evidence), None);
}

#[test]
fn a_result_is_an_answer_or_nothing() {
    let outcome = |json: &str| {
        let result = RawValue::from_string(json.to_owned()).expect("JSON");
        classify(
            "eth_call",
            &Response { id: Id::Number(1), payload: ResponsePayload::Success(result) },
        )
    };
    assert_eq!(outcome("null"), Outcome::Null);
    for empty in ["[]", "{}", "[ ]", "{\n}", r#""""#, r#""0x""#] {
        assert_eq!(outcome(empty), Outcome::Empty, "{empty}");
    }
    for answer in ["0", "false", r#""0x0""#, "[null]", r#"{"a":[]}"#, r#""null""#] {
        assert_eq!(outcome(answer), Outcome::Answer, "{answer}");
    }
    assert_eq!(outcome("null").fault(), None);
}

#[test]
fn ones_own_classifier_is_heard_first() {
    let mine = |evidence: &Evidence<'_>| {
        evidence.message.contains("execution reverted").then_some(Fault::WrongChain)
    };
    let judge = |custom: &dyn Classify| {
        let answer = error(3, "execution reverted", None);
        classify_with("eth_call", &answer, HttpFacts::default(), Some(custom)).fault()
    };
    assert_eq!(judge(&mine), Some(Fault::WrongChain));
    assert_eq!(judge(&Arc::new(mine)), Some(Fault::WrongChain));
    let erased: Arc<dyn Classify> = Arc::new(mine);
    assert_eq!(judge(&erased), Some(Fault::WrongChain));
    assert_eq!(judge(&|_: &Evidence<'_>| None), Some(Fault::Reverted));
}

#[test]
fn ones_own_classifier_is_told_everything() {
    let seen = |evidence: &Evidence<'_>| {
        let all = evidence.method == "eth_call"
            && evidence.status == Some(503)
            && evidence.retry_after == Some(Duration::from_secs(7))
            && evidence.code == Some(-32000)
            && evidence.message == "odd"
            && evidence.data == Some(r#"{"a":1}"#);
        all.then_some(Fault::Timeout)
    };
    let http = HttpFacts { status: Some(503), retry_after: Some(Duration::from_secs(7)) };
    let outcome =
        classify_with("eth_call", &error(-32000, "odd", Some(r#"{"a":1}"#)), http, Some(&seen));
    assert_eq!(outcome, Outcome::Fault(Fault::Timeout));
}
