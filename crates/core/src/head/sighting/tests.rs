use super::*;
use alloy_json_rpc::{ErrorPayload, Id, Request, ResponsePayload};
use serde_json::{Value, json, value::to_raw_value};

const HASH: B256 = B256::repeat_byte(0xab);
const PARENT: B256 = B256::repeat_byte(0xcd);

fn of(method: &'static str, params: Value, result: Value) -> Option<Sighting> {
    let request = Request::new(method, Id::Number(1), params).serialize().unwrap();
    let payload = ResponsePayload::Success(to_raw_value(&result).unwrap());
    Sighting::of(&request, &Response { id: Id::Number(1), payload })
}

fn block() -> Value {
    json!({
        "difficulty": "0x0",
        "nested": { "number": "0x7", "list": [1, "}", null] },
        "hash": HASH,
        "number": "0x10",
        "parentHash": PARENT,
        "timestamp": "0x64",
        "transactions": [{ "hash": PARENT, "blockNumber": "0x10" }],
    })
}

fn inside() -> Value {
    json!({ "hash": PARENT, "blockHash": HASH, "blockNumber": "0x10", "logs": [] })
}

const BLOCK: SightedBlock =
    SightedBlock { number: 16, hash: HASH, parent: Some(PARENT), timestamp: Some(100) };
const INSIDE: SightedBlock = SightedBlock::new(16, HASH);

#[test]
fn a_block_number_is_the_latest() {
    let sighting = of("eth_blockNumber", json!([]), json!("0x10"));
    assert_eq!(sighting, Some(Sighting::block_number(16)));
}

#[test]
fn a_block_tells_what_was_asked_of_it() {
    let by_number = |block_ref: &str| of("eth_getBlockByNumber", json!([block_ref, true]), block());
    let told = Sighting::of_block(BLOCK);
    assert_eq!(by_number("0x10"), Some(told));
    assert_eq!(by_number("earliest"), Some(told));
    assert_eq!(by_number("latest"), Some(Sighting { latest: Some(16), ..told }));
    assert_eq!(by_number("safe"), Some(Sighting { safe: Some(16), ..told }));
    assert_eq!(by_number("finalized"), Some(Sighting { finalized: Some(16), ..told }));
    assert_eq!(by_number("pending"), None);
    let by_hash = Some(Sighting { by_hash: true, ..told });
    assert_eq!(of("eth_getBlockByHash", json!([HASH, false]), block()), by_hash);
    assert_eq!(of("eth_getHeaderByHash", json!([HASH]), block()), by_hash);
    assert_eq!(of("eth_getHeaderByNumber", json!(["0x10"]), block()), Some(told));
}

#[test]
fn what_lies_in_a_block_shows_that_block() {
    let told = Some(Sighting::of_block(INSIDE));
    assert_eq!(of("eth_getTransactionReceipt", json!([PARENT]), inside()), told);
    assert_eq!(of("eth_getTransactionByHash", json!([PARENT]), inside()), told);
    let receipts = |block_ref: Value| {
        of("eth_getBlockReceipts", json!([block_ref]), json!([inside(), { "blockHash": 7 }]))
    };
    assert_eq!(receipts(json!("0x10")), told);
    let by_hash = told.map(|told| Sighting { by_hash: true, ..told });
    assert_eq!(receipts(json!({ "blockHash": HASH })), by_hash);
    let latest = Sighting { latest: Some(16), ..Sighting::of_block(INSIDE) };
    assert_eq!(receipts(json!("latest")), Some(latest));
}

#[test]
fn a_header_of_a_subscription_is_the_latest() {
    let header = to_raw_value(&block()).unwrap();
    let told = Sighting { latest: Some(16), ..Sighting::of_block(BLOCK) };
    assert_eq!(Sighting::of_header(&header), Some(told));
    assert_eq!(Sighting::of_header(&to_raw_value("0x10").unwrap()), None);
}

#[test]
fn another_block_than_was_asked_for_tells_nothing() {
    assert_eq!(of("eth_getBlockByNumber", json!(["0x11", false]), block()), None);
    assert_eq!(of("eth_getBlockByHash", json!([PARENT, false]), block()), None);
    assert_eq!(of("eth_getBlockReceipts", json!(["0x11"]), json!([inside()])), None);
}

#[test]
fn what_cannot_be_read_tells_nothing() {
    for number in ["", "0x", "16", "0x+1", "0xg", "0x10000000000000000"] {
        assert_eq!(of("eth_blockNumber", json!([]), json!(number)), None, "{number}");
    }
    for result in [json!(null), json!(16), json!([]), json!([[]]), json!([null]), json!({})] {
        for method in ["eth_blockNumber", "eth_getTransactionReceipt"] {
            assert_eq!(of(method, json!([]), result.clone()), None, "{method} {result}");
        }
        for method in ["eth_getBlockByNumber", "eth_getBlockReceipts"] {
            assert_eq!(of(method, json!(["latest"]), result.clone()), None, "{method} {result}");
        }
    }
    for (field, value) in [
        ("number", json!(16)),
        ("number", json!(null)),
        ("hash", json!(null)),
        ("hash", json!("0xab")),
        ("parentHash", json!({})),
    ] {
        let mut block = block();
        block[field] = value;
        assert_eq!(of("eth_getBlockByNumber", json!(["latest", false]), block), None, "{field}");
    }
    let pending = json!({ "hash": PARENT, "blockHash": null, "blockNumber": null });
    assert_eq!(of("eth_getTransactionByHash", json!([PARENT]), pending), None);
}

#[test]
fn an_error_and_most_methods_tell_nothing() {
    assert_eq!(of("eth_call", json!([{}, "latest"]), json!("0x10")), None);
    assert_eq!(of("eth_getBalance", json!([]), block()), None);
    let request = Request::new("eth_blockNumber", Id::Number(1), ()).serialize().unwrap();
    let payload = ResponsePayload::Failure(ErrorPayload::internal_error());
    assert_eq!(Sighting::of(&request, &Response { id: Id::Number(1), payload }), None);
}
