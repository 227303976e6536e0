//! What comes back for an answer, and what is kept of it.

mod support;

use alclad_core::{Fault, Limiter};
use alclad_http::HttpTransport;
use alloy_json_rpc::{Id, RequestPacket, ResponsePacket};
use flate2::{Compression, write::GzEncoder};
use std::{
    io::Write,
    time::{Duration, SystemTime},
};
use support::{Act, Server, ask, fault, fault_of, request, single};

const OK: &str = r#"{"jsonrpc":"2.0","id":1,"result":"0x10"}"#;
const BUSY: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":""}}"#;
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[tokio::test]
async fn status_and_hint_are_kept_beside_a_json_rpc_error() {
    let server = Server::new(Act::answer("429 Slow", "retry-after: 7\r\n", BUSY)).await;
    let transport = server.transport();
    let (answer, notes) = ask(&transport, single("eth_call")).await;
    assert!(answer.unwrap().is_error());
    let note = notes.of(&1.into());
    assert_eq!(note.http_status, Some(429));
    assert_eq!(note.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(note.endpoint.as_ref(), Some(transport.endpoint()));
    let retry_after = Some(Duration::from_secs(7));
    let limited = Fault::RateLimited { retry_after, by: Limiter::Vendor };
    assert_eq!(fault(&transport, "eth_call").await, limited);
}

#[tokio::test]
async fn a_date_is_a_hint_too() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90));
    let server = Server::new(Act::answer("429 Slow", &format!("retry-after: {date}\r\n"), BUSY));
    let (_, notes) = ask(&server.await.transport(), single("eth_call")).await;
    let hint = notes.of(&1.into()).retry_after.unwrap();
    assert!((60..=90).contains(&hint.as_secs()), "{hint:?}");
}

#[tokio::test]
async fn a_hint_of_a_year_is_kept_as_it_is() {
    let act = Act::answer("503 Down", "retry-after: 31536000\r\n", "");
    let (answer, notes) = ask(&Server::new(act).await.transport(), single("eth_call")).await;
    assert_eq!(notes.of(&1.into()).retry_after, Some(YEAR));
    let error = answer.unwrap_err();
    assert_eq!(error.as_transport_err().unwrap().retry_after(), Some(YEAR));
}

#[tokio::test]
async fn a_batch_keeps_all_its_answers() {
    let body = r#"[{"jsonrpc":"2.0","id":2,"error":{"code":3,"message":"execution reverted"}},
        {"jsonrpc":"2.0","id":1,"result":"0x1"}]"#;
    let server = Server::new(Act::json(body)).await;
    let batch = RequestPacket::from_iter([request("eth_chainId", 1), request("eth_call", 2)]);
    let (answer, notes) = ask(&server.transport(), batch).await;
    let ResponsePacket::Batch(answers) = answer.unwrap() else { panic!("expected a batch") };
    assert_eq!(fault_of(&answers[0], "eth_call", &notes), Fault::Reverted);
    assert_eq!(answers[1].payload.as_success().unwrap().get(), "\"0x1\"");
    assert!(server.requests()[0].ends_with("}]"), "a batch is sent as one");
}

#[tokio::test]
async fn nobody_is_asked_for_an_empty_batch() {
    let server = Server::new(Act::json("[]")).await;
    let (answer, _) = ask(&server.transport(), RequestPacket::Batch(Vec::new())).await;
    assert!(matches!(answer, Ok(ResponsePacket::Batch(answers)) if answers.is_empty()));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_compressed_answer_is_read() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(OK.as_bytes()).unwrap();
    let act = Act::answer("200 OK", "content-encoding: gzip\r\n", gzip.finish().unwrap());
    let server = Server::new(act).await;
    let (answer, _) = ask(&server.transport(), single("eth_blockNumber")).await;
    assert!(answer.unwrap().is_success());
    assert!(server.requests()[0].contains("accept-encoding: gzip\r\n"));
}

#[tokio::test]
async fn sends_the_headers_of_url_transport_and_packet() {
    let server = Server::new(Act::json(OK)).await;
    let transport = HttpTransport::parse("it", &server.url("user:pass@", "/rpc")).unwrap();
    let transport = transport.with_header("x-api-key".parse().unwrap(), "a".parse().unwrap());
    let mut one = request("eth_blockNumber", 1);
    one.headers_mut().insert("x-of-packet", "b".parse().unwrap());
    ask(&transport, one.into()).await.0.unwrap();
    let sent = &server.requests()[0];
    for header in [
        "POST /rpc HTTP/1.1\r\n",
        "authorization: Basic dXNlcjpwYXNz\r\n",
        "content-type: application/json\r\n",
        "user-agent: alclad/",
        "x-api-key: a\r\n",
        "x-of-packet: b\r\n",
    ] {
        assert!(sent.contains(header), "{header} is not in {sent}");
    }
}

#[tokio::test]
async fn a_bearer_token_may_end_in_a_newline_and_have_none_inside() {
    let server = Server::new(Act::json(OK)).await;
    let transport = server.transport().with_bearer("t0ken\n").unwrap();
    ask(&transport, single("eth_blockNumber")).await.0.unwrap();
    assert!(server.requests()[0].contains("authorization: Bearer t0ken\r\n"));
    let error = server.transport().with_bearer("t0\nken").unwrap_err();
    assert!(!format!("{error:?} {error}").contains("ken"));
}

#[tokio::test]
async fn an_error_without_an_id_is_one_for_all() {
    let bodies = [
        r#"{"error":{"code":-32005,"message":"rate limit exceeded"}}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"rate limit exceeded"}}"#,
        r#"{"result":null,"error":{"code":-32005,"message":"rate limit exceeded"}}"#,
        r#"{"id":"ray-7","code":-32005,"message":"rate limit exceeded"}"#,
    ];
    for body in bodies {
        for status in ["200 OK", "400 Bad Request"] {
            let server = Server::new(Act::answer(status, "", body)).await;
            let batch = [request("eth_chainId", 1), request("eth_call", 2)].into_iter().collect();
            let (answer, notes) = ask(&server.transport(), batch).await;
            let ResponsePacket::Single(answer) = answer.unwrap() else { panic!("{body}") };
            assert_eq!(answer.id, Id::None, "{status} {body}");
            let fault = fault_of(&answer, "eth_call", &notes);
            assert!(matches!(fault, Fault::RateLimited { .. }), "{status} {body}: {fault}");
        }
    }
}

#[tokio::test]
async fn a_result_beside_a_failed_status_is_no_answer() {
    let server = Server::new(Act::answer("500 Oops", "", OK)).await;
    assert_eq!(fault(&server.transport(), "eth_blockNumber").await, Fault::ServerError);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Server::new(Act::json(OK)).await;
    let location = format!("location: {}\r\n", target.url("", "/"));
    let server = Server::new(Act::answer("307 Elsewhere", &location, "")).await;
    let (answer, _) = ask(&server.transport(), single("eth_blockNumber")).await;
    let error = answer.unwrap_err();
    assert_eq!(error.as_transport_err().unwrap().as_http_error().unwrap().status, 307);
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn a_connection_serves_call_after_call() {
    let server = Server::new(Act::json(OK)).await;
    let transport = server.transport();
    for _ in 0..5 {
        ask(&transport, single("eth_blockNumber")).await.0.unwrap();
    }
    assert_eq!((server.requests().len(), server.connections()), (5, 1));
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_client_of_your_own_is_used() {
    let server = Server::new(Act::json(OK)).await;
    let client = alclad_http::reqwest::Client::builder().tls_certs_only([]);
    let client = client.no_proxy().user_agent("own/1").build().unwrap();
    ask(&server.transport().with_client(client), single("eth_blockNumber")).await.0.unwrap();
    assert!(server.requests()[0].contains("user-agent: own/1\r\n"));
}
