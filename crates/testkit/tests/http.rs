//! Disruptions over real HTTP on loopback.

use alclad_testkit::{
    Disruption, ErrorObject, HttpAnswer, RetryAfter, SimChain, SimNode, SimServer,
};
use alloy::{
    network::{EthereumWallet, TransactionBuilder},
    primitives::U256,
    providers::{Provider, ProviderBuilder},
    rpc::types::TransactionRequest,
    signers::local::PrivateKeySigner,
};
use serde_json::{Value, json};
use std::{
    error::Error as _,
    io,
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

async fn serve() -> (SimNode, SimServer) {
    let chain = SimChain::new(31);
    chain.mine(20);
    let node = SimNode::new(&chain);
    let server = node.serve_http().await;
    (node, server)
}

async fn post(server: &SimServer, body: impl ToString) -> reqwest::Result<reqwest::Response> {
    // A client of its own: no connection is left over from the call before.
    reqwest::Client::new().post(server.url()).body(body.to_string()).send().await
}

async fn text(server: &SimServer, body: impl ToString) -> String {
    post(server, body).await.unwrap().text().await.unwrap()
}

async fn value(server: &SimServer, body: Value) -> Value {
    serde_json::from_str(&text(server, body).await).unwrap()
}

fn call() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": [] })
}

fn calls() -> Value {
    let call = |id| json!({ "jsonrpc": "2.0", "id": id, "method": "eth_chainId" });
    json!([call(1), call(2), call(3)])
}

/// The kind of the I/O error at the bottom of a failed request.
fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        source = error.source();
    }
    None
}

#[tokio::test]
async fn single_calls_and_batches_are_answered_in_their_shape() {
    let (node, server) = serve().await;
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": "0x1" });
    assert_eq!(value(&server, call()).await, answer);
    assert_eq!(value(&server, json!([call()])).await, json!([answer]));
    assert_eq!(value(&server, calls()).await.as_array().unwrap().len(), 3);
    assert_eq!((node.calls("eth_chainId"), node.packets()), (5, 3));
    assert_eq!(value(&server, json!([])).await["error"]["code"], -32600);
    assert_eq!(value(&server, json!([1])).await["error"]["code"], -32600);
    let garbage: Value = serde_json::from_str(&text(&server, "{\"id\":").await).unwrap();
    assert_eq!((&garbage["error"]["code"], &garbage["id"]), (&json!(-32700), &Value::Null));
    let get = reqwest::get(server.url()).await.unwrap();
    assert_eq!(get.status(), 405);
}

#[tokio::test]
async fn ids_come_back_as_they_were_written() {
    let (_node, server) = serve().await;
    for id in [json!("one"), json!(7), json!(-1), json!(1.5), Value::Null] {
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": "eth_chainId", "params": [] });
        assert_eq!(value(&server, call).await["id"], id);
    }
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_call() {
    let (_node, server) = serve().await;
    let client = reqwest::Client::new();
    for _ in 0..5 {
        let response = client.post(server.url()).body(call().to_string()).send().await.unwrap();
        response.bytes().await.unwrap();
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_dead_node_refuses_and_comes_back_on_the_same_port() {
    let (node, server) = serve().await;
    let kept = reqwest::Client::new();
    let send = || kept.post(server.url()).body(call().to_string()).send();
    send().await.unwrap().bytes().await.unwrap();
    for _ in 0..3 {
        node.set(Disruption::Dead);
        server.settled().await;
        for error in [send().await.unwrap_err(), post(&server, call()).await.unwrap_err()] {
            assert!(error.is_connect(), "{error:?}");
            assert_eq!(io_kind(&error), Some(io::ErrorKind::ConnectionRefused));
        }
        node.clear();
        server.settled().await;
        assert_eq!(send().await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_node_dies_midway_with_all_its_connections() {
    let (node, server) = serve().await;
    node.set(Disruption::Dead.after(2));
    for _ in 0..2 {
        assert_eq!(post(&server, call()).await.unwrap().status(), 200);
    }
    assert!(post(&server, call()).await.is_err());
    server.settled().await;
    assert!(post(&server, call()).await.unwrap_err().is_connect());
    assert_eq!(node.total_calls(), 2);
}

#[tokio::test]
async fn a_black_hole_reads_and_says_nothing() {
    let (node, server) = serve().await;
    node.set(Disruption::BlackHole);
    assert!(timeout(Duration::from_millis(200), post(&server, call())).await.is_err());
    assert_eq!((node.calls("eth_chainId"), node.answered()), (1, 0));
    // The client is gone, so the call is too.
    timeout(Duration::from_secs(5), async {
        while node.in_flight() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_reset_breaks_off_in_the_middle_of_the_body() {
    let (node, server) = serve().await;
    node.set(Disruption::Reset);
    let response = post(&server, call()).await.unwrap();
    assert_eq!(response.status(), 200);
    let error = response.bytes().await.unwrap_err();
    assert_eq!(io_kind(&error), Some(io::ErrorKind::ConnectionReset), "{error:?}");
}

#[tokio::test]
async fn a_lost_answer_closes_the_connection_after_the_call_was_executed() {
    let (node, server) = serve().await;
    let provider = ProviderBuilder::new()
        .wallet(EthereumWallet::from(PrivateKeySigner::random()))
        .connect_http(server.url());
    node.set(Disruption::LoseAnswer.on("eth_sendRawTransaction").times(1));
    let request = TransactionRequest::default()
        .with_to(node.chain().accounts()[0])
        .with_value(U256::from(1))
        .with_nonce(0);
    assert!(provider.send_transaction(request.clone()).await.is_err());
    let sent = node.chain().pending();
    let again = provider.send_transaction(request).await.unwrap_err();
    assert_eq!(again.as_error_resp().unwrap().message, "already known");
    node.chain().mine(2);
    assert_eq!((sent.len(), node.chain().inclusions(sent[0])), (1, 1));
}

#[tokio::test]
async fn a_status_comes_with_its_body_and_its_hint() {
    let (node, server) = serve().await;
    node.set(Disruption::Http(HttpAnswer::new(502).with_body("upstream is down")));
    let response = post(&server, call()).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers().get("retry-after")), (502, None));
    assert_eq!(response.text().await.unwrap(), "upstream is down");

    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    for (hint, header) in [
        (RetryAfter::Seconds(3), "3"),
        (RetryAfter::Date(date), "Sun, 06 Nov 1994 08:49:37 GMT"),
        (RetryAfter::Text("soon".to_owned()), "soon"),
    ] {
        node.set(Disruption::too_many_requests(Some(hint)));
        let response = post(&server, call()).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (429, &header.parse().unwrap())
        );
    }
    let limited = ErrorObject::new(-32005, "rate limited").with_data(json!({ "rate": 1 }));
    node.set(Disruption::Http(HttpAnswer::new(429).with_rpc_error(limited)));
    let response = post(&server, calls()).await.unwrap();
    assert_eq!(response.status(), 429);
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let error = json!({ "code": -32005, "message": "rate limited", "data": { "rate": 1 } });
    assert_eq!((&body[2]["id"], &body[2]["error"]), (&json!(3), &error));
}

#[tokio::test]
async fn bodies_are_html_cut_short_or_endless() {
    let (node, server) = serve().await;
    node.set(Disruption::Html);
    let response = post(&server, call()).await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["content-type"]),
        (reqwest::StatusCode::OK, &"text/html".parse().unwrap())
    );
    node.set(Disruption::TruncatedJson);
    let body = text(&server, call()).await;
    assert!(body.starts_with(r#"{"jsonrpc""#) && serde_json::from_str::<Value>(&body).is_err());
    node.set(Disruption::EndlessBody);
    let mut response = post(&server, call()).await.unwrap();
    let mut read = 0;
    while read < 256 * 1024 {
        read += response.chunk().await.unwrap().expect("it never ends").len();
    }
}

#[tokio::test]
async fn members_are_missing_doubled_shuffled_or_foreign() {
    let (node, server) = serve().await;
    let ids = |body: Value| -> Vec<u64> {
        body.as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect()
    };
    node.set(Disruption::MissingMembers);
    assert!(ids(value(&server, calls()).await).len() < 3);
    node.set(Disruption::DuplicatedMembers);
    assert_eq!(ids(value(&server, calls()).await).len(), 4);
    node.set(Disruption::ReorderedMembers);
    assert_ne!(ids(value(&server, calls()).await), [1, 2, 3]);
    node.set(Disruption::ForeignIds);
    assert!(ids(value(&server, calls()).await).iter().all(|id| *id > 3));
    assert_ne!(value(&server, call()).await["id"], 1);
}

#[tokio::test]
async fn errors_nulls_lag_and_another_chain_arrive_in_a_200() {
    let (node, server) = serve().await;
    let provider = ProviderBuilder::new().connect_http(server.url());
    node.set(Disruption::rpc_error(-32005, "limit exceeded").on("eth_gasPrice"));
    let error = provider.get_gas_price().await.unwrap_err();
    assert_eq!(error.as_error_resp().unwrap().code, -32005);
    node.set(Disruption::NullReceipts);
    assert!(provider.get_block_receipts(20.into()).await.unwrap().is_none());
    node.set(Disruption::WrongChain(node.chain().twin(5)));
    assert_eq!(provider.get_chain_id().await.unwrap(), 5);
    node.clear();
    node.set_lag(6);
    assert_eq!(provider.get_block_number().await.unwrap(), 14);
}

#[tokio::test]
async fn slow_calls_do_not_hold_up_others() {
    let (node, server) = serve().await;
    node.set(Disruption::SlowBy(Duration::from_secs(600)).on("eth_call"));
    let slow = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [{}] });
    let client = reqwest::Client::new();
    let send = |body: String| client.post(server.url()).body(body).send();
    let waiting = tokio::spawn(send(slow.to_string()));
    for _ in 0..10 {
        assert_eq!(send(call().to_string()).await.unwrap().status(), 200);
    }
    waiting.abort();
}

#[tokio::test]
async fn dropping_the_server_closes_the_listener_and_its_connections() {
    let (_node, server) = serve().await;
    let address = server.address();
    let mut open = TcpStream::connect(address).await.unwrap();
    open.write_all(b"POST / HTTP/1.1\r\n").await.unwrap();
    drop(server);
    let end = timeout(Duration::from_secs(5), open.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)));
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    TcpListener::bind(address).await.expect("nobody holds the port");
}

#[tokio::test]
async fn two_servers_of_one_node_share_its_counters_and_stop_alone() {
    let (node, first) = serve().await;
    let second = node.serve_http().await;
    post(&first, call()).await.unwrap();
    post(&second, call()).await.unwrap();
    assert_eq!(node.total_calls(), 2);
    first.stop().await;
    assert_eq!(post(&second, call()).await.unwrap().status(), 200);
}
