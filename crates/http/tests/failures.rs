//! What is said when there is no answer, or none that can be read.

mod support;

use alclad_core::{
    Fault,
    error::{AttemptTimeout, EndpointFailure, cause},
};
use alclad_http::HttpTransport;
use alloy_json_rpc::RpcError;
use alloy_transport::TransportError;
use flate2::{Compression, write::GzEncoder};
use std::{io::Write, time::Duration};
use support::{Act, Server, ask, fault, http, single};
use tokio::time::{Instant, timeout};

const OK: &str = r#"{"jsonrpc":"2.0","id":1,"result":"0x10"}"#;
const SENT: Fault = Fault::Connection { maybe_sent: true };
const NOT_SENT: Fault = Fault::Connection { maybe_sent: false };

async fn error(transport: &HttpTransport) -> TransportError {
    ask(transport, single("eth_blockNumber")).await.0.unwrap_err()
}

#[tokio::test]
async fn what_is_not_json_rpc_is_malformed() {
    for body in ["<html><body>Welcome</body></html>", "", &OK[..20], "{}"] {
        let server = Server::new(Act::json(body)).await;
        let transport = server.transport();
        assert_eq!(fault(&transport, "eth_blockNumber").await, Fault::Malformed, "{body}");
        let RpcError::DeserError { text, .. } = error(&transport).await else { panic!("{body}") };
        assert_eq!(text, body);
    }
}

#[tokio::test]
async fn an_error_shows_the_beginning_of_a_long_body() {
    let page = "<p>no</p>".repeat(10_000);
    for status in ["200 OK", "502 Bad Gateway"] {
        let server = Server::new(Act::answer(status, "", &page)).await;
        let text = error(&server.transport()).await.to_string();
        assert!(text.contains("<p>no</p>") && text.len() < 2000, "{}", text.len());
    }
}

#[tokio::test]
async fn a_broken_connection_may_have_carried_the_request() {
    let half = Act::SendAndClose(http("200 OK", "", OK.as_bytes())[..60].to_vec());
    for act in [Act::Reset, Act::SendAndClose(Vec::new()), half] {
        let server = Server::new(act).await;
        assert_eq!(fault(&server.transport(), "eth_blockNumber").await, SENT);
    }
}

#[tokio::test]
async fn a_refused_connection_has_carried_nothing() {
    let url = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", gone.local_addr().unwrap())
    };
    let transport = HttpTransport::parse("gone", &url).unwrap();
    assert_eq!(fault(&transport, "eth_blockNumber").await, NOT_SENT);
    let error = error(&transport).await.to_string();
    assert!(error.contains("endpoint gone") && error.contains("is the node running"), "{error}");
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_failed_tls_handshake_has_carried_nothing() {
    use tokio::io::AsyncWriteExt;

    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", plain.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = plain.accept().await {
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let transport = HttpTransport::parse("plain", &url).unwrap();
    assert_eq!(fault(&transport, "eth_blockNumber").await, NOT_SENT);
}

#[tokio::test]
async fn a_url_of_something_else_has_carried_nothing() {
    let transport = HttpTransport::new("ws://127.0.0.1:1/".parse().unwrap());
    assert_eq!(fault(&transport, "eth_blockNumber").await, NOT_SENT);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_that_is_not_made_in_time_has_carried_nothing() {
    // A queue of one that nobody empties: the kernel leaves further callers waiting.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let connect = tokio::net::TcpStream::connect(address);
        waiting.push(timeout(Duration::from_millis(100), connect).await);
    }
    let transport = HttpTransport::parse("full", &format!("http://{address}")).unwrap();
    let transport = transport.with_connect_timeout(Duration::from_millis(200));
    assert_eq!(fault(&transport, "eth_blockNumber").await, NOT_SENT);
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let head = http("200 OK", "", OK.as_bytes())[..40].to_vec();
    for act in [Act::SendAndHang(Vec::new()), Act::SendAndHang(head)] {
        let server = Server::new(act).await;
        let transport = server.transport().with_timeout(Duration::from_millis(200));
        assert_eq!(fault(&transport, "eth_blockNumber").await, Fault::Timeout);
        let error = error(&transport).await;
        let timeout = cause::<AttemptTimeout>(&error).unwrap();
        assert_eq!(timeout.after, Some(Duration::from_millis(200)));
        assert_eq!(timeout.endpoint.as_ref(), Some(transport.endpoint()));
    }
}

#[tokio::test]
async fn a_failure_whose_body_never_ends_is_still_that_failure() {
    let head = b"HTTP/1.1 503 Down\r\ncontent-length: 1000\r\n\r\n".to_vec();
    let endless = b"HTTP/1.1 503 Down\r\n\r\n".to_vec();
    let chatter = vec![b' '; 64 << 10];
    for act in [Act::SendAndHang(head), Act::SendForEver(endless, chatter)] {
        let server = Server::new(act).await;
        let transport = server.transport().with_timeout(Duration::from_secs(1));
        assert_eq!(fault(&transport, "eth_blockNumber").await, Fault::ServerError);
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_is_cut_at_the_bound() {
    const BOUND: usize = 1 << 20;
    let head = b"HTTP/1.1 200 OK\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"0x".to_vec();
    for (method, expected) in
        [("eth_getLogs", Fault::RangeTooLarge), ("eth_blockNumber", Fault::Malformed)]
    {
        let server = Server::new(Act::SendForEver(head.clone(), vec![b'0'; 64 << 10])).await;
        let transport = server.transport().with_max_body(BOUND);
        let started = Instant::now();
        assert_eq!(fault(&transport, method).await, expected);
        assert!(started.elapsed() < Duration::from_secs(10));
        // What the server sent and nobody read lies in the kernel's buffers.
        assert!(server.bytes_sent() < BOUND + (16 << 20), "{}", server.bytes_sent());
    }
}

#[tokio::test]
async fn an_answer_that_announces_too_much_is_not_read() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{".to_vec();
    let server = Server::new(Act::SendAndHang(head)).await;
    let error = error(&server.transport()).await;
    let failure = cause::<EndpointFailure>(&error).unwrap();
    assert_eq!(failure.fault, Fault::Malformed);
    assert!(failure.detail.contains("with_max_body"));
}

#[tokio::test]
async fn the_bound_holds_after_decompression() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b'{'; 8 << 20]).unwrap();
    let act = Act::answer("200 OK", "content-encoding: gzip\r\n", bomb.finish().unwrap());
    let server = Server::new(act).await;
    let transport = server.transport().with_max_body(1 << 20);
    assert_eq!(fault(&transport, "debug_traceCall").await, Fault::RangeTooLarge);
}

#[tokio::test]
async fn a_broken_compressed_answer_is_malformed() {
    let server = Server::new(Act::answer("200 OK", "content-encoding: gzip\r\n", "not gzip")).await;
    assert_eq!(fault(&server.transport(), "eth_blockNumber").await, Fault::Malformed);
}
