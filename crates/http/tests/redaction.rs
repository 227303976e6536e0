//! Keys are planted wherever a key can be, the endpoint repeats them, and they are looked for in
//! everything that leaves the transport: errors, error members, `Debug`, every span and event.
#![cfg(all(feature = "rustls", target_os = "linux"))]

#[path = "support/h2_server.rs"]
mod h2_server;
mod support;

use alclad_http::HttpTransport;
use alloy_json_rpc::RequestPacket;
use h2_server::serve_h2;
use http::header::{AUTHORIZATION, HeaderValue};
use std::{
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};
use support::{Act, Server, ask, request};
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};

/// Where the parent put the certificate that the child trusts.
const CERTIFICATE: &str = "ALCLAD_HTTP_TEST_CERTIFICATE";
const USERINFO: &str = "planted-user:planted-password@";
/// `planted-user:planted-password` in base64, without what depends on its end.
const BASIC: &str = "cGxhbnRlZC11c2VyOnBsYW50ZWQtcGFzc3dvcm";
const REST: &str = "/v3/planted-path-1/planted%2Fpath-2?apikey=planted-value&planted-bare-key";
const REPEATED: &str = "planted-user planted-password planted-path-1 planted%2Fpath-2 planted/path-2 \
    PLANTED\\/PATH-2 planted-value planted-bare-key planted-header planted-token planted-of-packet \
    cGxhbnRlZC11c2VyOnBsYW50ZWQtcGFzc3dvcmQ=";

/// The roots that a client trusts come from the environment, and only a child's can be set.
#[test]
fn no_planted_key_leaves_the_transport() {
    if let Some(directory) = env::var_os(CERTIFICATE) {
        return leave_no_key(Path::new(&directory));
    }
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let signed = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
    fs::write(directory.join("certificate.pem"), signed.cert.pem()).unwrap();
    fs::write(directory.join("key.pem"), signed.signing_key.serialize_pem()).unwrap();
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "no_planted_key_leaves_the_transport", "--nocapture"])
        .env("SSL_CERT_FILE", directory.join("certificate.pem"))
        .env(CERTIFICATE, &directory)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{output}\n{}", String::from_utf8_lossy(&child.stderr));
}

#[tokio::main(flavor = "current_thread")]
async fn leave_no_key(directory: &Path) {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(log.clone())
        .init();

    let mut seen = vec![bad_urls()];
    for act in acts() {
        let server = Server::new(act).await;
        seen.push(everything_of(&planted(&server.url(USERINFO, REST))).await);
    }
    let h2 = serve_h2(directory, format!("<p>{REPEATED}</p>")).await;
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{USERINFO}{host}:{}{REST}", h2.port());
        seen.push(everything_of(&planted(&url)).await);
    }
    let gone = format!("http://{USERINFO}127.0.0.1:1{REST}");
    seen.push(everything_of(&planted(&gone)).await);

    let [.., h2_answer, wrong_name, refused] = &seen[..] else { unreachable!() };
    assert!(h2_answer.contains("HTTP error 418"), "{h2_answer}");
    assert!(wrong_name.contains("certificate"), "{wrong_name}");
    assert!(refused.contains("refused"), "{refused}");
    let log = log.take();
    for source in ["h2::", "hyper_util::", "reqwest::", "rustls::", "http{endpoint=it}"] {
        assert!(log.contains(source), "nothing of {source} was logged");
    }
    seen.push(log);
    for text in seen {
        let leak = text.lines().find(|line| is_leak(line));
        assert_eq!(leak, None);
    }
}

fn is_leak(line: &str) -> bool {
    line.to_lowercase().contains("planted") || line.contains(BASIC)
}

fn acts() -> Vec<Act> {
    let quoted = REPEATED.replace('\\', "\\\\");
    let member = format!(
        r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-32000,"message":"bad key {quoted}","data":{{"url":"{quoted}"}}}}}}"#
    );
    let location = format!("location: http://127.0.0.1/{}\r\n", REPEATED.replace(' ', "/"));
    vec![
        Act::json(r#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#),
        Act::json(&member),
        Act::json(format!("[{member}]")),
        Act::json(REPEATED),
        Act::json(format!("\"{quoted}\"")),
        Act::answer("429 Slow", "retry-after: 1\r\n", &member),
        Act::answer("403 Forbidden", "", REPEATED),
        Act::answer("301 Moved", &location, REPEATED),
        Act::SendForEver(b"HTTP/1.1 200 OK\r\n\r\n{".to_vec(), REPEATED.as_bytes().repeat(1000)),
        Act::SendAndClose(REPEATED.into()),
        Act::SendAndHang(Vec::new()),
        Act::Reset,
    ]
}

fn planted(url: &str) -> HttpTransport {
    let token = HeaderValue::from_static("planted-header");
    HttpTransport::parse("it", url)
        .unwrap()
        .with_header("x-api-key".parse().unwrap(), token)
        .with_timeout(Duration::from_millis(500))
        .with_max_body(1 << 20)
}

fn bad_urls() -> String {
    let texts =
        ["planted-key.example.org", "wss://planted-key", "https://a:planted-port/", "http://"];
    let errors = texts.map(|text| HttpTransport::parse("it", text).unwrap_err());
    errors.iter().map(|error| shown(error)).collect()
}

/// All that a user can see of a single call and of a batch, with headers of their own.
async fn everything_of(transport: &HttpTransport) -> String {
    let with_bearer = transport.clone().with_bearer("planted-token").unwrap();
    let mut of_packet = request("eth_call", 1);
    of_packet.headers_mut().insert("x-key", "planted-of-packet".parse().unwrap());
    of_packet.headers_mut().insert(AUTHORIZATION, "Bearer planted-token".parse().unwrap());
    let mut text = format!("{transport:?} {with_bearer:#?}\n");
    for packet in [of_packet.clone().into(), RequestPacket::Batch(vec![of_packet])] {
        match ask(&with_bearer, packet).await.0 {
            Ok(packet) => text += &format!("{packet:?}\n"),
            Err(error) => text += &shown(&error),
        }
    }
    text
}

fn shown(error: &dyn Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}\n");
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!("{error} {error:?}\n");
        cause = error.source();
    }
    text
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn take(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
