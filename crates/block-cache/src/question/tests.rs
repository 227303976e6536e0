use super::{Question, Topic, raw};
use alloy_json_rpc::{Id, Request, SerializedRequest};
use proptest::prelude::*;
use serde_json::{Map, Value, json, value::RawValue};

const A: &str = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const HASH: &str = "0xabababababababababababababababababababababababababababababababab";
const TOPIC: &str = "0x0000000000000000000000000000000000000000000000000000000000000001";

fn request(method: &'static str, params: &Value) -> SerializedRequest {
    Request::new(method, Id::Number(7), params).serialize().unwrap()
}

fn key(method: &'static str, params: Value) -> String {
    let question = Question::of(&request(method, &params), None, None);
    let question = question.unwrap_or_else(|| panic!("{method} {params} is not for the cache"));
    String::from_utf8(question.key[8..].to_vec()).unwrap()
}

fn topic(method: &'static str, params: Value) -> Option<Topic> {
    Question::of(&request(method, &params), None, None).map(|question| question.topic)
}

#[track_caller]
fn same(method: &'static str, forms: impl IntoIterator<Item = Value>) {
    let mut keys = forms.into_iter().map(|params| (key(method, params.clone()), params));
    let (first, _) = keys.next().unwrap();
    for (key, params) in keys {
        assert_eq!(key, first, "{method} {params}");
    }
}

#[track_caller]
fn different(method: &'static str, forms: impl IntoIterator<Item = Value>) {
    let mut keys = std::collections::HashMap::new();
    for params in forms {
        if let Some(other) = keys.insert(key(method, params.clone()), params.clone()) {
            panic!("{method}: {params} is not {other}");
        }
    }
}

#[test]
fn what_means_the_same_has_one_key() {
    let block = |block: Value| json!([A, block]);
    same(
        "eth_getBalance",
        [
            block(json!("0x10")),
            block(json!("0x010")),
            block(json!("0x0000000000000010")),
            block(json!({ "blockNumber": "0x10" })),
            block(json!({ "blockNumber": "0x010" })),
            json!([A, "0x10", null]),
            json!([A.to_uppercase().replace("0X", "0x"), "0x10"]),
        ],
    );
    same(
        "eth_getBalance",
        [
            block(json!(HASH)),
            block(json!({ "blockHash": HASH })),
            block(json!({ "blockHash": HASH.to_uppercase().replace("0X", "0x") })),
            block(json!({ "blockHash": HASH, "requireCanonical": false })),
            block(json!({ "requireCanonical": false, "blockHash": HASH })),
        ],
    );
    same(
        "eth_call",
        [
            json!([{ "to": A, "data": "0xAB", "gas": "0x10" }, "0xff"]),
            json!([{ "gas": "0x0010", "input": "0xab", "to": A }, "0xFF"]),
            json!([{ "gas": "0x10", "from": null, "input": "0xab", "to": A }, "0x0ff"]),
            json!([{ "to": A, "data": "0xAB", "gas": "0x10" }, "0xff", null]),
            json!([{ "to": A, "data": "0xAB", "gas": "0x10" }, "0xff", {}]),
            json!([{ "to": A, "data": "0xAB", "gas": "0x10" }, "0xff", {}, null]),
        ],
    );
    same(
        "eth_getStorageAt",
        [json!([A, "0x0", "0x1"]), json!([A, TOPIC.replace('1', "0"), "0x1"])],
    );
    same(
        "eth_getLogs",
        [
            json!([{ "fromBlock": "0x1", "toBlock": "0xA", "topics": [null, HASH] }]),
            json!([{ "topics": [null, HASH], "toBlock": "0x00a", "address": null, "fromBlock": "0x01" }]),
        ],
    );
    same("eth_getBlockByHash", [json!([HASH, true]), json!([HASH.replace("ab", "AB"), true])]);
    same(
        "eth_getTransactionReceipt",
        [json!([HASH]), json!([HASH.replace("ab", "aB")]), json!([HASH, null])],
    );
    same("eth_chainId", [json!([]), json!([null])]);
    same("eth_getTransactionByBlockHashAndIndex", [json!([HASH, "0x1"]), json!([HASH, "0x01"])]);
}

#[test]
fn overrides_have_one_key_whatever_their_addresses_look_like() {
    let (low, high) = ("0xaa".to_owned() + &"0".repeat(38), "0xAB".to_owned() + &"0".repeat(38));
    let with = |a: &str, b: &str| json!([{ "to": A }, "0x1", { a: { "nonce": "0x1" }, b: {} }]);
    same("eth_call", [with(&low, &high), with(&low, &high.to_lowercase())]);
}

#[test]
fn what_means_something_else_has_another_key() {
    different(
        "eth_getLogs",
        [
            json!([{ "fromBlock": "0x1", "toBlock": "0x2", "topics": [[HASH, TOPIC]] }]),
            json!([{ "fromBlock": "0x1", "toBlock": "0x2", "topics": [HASH, TOPIC] }]),
            json!([{ "fromBlock": "0x1", "toBlock": "0x2", "topics": [[HASH], [TOPIC]] }]),
            json!([{ "fromBlock": "0x1", "toBlock": "0x2", "topics": [TOPIC, HASH] }]),
            json!([{ "fromBlock": "0x1", "toBlock": "0x2", "topics": [HASH] }]),
            json!([{ "fromBlock": "0x1", "toBlock": "0x2", "topics": [null, HASH] }]),
            json!([{ "fromBlock": "0x1", "toBlock": "0x2", "topics": [HASH, null] }]),
            json!([{ "fromBlock": "0x1", "toBlock": "0x2", "topics": ["0x1"] }]),
            json!([{ "fromBlock": "0x1", "toBlock": "0x2", "topics": [TOPIC] }]),
            json!([{ "fromBlock": "0x1", "toBlock": "0x2", "address": [A] }]),
            json!([{ "fromBlock": "0x1", "toBlock": "0x2", "address": [A, A] }]),
            json!([{ "fromBlock": "0x1", "toBlock": "0x2" }]),
            json!([{ "fromBlock": "0x1", "toBlock": "0x3" }]),
            json!([{ "fromBlock": "0x2", "toBlock": "0x3" }]),
            json!([{ "blockHash": HASH }]),
        ],
    );
    different(
        "eth_call",
        [
            json!([{ "to": A, "data": "0x00" }, "0x1"]),
            json!([{ "to": A, "data": "0x0000" }, "0x1"]),
            json!([{ "to": A, "data": "0x" }, "0x1"]),
            json!([{ "to": A, "data": "0x0" }, "0x1"]),
            json!([{ "to": A }, "0x1"]),
            json!([{ "from": A }, "0x1"]),
            json!([{ "to": A, "value": "0x1" }, "0x1"]),
            json!([{ "to": A, "gas": "0x1" }, "0x1"]),
            json!([{ "to": A, "data": "0x01", "input": "0x02" }, "0x1"]),
            json!([{ "to": A, "data": "0x02", "input": "0x01" }, "0x1"]),
            json!([{ "to": A, "input": "0x01" }, "0x1"]),
            json!([{ "to": A }, "0x2"]),
            json!([{ "to": A }, HASH]),
            json!([{ "to": A }, "0x1", { A: { "code": "0x00" } }]),
            json!([{ "to": A }, "0x1", { A: { "code": "0x0000" } }]),
            json!([{ "to": A }, "0x1", { A: { "state": { TOPIC: TOPIC } } }]),
            json!([{ "to": A }, "0x1", { A: { "stateDiff": { TOPIC: TOPIC } } }]),
            json!([{ "to": A }, "0x1", { A: {} }]),
            json!([{ "to": A }, "0x1", {}, { "time": "0x1" }]),
        ],
    );
    different(
        "eth_getStorageAt",
        [
            json!([A, "0x0", "0x1"]),
            json!([A, "0x1", "0x1"]),
            json!([A, "0x10", "0x1"]),
            json!([A, "0x1", "0x10"]),
        ],
    );
    different(
        "eth_getProof",
        [
            json!([A, [], "0x1"]),
            json!([A, ["0x0"], "0x1"]),
            json!([A, [TOPIC], "0x1"]),
            json!([A, ["0x1"], "0x1"]),
            json!([A, ["0x0", "0x1"], "0x1"]),
        ],
    );
    different(
        "eth_getBlockByNumber",
        [json!(["0x1", true]), json!(["0x1", false]), json!(["0x1"]), json!(["0x10", true])],
    );
    different("web3_sha3", [json!(["0x"]), json!(["0x0"]), json!(["0x00"]), json!(["0x0000"])]);
    different(
        "debug_traceCall",
        [
            json!([{ "to": A }, "0x1", { "tracer": "callTracer" }]),
            json!([{ "to": A }, "0x1", { "tracer": "prestateTracer" }]),
            json!([{ "to": A }, "0x1", { "tracer": "calltracer" }]),
            json!([{ "to": A }, "0x1"]),
        ],
    );
    assert_ne!(key("eth_getCode", json!([A, "0x1"])), key("eth_getBalance", json!([A, "0x1"])));
}

#[test]
fn text_in_strings_is_text() {
    different(
        "web3_sha3",
        [
            json!(["a,b"]),
            json!(["a", "b"]),
            json!(["a\",\"b"]),
            json!(["a\\"]),
            json!(["]"]),
            json!(["}"]),
            json!(["0xAB "]),
            json!(["0xab "]),
            json!(["0XAB"]),
            json!(["0xab"]),
            json!([" 0xab"]),
            json!(["null"]),
            json!([{ "a": "b:c" }]),
            json!([{ "a:b": "c" }]),
            json!([["a"]]),
            json!([["a", null]]),
            json!([[null]]),
            json!([[]]),
            json!([{}]),
            json!([true]),
            json!(["true"]),
            json!([1]),
            json!(["1"]),
        ],
    );
}

#[test]
fn the_topic_is_the_block_that_is_meant() {
    let at = |to| Some(Topic::Height { from: to, to, is_range: false });
    let range = |from, to| Some(Topic::Height { from, to, is_range: true });
    assert_eq!(topic("eth_getBalance", json!([A, "0x10"])), at(16));
    assert_eq!(topic("eth_getBalance", json!([A, "earliest"])), at(0));
    assert_eq!(topic("eth_getBalance", json!([A, { "blockHash": HASH }])), Some(Topic::Constant));
    assert_eq!(topic("eth_getTransactionReceipt", json!([HASH])), Some(Topic::InBlock));
    assert_eq!(topic("net_version", json!([])), Some(Topic::Constant));
    let logs =
        |from: &str, to: &str| topic("eth_getLogs", json!([{ "fromBlock": from, "toBlock": to }]));
    assert_eq!(logs("0x1", "0x2"), range(1, 2));
    assert_eq!(logs("earliest", "0x2"), range(0, 2));
    for (from, to) in [("latest", "0x2"), ("0x1", "latest"), ("0x1", "safe"), ("pending", "0x1")] {
        assert_eq!(logs(from, to), None);
    }
    for tag in ["latest", "pending", "safe", "finalized", "0x", "0x+1", "0x10000000000000000", "16"]
    {
        assert_eq!(topic("eth_getBalance", json!([A, tag])), None, "{tag}");
    }
    assert_eq!(topic("eth_getBalance", json!([A])), None);
    assert_eq!(topic("eth_blockNumber", json!([])), None);
    assert_eq!(topic("foo_getThing", json!(["0x1"])), None);
    let both = json!([{ "blockHash": HASH, "fromBlock": "0x1", "toBlock": "latest" }]);
    assert_eq!(topic("eth_getLogs", both), None);
}

#[test]
fn the_raw_text_of_a_request_ends_before_its_id_whatever_that_is() {
    let params = json!([A, "0x10"]);
    let text = |id| {
        let request = Request::new("eth_getBalance", id, params.clone()).serialize().unwrap();
        raw(&request).map(ToOwned::to_owned)
    };
    let plain = text(Id::Number(7)).unwrap();
    assert!(plain.starts_with("eth_getBalance") && plain.ends_with(']'), "{plain}");
    for id in [
        Id::Number(0),
        Id::Number(u64::MAX),
        Id::String("a".into()),
        Id::String(String::new()),
        Id::None,
    ] {
        assert_eq!(text(id).as_ref(), Some(&plain));
    }
    for id in ["7", "\",\"id\":\"", "\"", "\\", "é", "\n", "null"] {
        let found = text(Id::String(id.to_owned()));
        assert!(found.is_none() || found.as_ref() == Some(&plain), "{id:?}: {found:?}");
    }
    let odd = Request::new("a\"b", Id::Number(1), json!([])).serialize().unwrap();
    assert!(raw(&odd).is_none_or(|text| text.starts_with("a\\\"b")));
}

/// A naive reading of what an `eth_call` or `eth_getLogs` means.
fn meaning(method: &str, params: &Value) -> Value {
    let list = params.as_array().unwrap();
    let block = |block: &Value| -> Value {
        let block = match block {
            Value::Object(fields) => fields.get("blockHash").or(fields.get("blockNumber")).unwrap(),
            other => other,
        };
        let text = block.as_str().unwrap().to_lowercase();
        if text.len() > 20 { json!(text) } else { number(&text) }
    };
    match method {
        "eth_call" => {
            let mut all = vec![object(&list[0], &["gas", "value"]), block(&list[1])];
            let mut rest = list[2..].to_vec();
            while rest.last().is_some_and(|last| last.is_null() || *last == json!({})) {
                rest.pop();
            }
            all.extend(rest.iter().map(|value| object(value, &[])));
            Value::Array(all)
        }
        _ => object(&list[0], &["fromBlock", "toBlock"]),
    }
}

fn number(text: &str) -> Value {
    json!(u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap())
}

fn object(value: &Value, numbers: &[&str]) -> Value {
    match value {
        Value::String(text) => json!(text.to_lowercase()),
        Value::Array(list) => list.iter().map(|value| object(value, &[])).collect(),
        Value::Object(fields) => {
            let mut plain = Map::new();
            for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                let is_old = !numbers.is_empty()
                    && name == "data"
                    && fields.get("input").is_none_or(Value::is_null);
                let name = if is_old { "input".to_owned() } else { name.to_lowercase() };
                let is_number = numbers.iter().any(|number| number.to_lowercase() == name);
                let value = match value.as_str().filter(|_| is_number) {
                    Some(text) => number(&text.to_lowercase()),
                    None => object(value, &[]),
                };
                plain.insert(name, value);
            }
            Value::Object(plain)
        }
        other => other.clone(),
    }
}

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = Value> {
    proptest::sample::select(texts).prop_map(|text| json!(text))
}

fn maybe(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        1 => Just(None),
        1 => Just(Some(Value::Null)),
        3 => value.prop_map(Some),
    ]
}

fn fields(names: &[&str], values: Vec<Option<Value>>, rotate: usize) -> Value {
    let mut pairs: Vec<_> = names
        .iter()
        .zip(values)
        .filter_map(|(name, value)| Some(((*name).to_owned(), value?)))
        .collect();
    if !pairs.is_empty() {
        let middle = rotate % pairs.len();
        pairs.rotate_left(middle);
    }
    Value::Object(pairs.into_iter().collect())
}

fn data() -> impl Strategy<Value = Value> {
    one_of(&["0x", "0x00", "0x0000", "0xab", "0xAB", "0x00ab"])
}

fn quantity() -> impl Strategy<Value = Value> {
    one_of(&["0x0", "0x00", "0x1", "0x01", "0xa", "0xA"])
}

fn address() -> impl Strategy<Value = Value> {
    one_of(&[
        "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "0xAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA",
        "0x00aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ])
}

fn block() -> impl Strategy<Value = Value> {
    prop_oneof![
        quantity(),
        quantity().prop_map(|number| json!({ "blockNumber": number })),
        Just(json!(HASH)),
        Just(json!({ "blockHash": HASH.replace("ab", "AB") })),
        Just(json!({ "blockHash": HASH, "requireCanonical": false })),
    ]
}

fn eth_call() -> impl Strategy<Value = Value> {
    let transaction = (
        maybe(address()),
        maybe(data()),
        maybe(data()),
        maybe(quantity()),
        maybe(quantity()),
        0..5_usize,
    );
    let transaction = transaction.prop_map(|(to, data, input, gas, value, rotate)| {
        fields(&["to", "data", "input", "gas", "value"], vec![to, data, input, gas, value], rotate)
    });
    let overrides = maybe((address(), data()).prop_map(
        |(address, code)| json!({ address.as_str().unwrap(): { "code": code, "balance": null } }),
    ));
    let last = prop_oneof![overrides, Just(Some(json!({})))];
    (transaction, block(), last).prop_map(|(transaction, block, last)| {
        let mut params = vec![transaction, block];
        params.extend(last);
        Value::Array(params)
    })
}

fn eth_get_logs() -> impl Strategy<Value = Value> {
    let topic = prop_oneof![Just(Value::Null), Just(json!(HASH)), Just(json!(TOPIC))];
    let places =
        prop_oneof![topic.clone(), proptest::collection::vec(topic, 0..3).prop_map(Value::Array)];
    let topics = maybe(proptest::collection::vec(places, 0..3).prop_map(Value::Array));
    let addresses =
        prop_oneof![address(), proptest::collection::vec(address(), 0..3).prop_map(Value::Array)];
    (quantity(), quantity(), topics, maybe(addresses), 0..4_usize).prop_map(
        |(from, to, topics, address, rotate)| {
            let names = ["fromBlock", "toBlock", "topics", "address"];
            json!([fields(&names, vec![Some(from), Some(to), topics, address], rotate)])
        },
    )
}

fn check(method: &'static str, one: &Value, other: &Value) -> Result<(), TestCaseError> {
    let equal = meaning(method, one) == meaning(method, other);
    let keys = key(method, one.clone()) == key(method, other.clone());
    prop_assert_eq!(keys, equal, "{}: {} and {}", method, one, other);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn two_calls_have_one_key_if_they_mean_the_same(one in eth_call(), other in eth_call()) {
        check("eth_call", &one, &other)?;
    }

    #[test]
    fn two_filters_have_one_key_if_they_mean_the_same(one in eth_get_logs(), other in eth_get_logs()) {
        check("eth_getLogs", &one, &other)?;
    }

    #[test]
    fn no_params_make_it_panic(text in "[\\[\\]{}\",:0-9a-fx\\\\ ]{0,40}", method in 0..5_usize) {
        let methods = ["eth_call", "eth_getLogs", "eth_getBlockByHash", "eth_getTransactionReceipt", "web3_sha3"];
        if let Ok(params) = serde_json::value::RawValue::from_string(text) {
            let request = Request::new(methods[method], Id::Number(1), params).serialize().unwrap();
            drop(Question::of(&request, None, Some(7)));
        }
    }

    /// What two requests have in common survives any JSON in them.
    #[test]
    fn any_two_hashes_of_json_are_two(one in any_json(), other in any_json()) {
        let equal = object(&json!([one]), &[]) == object(&json!([other]), &[]);
        let key = |json: &Value| {
            let question = Question::of(&request("web3_sha3", &json!([1, json, 1])), None, None);
            question.map(|question| question.key)
        };
        if key(&one).is_some() && key(&one) == key(&other) {
            prop_assert!(equal, "{} and {}", one, other);
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (0..3_u8).prop_map(|number| json!(number)),
        "[0xa,\"\\]\\[{}]{0,4}".prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            proptest::collection::hash_map("[0ab:,\"]{0,2}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Texts that `json!` cannot write.
#[test]
fn what_nodes_may_read_in_two_ways_is_not_for_the_cache() {
    let call = |call: &str| ("eth_call", format!("[{call},\"0x10\"]"));
    let logs = |more: &str| {
        ("eth_getLogs", format!("[{{\"fromBlock\":\"0x1\",\"toBlock\":\"0x2\"{more}}}]"))
    };
    let at = |block: &str| ("eth_getBalance", format!("[\"{A}\",{block}]"));
    for (method, params) in [
        at(r#"{"blockNumber":"0x10","BlockNumber":"0x20"}"#),
        at(r#"{"blockNumber":"0x10","blockNumber":"0x20"}"#),
        at(&format!(r#"{{"blockHash":"{HASH}","BlockHash":"{TOPIC}"}}"#)),
        at(&format!(r#"{{"blockHash":"{HASH}","RequireCanonical":true}}"#)),
        at(&format!(r#"{{"blockHash":"{HASH}","require\u0043anonical":true}}"#)),
        call(&format!(r#"{{"to":"{A}","to":null,"data":"0x70"}}"#)),
        call(&format!(r#"{{"to":"{A}","TO":null,"data":"0x70"}}"#)),
        call(&format!(r#"{{"to":"{A}","\u0074o":null,"data":"0x70"}}"#)),
        (
            "eth_call",
            format!(
                r#"[{{"to":"{A}"}},"0x10",{{"{A}":{{"code":"0x"}},"{}":null}}]"#,
                A.to_uppercase().replace("0X", "0x")
            ),
        ),
        logs(&format!(r#","address":"{A}","address":null"#)),
        logs(&format!(r#","topics":["{TOPIC}"],"topic\u017f":null"#)),
        logs(&format!(",\"topics\":[\"{TOPIC}\"],\"topic\u{17f}\":null")),
    ] {
        let raw = RawValue::from_string(params.clone()).expect("it is JSON");
        let request = Request::new(method, Id::Number(7), raw).serialize().unwrap();
        assert!(Question::of(&request, None, None).is_none(), "{method} {params}");
    }
}
