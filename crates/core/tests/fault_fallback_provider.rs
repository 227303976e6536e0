//! What the Python fallback provider of web3-ethereum-defi asks again elsewhere, alclad does too:
//! its two tables, row by row.

use alclad_core::{Fault, HttpFacts, Same, classify_with};
use alloy_json_rpc::{ErrorPayload, Id, Response, ResponsePayload};
use alloy_transport::TransportErrorKind;

fn member(method: &str, status: Option<u16>, code: i64, message: &str) -> Fault {
    let error = ErrorPayload { code, message: message.to_owned().into(), data: None };
    let answer = Response { id: Id::Number(1), payload: ResponsePayload::Failure(error) };
    let http = HttpFacts { status, retry_after: None };
    classify_with(method, &answer, http, None).fault().expect("an error is a fault")
}

#[test]
fn its_statuses() {
    for (status, fault) in [
        (429, "RateLimited"),
        (500, "ServerError"),
        (502, "ServerError"),
        (503, "ServerError"),
        (504, "Timeout"),
        (520, "ServerError"),
        (525, "ServerError"),
        (410, "ServerError"),
        (403, "Unauthorized"),
        (401, "Unauthorized"),
    ] {
        let error = TransportErrorKind::http_error(status, String::new());
        let judged = Fault::of_error("eth_call", &error);
        assert_eq!(judged.name(), fault, "{status}");
        assert!(judged.other(), "{status} is asked elsewhere");
    }
}

#[test]
fn its_codes() {
    for (method, status, code, message, fault) in [
        ("eth_call", Some(400), 12, "Can't route your request to suitable provider", "ServerError"),
        ("eth_call", None, -32603, "Internal error", "ServerError"),
        ("eth_call", None, -32603, "upstream does not have the requested block yet", "MissingData"),
        ("eth_call", None, -32603, "failsafe timeout policy exceeded", "Timeout"),
        ("eth_getLogs", None, -32043, "Requested data is not available", "MissingData"),
        ("eth_getLogs", None, -32005, "limit exceeded", "RangeTooLarge"),
        ("eth_getLogs", None, -32701, "Please specify address in your request", "RangeTooLarge"),
        ("eth_call", None, 42903, "not enough CUPs", "QuotaExhausted"),
        ("eth_call", None, -32002, "request timed out", "Timeout"),
        ("eth_call", None, -32052, "API key is not allowed", "Unauthorized"),
        ("eth_blockNumber", None, -32601, "method eth_blockNumber does not exist", "Unsupported"),
        ("eth_call", None, -32000, "call rate limit exhausted", "RateLimited"),
    ] {
        let judged = member(method, status, code, message);
        assert_eq!(judged.name(), fault, "{code} {message}");
        assert!(judged.other(), "{code} {message} is asked elsewhere");
    }
}

#[test]
fn its_messages() {
    for (message, fault) in [
        ("header not found", "MissingData"),
        ("execution aborted (timeout = 5s)", "Timeout"),
        ("empty reader set", "ServerError"),
        ("Unexpected error (code=40000)", "MissingData"),
        ("ChainException: Unexpected error (code=40000)", "MissingData"),
        ("Internal JSON-RPC error", "ServerError"),
        ("missing trie node", "MissingData"),
    ] {
        let judged = member("eth_call", None, -32000, message);
        assert_eq!(judged.name(), fault, "{message}");
        assert!(judged.other(), "{message} is asked elsewhere");
    }
    assert_eq!(member("eth_call", None, -32700, "Parse error"), Fault::ServerError);
}

#[test]
fn what_it_never_asks_again_is_never_asked_again_here() {
    for (code, message) in
        [(3, "execution reverted"), (-32000, "execution reverted"), (-32600, "Invalid Request")]
    {
        let fault = member("eth_call", None, code, message);
        assert!(fault.same() == Same::No && !fault.other(), "{message}");
    }
}

/// It asks again after "nonce too low", in vain: the same bytes can never succeed.
#[test]
fn a_spent_nonce_is_not_asked_again() {
    let fault = member("eth_sendRawTransaction", None, -32003, "nonce too low");
    assert_eq!(fault, Fault::NonceTooLow);
    assert_eq!(fault.same(), Same::No);
}
