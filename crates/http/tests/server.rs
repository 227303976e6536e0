//! What a client of another make may send, and what it gets.

use alclad_core::{
    Fault,
    error::{EndpointFailure, NoEndpoint, TypedError},
};
use alclad_http::RpcServer;
use alloy_json_rpc::{
    ErrorPayload, Id, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest,
};
use alloy_transport::{TransportError, TransportErrorKind};
use bytes::Bytes;
use futures::stream::pending;
use http::header::CONTENT_TYPE;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::{json, value::to_raw_value};
use std::{
    convert::Infallible,
    future::ready,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;
use tower::service_fn;

/// What a stack was asked, as it was written.
type Asked = Arc<Mutex<Vec<String>>>;

fn answer(request: &SerializedRequest) -> Response {
    let payload = match request.method() {
        "eth_call" => ResponsePayload::Failure(ErrorPayload {
            code: 3,
            message: "execution reverted".into(),
            data: Some(to_raw_value("0x08c379a0").unwrap()),
        }),
        method => ResponsePayload::Success(to_raw_value(method).unwrap()),
    };
    Response { id: request.id().clone(), payload }
}

/// Answers with the method's name, and a batch backwards.
async fn ask_by(server: RpcServer, body: &[u8]) -> (Option<String>, Vec<String>) {
    let asked = Asked::default();
    let heard = Arc::clone(&asked);
    let stack = service_fn(move |packet: RequestPacket| {
        let texts = packet.requests().iter().map(|one| one.serialized().get().to_owned());
        heard.lock().unwrap().extend(texts);
        ready(Ok::<_, TransportError>(match packet {
            RequestPacket::Single(request) => ResponsePacket::Single(answer(&request)),
            RequestPacket::Batch(requests) => {
                ResponsePacket::Batch(requests.iter().rev().map(answer).collect())
            }
        }))
    });
    let answer = server.answer(stack, body).await;
    let asked = asked.lock().unwrap().clone();
    (answer.map(|answer| String::from_utf8(answer).unwrap()), asked)
}

async fn ask(body: &str) -> (Option<String>, Vec<String>) {
    ask_by(RpcServer::new(), body.as_bytes()).await
}

#[tokio::test]
async fn an_id_comes_back_as_it_was_written() {
    let ids = [
        "1",
        "-7",
        "1.50",
        "1e400",
        "123456789012345678901234567890",
        "null",
        "true",
        "\"\"",
        "\"a\\u0041\\n\\\"\\/\"",
        "\"é\"",
        "[1, 2]",
        "{ \"a\" : 1 }",
    ];
    for id in ids {
        let body = format!(r#"{{"jsonrpc":"2.0","id": {id} ,"method":"eth_chainId","params":[]}}"#);
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"eth_chainId"}}"#);
        assert_eq!(ask(&body).await.0, Some(answer));
        let (batch, _) = ask(&format!("[{body},{body}]")).await;
        assert_eq!(batch.unwrap().matches(&format!("\"id\":{id},")).count(), 2);
    }
}

#[tokio::test]
async fn a_request_is_spelled_as_alloy_spells_it() {
    let body = r#" { "params" : ["0x10", false], "id":"x", "extra":1, "method":"eth_getBlock\u0042yNumber", "jsonrpc":"2.0" } "#;
    let (_, asked) = ask(body).await;
    let spelled =
        r#"{"method":"eth_getBlockByNumber","params":["0x10", false],"id":0,"jsonrpc":"2.0"}"#;
    assert_eq!(asked, [spelled]);
    let (_, asked) = ask(r#"{"jsonrpc":"2.0","id":1,"method":"x_y"}"#).await;
    assert_eq!(asked, [r#"{"method":"x_y","id":0,"jsonrpc":"2.0"}"#]);
}

#[tokio::test]
async fn a_notification_is_asked_and_not_answered() {
    let body = r#"{"jsonrpc":"2.0","method":"eth_chainId"}"#;
    let (answer, asked) = ask(body).await;
    assert_eq!((answer, asked.len()), (None, 1));
    let other = body.replace("chainId", "gasPrice");
    let (answer, asked) = ask(&format!("[{body},{other}]")).await;
    assert_eq!((answer, asked.len()), (None, 2));
    let bad = r#"{"jsonrpc":"2.0","method":"eth_subscribe","params":["newHeads"]}"#;
    assert_eq!(ask(bad).await, (None, vec![]));
}

#[tokio::test]
async fn a_batch_is_answered_in_its_order_whatever_its_members_are() {
    let body = r#"[
        {"jsonrpc":"2.0","id":7,"method":"eth_chainId"},
        {"jsonrpc":"2.0","method":"net_version"},
        5,
        {"jsonrpc":"2.0","id":7,"method":"eth_gasPrice"},
        {"jsonrpc":"2.0","id":8,"method":"eth_subscribe"},
        {"jsonrpc":"1.0","id":9,"method":"eth_gasPrice"},
        {"jsonrpc":"2.0","id":"r","method":"eth_call","params":[]}
    ]"#;
    let (answer, asked) = ask(body).await;
    assert_eq!(asked.len(), 4);
    let answer: serde_json::Value = serde_json::from_str(&answer.unwrap()).unwrap();
    let told = answer.as_array().unwrap().iter().map(|one| {
        let what = one.get("result").unwrap_or(&one["error"]["code"]);
        format!("{} {what}", one["id"])
    });
    let told: Vec<_> = told.collect();
    let chain_id = "7 \"eth_chainId\"";
    let gas = "7 \"eth_gasPrice\"";
    assert_eq!(told, [chain_id, "null -32600", gas, "8 -32601", "9 -32600", "\"r\" 3"]);
    assert_eq!(answer[5]["error"]["data"], "0x08c379a0");
}

#[tokio::test]
async fn what_is_no_json_is_a_parse_error_and_what_is_no_call_an_invalid_request() {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"a"}"#;
    for body in ["", "{", "[", "{]", "nul", r#"[{"jsonrpc":"2.0"},"#, "{\"method\":1,", "\u{7f}"] {
        let (answer, asked) = ask(body).await;
        let answer = answer.unwrap();
        assert!(
            answer.starts_with(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"#),
            "{body}"
        );
        assert!(asked.is_empty());
    }
    let trailing = format!("{call} x");
    let twice = r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#;
    assert!(ask(&trailing).await.0.unwrap().contains("-32700"));
    assert!(ask_by(RpcServer::new(), b"\"\xff\"").await.0.unwrap().contains("-32700"));
    for body in ["5", "\"a\"", "null", "[]", "{}", "[[]]", twice] {
        assert!(ask(body).await.0.unwrap().contains("-32600"), "{body}");
    }
    for (field, value) in
        [("jsonrpc", "2"), ("method", "5"), ("params", "\"a\""), ("method", "null")]
    {
        let mut call: serde_json::Value =
            serde_json::from_str(r#"{"jsonrpc":"2.0","id":"me","method":"a","params":[]}"#)
                .unwrap();
        call[field] = serde_json::from_str(value).unwrap();
        let answer = ask(&call.to_string()).await.0.unwrap();
        assert!(
            answer.starts_with(r#"{"jsonrpc":"2.0","id":"me","error":{"code":-32600,"#),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_batch_or_a_body_beyond_the_limits_is_not_asked() {
    let server = RpcServer::new().with_max_batch(3).with_max_depth(4);
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[]}"#;
    let three = format!("[{}]", [call; 3].join(","));
    assert_eq!(ask_by(server, three.as_bytes()).await.1.len(), 3);
    let four = format!("[{}]", [call; 4].join(","));
    let (answer, asked) = ask_by(server, four.as_bytes()).await;
    assert!(answer.unwrap().contains("-32600") && asked.is_empty());
    for (params, is_asked) in
        [("[[[]]]", true), ("[[[[]]]]", false), (r#"["[[[[[", "\"{{{{{"]"#, true)]
    {
        let body = call.replace("[]", params);
        assert_eq!(!ask_by(server, body.as_bytes()).await.1.is_empty(), is_asked, "{params}");
    }
    let deep = "[".repeat(1 << 20);
    assert!(ask(&deep).await.0.unwrap().contains("-32600"));
}

#[tokio::test]
async fn without_an_answer_every_member_says_so() {
    let body = br#"[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","id":2,"method":"b"}]"#;
    let nobody = service_fn(|_: RequestPacket| {
        ready(Err::<ResponsePacket, _>(NoEndpoint::Empty.into_transport_error()))
    });
    let answer = RpcServer::new().answer(nobody, body).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    for (index, id) in [(0, 1), (1, 2)] {
        assert_eq!(answer[index]["id"], id);
        assert_eq!(answer[index]["error"]["code"], -32603);
        assert_eq!(answer[index]["error"]["message"], "All providers are currently unavailable");
    }
    let refused = service_fn(|_: RequestPacket| {
        let payload = ErrorPayload { code: -32005, message: "slow down".into(), data: None };
        let payload = ResponsePayload::Failure(payload);
        ready(Ok::<_, TransportError>(ResponsePacket::Single(Response { id: Id::None, payload })))
    });
    let answer = RpcServer::new().answer(refused, body).await.unwrap();
    assert_eq!(String::from_utf8(answer).unwrap().matches("slow down").count(), 2);
    let empty = service_fn(|_: RequestPacket| {
        ready(Ok::<_, TransportError>(ResponsePacket::Batch(vec![])))
    });
    let answer = RpcServer::new().answer(empty, body).await.unwrap();
    assert_eq!(String::from_utf8(answer).unwrap().matches("did not answer").count(), 2);
    let secret = service_fn(|_: RequestPacket| {
        ready(Err::<ResponsePacket, _>(TransportErrorKind::http_error(503, "KEY".into())))
    });
    let answer = RpcServer::new().answer(secret, &body[1..38]).await.unwrap();
    assert!(!String::from_utf8(answer).unwrap().contains("KEY"));
}

#[tokio::test(start_paused = true)]
async fn a_response_has_the_status_of_its_body() {
    let nobody = service_fn(|_: RequestPacket| {
        ready(Err::<ResponsePacket, _>(TransportErrorKind::backend_gone()))
    });
    let respond =
        |server: RpcServer, body: &'static str| server.respond(nobody, Full::<Bytes>::from(body));
    let read = async |response: http::Response<Full<Bytes>>| {
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    let call = r#"{"jsonrpc":"2.0","id":7,"method":"eth_chainId"}"#;
    let (status, text) = read(respond(RpcServer::new(), call).await).await;
    assert!(status == 200 && text.contains("\"id\":7,\"error\""), "{status} {text}");
    let (status, text) = read(respond(RpcServer::new(), "{").await).await;
    assert!(status == 200 && text.contains("-32700"), "{status} {text}");
    let notification = r#"{"jsonrpc":"2.0","method":"eth_chainId"}"#;
    assert_eq!(read(respond(RpcServer::new(), notification).await).await, (204, String::new()));
    let (status, text) = read(respond(RpcServer::new().with_max_body(10), call).await).await;
    assert!(status == 413 && text.contains("too large"), "{status} {text}");

    let never = StreamBody::new(pending::<Result<Frame<Bytes>, Infallible>>());
    let server = RpcServer::new().with_read_timeout(Duration::from_secs(5));
    let begun = Instant::now();
    let (status, text) = read(server.respond(nobody, never).await).await;
    assert!(status == 408 && text.contains("did not arrive"), "{status} {text}");
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
}

#[tokio::test]
async fn equal_reads_of_a_batch_are_asked_once_and_other_calls_as_often_as_they_stand_there() {
    let call = |id: u64, method: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":["0x1"]}}"#)
    };
    let methods = ["eth_getCode", "eth_newFilter", "eth_getCode", "eth_newFilter", "eth_getCode"];
    let calls: Vec<_> = methods.iter().zip(1..).map(|(method, id)| call(id, method)).collect();
    let (answer, asked) = ask(&format!("[{}]", calls.join(","))).await;
    assert_eq!(asked.len(), 3, "{asked:?}");
    let answer: Vec<serde_json::Value> = serde_json::from_str(&answer.unwrap()).unwrap();
    for ((answer, method), id) in answer.iter().zip(methods).zip(1..) {
        assert_eq!((&answer["id"], &answer["result"]), (&json!(id), &json!(method)));
    }
}

#[tokio::test]
async fn the_answers_to_a_batch_are_bounded() {
    let call = |id| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"eth_getCode"}}"#);
    let body = format!("[{}]", (0..1000).map(call).collect::<Vec<_>>().join(","));
    let server = RpcServer::new().with_max_answer(1000);
    let (answer, asked) = ask_by(server, body.as_bytes()).await;
    let answer: Vec<serde_json::Value> = serde_json::from_str(&answer.unwrap()).unwrap();
    let given = answer.iter().take_while(|answer| answer["result"] == "eth_getCode").count();
    assert!((10..30).contains(&given) && asked.len() == 1, "{given} {asked:?}");
    assert!(answer[given..].iter().all(|answer| answer["error"]["code"] == -32003));
    assert_eq!(answer.len(), 1000);
}

#[tokio::test]
async fn what_the_client_did_is_not_put_down_to_the_providers() {
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"eth_getLogs"}"#;
    for (fault, code) in [
        (Fault::RangeTooLarge, -32005),
        (Fault::InvalidRequest, -32602),
        (Fault::TxRejected, -32000),
    ] {
        let failed = move |_: RequestPacket| {
            let error = EndpointFailure::new("a".into(), fault, "ask for less".into());
            let error = error.into_transport_error();
            ready(Err::<ResponsePacket, _>(error))
        };
        let answer = RpcServer::new().answer(service_fn(failed), body).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["error"]["code"], code, "{answer}");
        let text = answer["error"]["message"].as_str().unwrap();
        assert!(!text.contains("unavailable") && answer["error"]["data"].is_null(), "{answer}");
    }
}
