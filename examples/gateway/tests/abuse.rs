//! Clients that send garbage harm no other client, and grow no memory.
//!
//! It takes eight seconds, or as many as the variable `ABUSE_SECONDS` says.
#![cfg(target_os = "linux")]

mod support;

use alclad_testkit::{SimChain, SimNode};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use support::{PASSWORD, config, process::Program};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// What the memory may grow by, besides a quarter: buffers of bodies that are on their way.
const SLACK: u64 = 48 << 20;

struct Abuse {
    public: String,
    admin: String,
    until: Instant,
    rng: fastrand::Rng,
    /// How often something was sent.
    sent: Arc<AtomicU64>,
}

impl Abuse {
    fn goes_on(&self) -> bool {
        self.sent.fetch_add(1, Relaxed);
        Instant::now() < self.until
    }

    /// Sends these bytes, and reads what comes until nothing comes any more.
    async fn send(address: &str, bytes: &[u8]) {
        let talk = async {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(bytes).await?;
            stream.read_to_end(&mut Vec::new()).await
        };
        let _ = timeout(Duration::from_secs(5), talk).await;
    }

    async fn post(&self, body: &[u8]) {
        let length = body.len();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        Self::send(&self.public, &[head.as_bytes(), body].concat()).await;
    }

    /// Calls, cut, spoiled and nested.
    async fn broken_json(mut self) {
        let call =
            br#"{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["0x5",false]}"#;
        while self.goes_on() {
            let mut body = call[..self.rng.usize(..call.len())].to_vec();
            for _ in 0..self.rng.usize(..4) {
                let at = self.rng.usize(..=body.len());
                body.insert(at, self.rng.u8(..));
            }
            self.post(&body).await;
            self.post("[".repeat(100_000).as_bytes()).await;
            self.post(&call.repeat(2)).await;
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn large_bodies(self) {
        let large = vec![b' '; 10 << 20];
        // Just allowed, of which nothing can be made.
        let members = format!("[{}1]", "1,".repeat(2 << 20)).into_bytes();
        while self.goes_on() {
            self.post(&large).await;
            self.post(&members).await;
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn large_batches(self) {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
        let batch = format!("[{}]", vec![call; 10_000].join(","));
        while self.goes_on() {
            self.post(batch.as_bytes()).await;
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// A header a byte at a time, or a body that never comes.
    async fn slow_headers(self) {
        let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n";
        while self.goes_on() {
            let Ok(mut stream) = TcpStream::connect(&self.public).await else { continue };
            for byte in head {
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    async fn wrong_words(mut self) {
        while self.goes_on() {
            let password = "eDp5".repeat(self.rng.usize(1..2000));
            let head = format!(
                "GET /admin/providers HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Basic {password}\r\n\r\n"
            );
            Self::send(&self.admin, head.as_bytes()).await;
            Self::send(&self.public, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await;
            Self::send(&self.public, b"BREW / HTTP/9.9\r\n\r\n").await;
            Self::send(
                &self.public,
                b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            )
            .await;
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A client that means well: how many of its calls were answered, of how many.
async fn use_well(public: String, until: Instant) -> (u64, u64) {
    let http = Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let url = format!("http://{public}/");
    let (mut answered, mut asked) = (0, 0);
    while Instant::now() < until {
        let block = format!("0x{:x}", asked % 90);
        for (method, params) in [
            ("eth_getBlockByNumber", format!("[\"{block}\",false]")),
            ("eth_gasPrice", "[]".to_owned()),
        ] {
            asked += 1;
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":{asked},"method":"{method}","params":{params}}}"#
            );
            let answer = async {
                let body = http.post(&url).body(body).send().await.ok()?.bytes().await.ok()?;
                serde_json::from_slice(&body).ok()
            };
            let is_good = |answer: Value| answer["id"] == asked && !answer["result"].is_null();
            answered += u64::from(answer.await.is_some_and(is_good));
        }
        sleep(Duration::from_millis(2)).await;
    }
    (answered, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_harms_no_other_client_and_grows_no_memory() {
    let seconds = std::env::var("ABUSE_SECONDS").map_or(8, |text| text.parse().expect("seconds"));
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let chain = SimChain::new(7);
    chain.mine(100);
    let servers =
        [SimNode::new(&chain).serve_http().await, SimNode::new(&chain).serve_http().await];
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config("read_timeout_ms = 2000", &servers)).unwrap();
    let program = Program::start(file.path(), PASSWORD).await;
    let begun = Instant::now();
    let until = begun + Duration::from_secs(seconds);
    let (mut abuses, mut rng) = (JoinSet::new(), fastrand::Rng::with_seed(seed));
    let kinds: [Arc<AtomicU64>; 5] = Default::default();
    let mut abuse = |kind: usize| Abuse {
        public: program.public.clone(),
        admin: program.admin.clone(),
        until,
        rng: rng.fork(),
        sent: Arc::clone(&kinds[kind]),
    };
    abuses.spawn(abuse(0).broken_json());
    abuses.spawn(abuse(1).large_bodies());
    abuses.spawn(abuse(2).large_batches());
    (0..100).for_each(|_| drop(abuses.spawn(abuse(3).slow_headers())));
    abuses.spawn(abuse(4).wrong_words());
    let clients = [(); 2].map(|()| tokio::spawn(use_well(program.public.clone(), until)));
    sleep(Duration::from_secs(seconds) / 2).await;
    let warm = program.resident();
    for client in clients {
        let (answered, asked) = client.await.unwrap();
        println!("{answered} of {asked} calls answered");
        assert!(asked > 10 && answered == asked);
    }
    let end = program.resident();
    println!("resident: {} MB at half time, {} MB at the end", warm >> 20, end >> 20);
    assert!(end < warm + warm / 4 + SLACK, "it grew from {warm} to {end} bytes");
    abuses.join_all().await;
    let sent = kinds.map(|kind| kind.load(Relaxed));
    println!("sent {sent:?}");
    assert!(sent.iter().all(|sent| *sent > 1), "{sent:?}");
    let health = reqwest::get(format!("http://{}/health", program.public)).await.unwrap();
    assert_eq!(health.status(), StatusCode::OK);
}
