//! A stand-in is judged as the fault that it stands for, with all its details.

use alclad_core::{
    EndpointId, Evidence, Fault, HttpFacts, Limiter, Outcome, StandIn, Unsupported, classify,
    classify_with,
};
use alloy_json_rpc::{ErrorPayload, Id, Response, ResponsePayload};
use alloy_transport::TransportError;
use std::time::Duration;

fn every_fault() -> Vec<Fault> {
    let mut faults = vec![
        Fault::InvalidRequest,
        Fault::Reverted,
        Fault::TxRejected,
        Fault::NonceTooLow,
        Fault::AlreadyKnown,
        Fault::QuotaExhausted,
        Fault::Unauthorized,
        Fault::Unsupported { what: Unsupported::Method },
        Fault::Unsupported { what: Unsupported::Request },
        Fault::MissingData,
        Fault::RangeTooLarge,
        Fault::WrongChain,
        Fault::Timeout,
        Fault::Connection { maybe_sent: true },
        Fault::Connection { maybe_sent: false },
        Fault::ServerError,
        Fault::Malformed,
        Fault::Unknown,
    ];
    for by in [Limiter::Vendor, Limiter::Local] {
        for retry_after in [
            None,
            Some(Duration::ZERO),
            Some(Duration::from_millis(1500)),
            Some(Duration::from_nanos(1_000_000_001)),
            Some(Duration::MAX),
        ] {
            faults.push(Fault::RateLimited { retry_after, by });
        }
    }
    faults
}

fn stand_in(fault: Fault, endpoint: Option<&EndpointId>) -> ErrorPayload {
    StandIn { fault, endpoint, status: Some(503), attempts: 3 }.into_payload()
}

fn answer(error: ErrorPayload) -> Response {
    Response { id: Id::Number(1), payload: ResponsePayload::Failure(error) }
}

#[test]
fn every_fault_comes_back_whole() {
    let label = EndpointId::new("rate limit: \"execution reverted\"");
    for fault in every_fault() {
        for endpoint in [None, Some(&label)] {
            let error = stand_in(fault, endpoint);
            for method in ["eth_call", "eth_sendRawTransaction", "eth_getLogs"] {
                let outcome = classify(method, &answer(error.clone()));
                assert_eq!(outcome, Outcome::Fault(fault));
            }
            let json = serde_json::to_string(&answer(error)).expect("it can be written");
            let again: Response = serde_json::from_str(&json).expect("and read");
            assert_eq!(classify("eth_call", &again), Outcome::Fault(fault));
        }
    }
}

#[test]
fn every_name_leads_back_to_its_fault() {
    for fault in every_fault() {
        let again = Fault::from_name(fault.name(), None).expect("every name is known");
        assert_eq!(again.name(), fault.name());
    }
    assert_eq!(Fault::from_name("Rate_Limited", None), None);
    let hint = Some(Duration::from_secs(2));
    assert_eq!(
        Fault::from_name("RateLimited", hint),
        Some(Fault::RateLimited { retry_after: hint, by: Limiter::Vendor })
    );
}

#[test]
fn it_says_what_people_and_programs_need() {
    let label = EndpointId::new("alchemy");
    let fault =
        Fault::RateLimited { retry_after: Some(Duration::from_millis(1500)), by: Limiter::Vendor };
    let error = stand_in(fault, Some(&label));
    assert_eq!(error.code, -32603);
    assert_eq!(error.message, "endpoint alchemy: RateLimited");
    assert_eq!(
        error.data.expect("it has data").get(),
        r#"{"fault":"RateLimited","endpoint":"alchemy","status":503,"retry_after_ms":1500,"attempts":3}"#
    );
}

#[test]
fn it_is_recognized_in_an_error_too() {
    let fault = Fault::Connection { maybe_sent: false };
    let error = TransportError::ErrorResp(stand_in(fault, None));
    assert_eq!(Fault::of_error("eth_call", &error), fault);
}

#[test]
fn ones_own_classifier_is_heard_before_it() {
    let mine = |_: &Evidence<'_>| Some(Fault::MissingData);
    let answer = answer(stand_in(Fault::Timeout, None));
    let outcome = classify_with("eth_call", &answer, HttpFacts::default(), Some(&mine));
    assert_eq!(outcome, Outcome::Fault(Fault::MissingData));
}

#[test]
fn an_error_that_only_looks_like_one_is_judged_by_its_text() {
    for data in [r#"{"fault":"Nonsense","attempts":1}"#, r#"{"fault":7}"#, r#"{"fault":"#] {
        let error = ErrorPayload {
            code: -32603,
            message: "Internal error".into(),
            data: serde_json::value::to_raw_value(data).ok(),
        };
        assert_eq!(classify("eth_call", &answer(error)), Outcome::Fault(Fault::ServerError));
    }
}
