//! A success costs nothing: not one allocation, however large the answer is.

use alclad_core::{HttpFacts, Outcome, classify, classify_with};
use alloy_json_rpc::{Id, Response, ResponsePayload};
use serde_json::value::RawValue;

fn answer(json: String) -> Response {
    let result = RawValue::from_string(json).expect("JSON");
    Response { id: Id::Number(1), payload: ResponsePayload::Success(result) }
}

#[test]
fn judging_a_success_allocates_nothing() {
    let large = format!("\"0x{}\"", "ab".repeat(1 << 20));
    for (json, expected) in [
        ("null".to_owned(), Outcome::Null),
        ("[]".to_owned(), Outcome::Empty),
        (r#""0x""#.to_owned(), Outcome::Empty),
        (r#""0x1""#.to_owned(), Outcome::Answer),
        (large, Outcome::Answer),
    ] {
        let answer = answer(json);
        let counted = allocation_counter::measure(|| {
            assert_eq!(classify("eth_call", &answer), expected);
            let http = HttpFacts { status: Some(200), retry_after: None };
            assert_eq!(classify_with("eth_call", &answer, http, None), expected);
        });
        assert_eq!(counted.count_total, 0);
    }
}

#[test]
fn judging_an_error_allocates_little() {
    let error = alloy_json_rpc::ErrorPayload::<Box<RawValue>> {
        code: -32000,
        message: "header not found".into(),
        data: None,
    };
    let answer = Response { id: Id::Number(1), payload: ResponsePayload::Failure(error) };
    let counted = allocation_counter::measure(|| {
        assert!(classify("eth_call", &answer).fault().is_some());
    });
    assert!(counted.count_total <= 4, "{} allocations", counted.count_total);
}
