//! Not one byte of a planted key is shown: not by metrics, not by traces, not by errors, and not by
//! the report; whether the URL has it, a header, the params, or the endpoint's own words.

use alclad::{
    ChainGuardLayer, Endpoint, Fault, HttpTransport, MetricsLayer, RateLimitLayer, Report,
    RetryLayer, Rotation, TimeoutLayer, core::names,
};
use alclad_testkit::{Disruption, ErrorObject, HttpAnswer, SimChain, SimNode, request, single};
use alloy::{
    rpc::json_rpc::{RequestPacket, ResponsePacket},
    transports::TransportError,
};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use std::{
    io,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::{Layer, Service, ServiceExt};
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};
use url::Url;

const KEY: &str = "k3yThatNobodyMaySee";
/// A key that only the endpoint knows, and speaks of. In an error's own words it stays.
const THEIRS: &str = "an0therKeyOfTheirs";
/// As HTTP sends it with a user's name: `user:` and the key, in base64.
const ENCODED: &str = "dXNlcjprM3lUaGF0Tm9ib2R5TWF5U2Vl";
const PARAM: &str = "0xfeedc0ffee5eedf00dfeedc0ffee5eedf00dfeed";

/// All that is written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// With a key in every place where vendors want one.
fn transport(label: &str, url: &Url) -> HttpTransport {
    let mut url = url.clone();
    url.set_path(&format!("/v2/{KEY}"));
    url.set_query(Some(&format!("apikey={KEY}")));
    url.set_username("user").unwrap();
    url.set_password(Some(KEY)).unwrap();
    HttpTransport::named(label, url)
}

/// What an endpoint may do, most of it with the key in its words.
fn disruptions() -> Vec<Disruption> {
    let repeated = format!("invalid api key {KEY}, {THEIRS} at https://rpc.example/v2/{KEY}");
    let object = || ErrorObject::new(-32000, repeated.clone()).with_data(&*repeated);
    vec![
        Disruption::RpcError(object()),
        Disruption::RpcError(ErrorObject::new(3, format!("execution reverted: {THEIRS} {KEY}"))),
        Disruption::Http(HttpAnswer::new(401).with_body(repeated.clone())),
        Disruption::Http(HttpAnswer::new(429).with_rpc_error(object())),
        Disruption::Http(HttpAnswer::new(503).with_body(repeated.clone())),
        Disruption::Http(HttpAnswer::new(200).with_body(repeated)),
        Disruption::Html,
        Disruption::LoseAnswer,
        Disruption::Dead,
        Disruption::BlackHole,
        Disruption::SlowBy(Duration::from_millis(1)),
    ]
}

type Answer = Result<ResponsePacket, TransportError>;

async fn ask(
    service: &(impl Service<RequestPacket, Response = ResponsePacket, Error = TransportError> + Clone),
    method: String,
) -> Answer {
    service.clone().oneshot(single(request(1, method, json!([PARAM])))).await
}

#[tokio::test]
async fn no_planted_key_is_shown_anywhere() {
    let written = Written::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(written.clone())
        .finish();
    let _tracing = tracing::subscriber::set_default(subscriber);
    let recorder = PrometheusBuilder::new().build_recorder();
    let scrape = recorder.handle();
    let _metrics = metrics::set_default_local_recorder(&recorder);

    let chain = SimChain::random();
    let nodes = [(); 2].map(|()| SimNode::new(&chain));
    let servers = [nodes[0].serve_http().await, nodes[1].serve_http().await];
    let report = Report::new();
    let mut rotation = Rotation::builder();
    for (label, server) in ["a", "b"].into_iter().zip(&servers) {
        let endpoint = Endpoint::new(label, transport(label, &server.url()))
            .layer(ChainGuardLayer::expect(chain.chain_id()))
            .layer(RateLimitLayer::per_second(NonZeroU32::new(1000).unwrap()))
            .layer(MetricsLayer::for_endpoint(label).with_report(&report))
            .layer(TimeoutLayer::new(Duration::from_millis(200)));
        rotation = rotation.endpoint(endpoint);
    }
    let rotation = rotation.build();
    let retry = RetryLayer::new().with_budget(rotation.budget()).layer(rotation.clone());
    let service = MetricsLayer::new().with_report(&report).layer(retry);

    let mut said = String::new();
    let mut faults = 0;
    for disruption in disruptions() {
        rotation.reset();
        nodes.iter().for_each(|node| node.set(disruption.clone()));
        for method in
            ["eth_getBalance".to_owned(), "eth_sendRawTransaction".to_owned(), format!("x_{KEY}")]
        {
            let answer = tokio::time::timeout(Duration::from_secs(1), ask(&service, method)).await;
            if let Ok(Err(error)) = answer {
                said += &format!("{error} {error:?}\n");
                faults += usize::from(Fault::of_error("", &error) != Fault::Unknown);
            }
        }
    }
    let seen = scrape.render();
    let snapshot = report.snapshot();
    let json = serde_json::to_string(&snapshot).unwrap();
    let told = format!("{snapshot}\n{snapshot:?}\n{report:?}\n{json}\n");
    let traced = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();

    assert!(faults > 5 && snapshot.recent_errors.len() > 5, "{said}");
    assert!(seen.contains(names::ATTEMPTS) && traced.contains("rpc.attempt"), "{seen}");
    assert!(said.contains(THEIRS) && told.contains("invalid api key .."), "{said}{told}");
    for secret in [KEY, ENCODED, PARAM] {
        assert!(!shows(&said, secret), "errors: {}", around(&said, secret));
    }
    for secret in [KEY, ENCODED, PARAM, THEIRS] {
        for (place, text) in [("metrics", &seen), ("the report", &told), ("traces", &traced)] {
            assert!(!shows(text, secret), "{place}: {}", around(text, secret));
        }
    }
}

fn shows(text: &str, secret: &str) -> bool {
    text.to_lowercase().contains(&secret.to_lowercase())
}

fn around<'a>(text: &'a str, secret: &str) -> &'a str {
    let lower = text.to_lowercase();
    let at = lower.find(&secret.to_lowercase()).unwrap_or_default();
    &text[at.saturating_sub(300)..(at + 60).min(text.len())]
}
