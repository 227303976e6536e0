//! A small HTTP server that does what a test tells it, and a way to ask it.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use alclad_core::{Fault, Notes, Outcome, classify_with, note};
use alclad_http::HttpTransport;
use alloy_json_rpc::{Id, Request, RequestPacket, Response, ResponsePacket, SerializedRequest};
use alloy_transport::TransportError;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tower::Service;

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Sends these bytes and waits for the next request.
    Send(Vec<u8>),
    /// Sends these bytes and closes.
    SendAndClose(Vec<u8>),
    /// Sends the first, then the second for ever.
    SendForEver(Vec<u8>, Vec<u8>),
    /// Sends these bytes and then nothing more.
    SendAndHang(Vec<u8>),
    /// Resets the connection.
    Reset,
}

impl Act {
    pub(crate) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Self {
        Self::Send(http(status, headers, body.as_ref()))
    }

    pub(crate) fn json(body: impl AsRef<[u8]>) -> Self {
        Self::answer("200 OK", "", body)
    }
}

pub(crate) fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
    bytes_sent: AtomicUsize,
}

pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn new(act: Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                shared.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(socket, act.clone(), Arc::clone(&shared)));
            }
        });
        Self { address, seen, task }
    }

    pub(crate) fn url(&self, userinfo: &str, rest: &str) -> String {
        format!("http://{userinfo}{}{rest}", self.address)
    }

    pub(crate) fn transport(&self) -> HttpTransport {
        HttpTransport::parse("it", &self.url("", "")).unwrap()
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_sent(&self) -> usize {
        self.seen.bytes_sent.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut socket: TcpStream, act: Act, seen: Arc<Seen>) -> io::Result<()> {
    loop {
        let request = read_request(&mut socket).await?;
        seen.requests.lock().unwrap().push(request);
        match &act {
            Act::Send(bytes) => socket.write_all(bytes).await?,
            Act::SendAndClose(bytes) => return socket.write_all(bytes).await,
            Act::SendForEver(first, again) => {
                socket.write_all(first).await?;
                loop {
                    socket.write_all(again).await?;
                    seen.bytes_sent.fetch_add(again.len(), Ordering::Relaxed);
                }
            }
            Act::SendAndHang(bytes) => {
                socket.write_all(bytes).await?;
                std::future::pending::<()>().await;
            }
            Act::Reset => return socket.set_zero_linger(),
        }
    }
}

async fn read_request(socket: &mut TcpStream) -> io::Result<String> {
    let mut request = Vec::new();
    loop {
        if socket.read_buf(&mut request).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return Ok(text.into_owned());
        }
    }
}

pub(crate) fn request(method: &str, id: u64) -> SerializedRequest {
    Request::new(method.to_owned(), Id::Number(id), ()).serialize().unwrap()
}

pub(crate) fn single(method: &str) -> RequestPacket {
    request(method, 1).into()
}

/// Asks, with somebody listening to the notes.
pub(crate) async fn ask(
    transport: &HttpTransport,
    packet: RequestPacket,
) -> (Result<ResponsePacket, TransportError>, Notes) {
    note::capture(transport.clone().call(packet)).await
}

/// Asks one thing, and says in which fault that ended.
pub(crate) async fn fault(transport: &HttpTransport, method: &str) -> Fault {
    let (answer, notes) = ask(transport, single(method)).await;
    match answer {
        Ok(packet) => fault_of(&packet.responses()[0], method, &notes),
        Err(error) => Fault::of_error(method, &error),
    }
}

/// How the layers judge this answer.
pub(crate) fn fault_of(answer: &Response, method: &str, notes: &Notes) -> Fault {
    match classify_with(method, answer, notes.of(&answer.id).http(), None) {
        Outcome::Fault(fault) => fault,
        _ => panic!("expected a fault: {answer:?}"),
    }
}
