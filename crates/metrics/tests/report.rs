//! What the report says, for how long, and in how much memory.

mod support;

use alclad_core::EndpointId;
use alclad_metrics::{MetricsLayer, Report, Thresholds};
use alclad_testkit::{Disruption, SimChain, SimNode, request, single};
use allocation_counter::measure;
use futures::FutureExt;
use std::time::Duration;
use support::instant;
use tokio::time::{Instant, advance};
use tower::{Layer, ServiceExt};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn is_near(seen: Duration, truth: Duration) -> bool {
    seen.abs_diff(truth) <= truth / 100
}

async fn call(node: &SimNode, report: &Report, method: &'static str, endpoint: Option<&str>) {
    let layer = endpoint.map_or_else(MetricsLayer::new, MetricsLayer::for_endpoint);
    let service = layer.with_report(report).layer(node.transport());
    let _ = service.oneshot(single(request(1, method, ()))).await;
}

#[tokio::test(start_paused = true)]
async fn times_are_told_by_method_and_by_endpoint() {
    let (node, report) = (SimNode::new(&SimChain::new(7)), Report::new());
    for step in 1..=100 {
        node.set(Disruption::SlowBy(ms(10 * step)));
        call(&node, &report, "eth_chainId", None).await;
        call(&node, &report, "eth_gasPrice", Some("own")).await;
    }
    let snapshot = report.snapshot();
    let [method] = &snapshot.methods[..] else { panic!("{snapshot}") };
    let [endpoint] = &snapshot.endpoints[..] else { panic!("{snapshot}") };
    assert_eq!((&*method.name, &*endpoint.name), ("eth_chainId", "own"));
    for line in [method, endpoint] {
        assert_eq!((line.count, line.success, line.errors), (100, 1.0, 0.0));
        assert!(is_near(line.mean, ms(505)) && is_near(line.p50, ms(500)), "{line:?}");
        assert!(is_near(line.p95, ms(950)) && is_near(line.p99, ms(990)), "{line:?}");
        assert_eq!(line.max, ms(1000));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_an_hour_is_gone() {
    let (node, report) = (SimNode::new(&SimChain::new(7)), Report::new());
    node.set(Disruption::http_status(503).times(1));
    call(&node, &report, "eth_chainId", None).await;
    advance(Duration::from_secs(54 * 60)).await;
    call(&node, &report, "eth_chainId", None).await;
    let line = report.snapshot().methods.remove(0);
    assert_eq!((line.count, line.success, line.faults.len()), (2, 0.5, 1));
    advance(Duration::from_secs(6 * 60)).await;
    let line = report.snapshot().methods.remove(0);
    assert_eq!((line.count, line.success, line.faults.len()), (1, 1.0, 0));
    advance(Duration::from_secs(3600)).await;
    assert_eq!(report.snapshot().methods, []);
    assert_eq!(report.to_string(), "nothing was called in the last hour\n");
}

#[tokio::test(start_paused = true)]
async fn faults_are_counted_with_an_example_that_holds_no_secret() {
    let (node, report) = (SimNode::new(&SimChain::new(7)), Report::new());
    node.set(Disruption::rpc_error(-32005, "limit exceeded for key s3cr3t").times(3));
    node.add(Disruption::rpc_error(3, "execution reverted: s3cr3t").after(3));
    for _ in 0..5 {
        call(&node, &report, "eth_call", Some("own")).await;
    }
    let snapshot = report.snapshot();
    let [line] = &snapshot.endpoints[..] else { panic!("{snapshot}") };
    assert_eq!((line.count, line.success, line.errors), (5, 0.4, 0.6));
    let faults: Vec<_> = line.faults.iter().map(|fault| (fault.fault, fault.count)).collect();
    assert_eq!(faults, [("RateLimited", 3), ("Reverted", 2)]);
    let example = line.faults[0].example.as_ref().unwrap();
    assert_eq!((example.code, &*example.text), (Some(-32005), "limit exceeded for key .."));
    let recent: Vec<_> =
        snapshot.recent_errors.iter().map(|error| (error.fault, error.times)).collect();
    assert_eq!(recent, [("Reverted", 2), ("RateLimited", 3)]);
    assert_eq!(snapshot.recent_errors[0].endpoint.as_deref(), Some("own"));
    assert!(!format!("{snapshot} {snapshot:?}").contains("s3cr3t"));
    assert!(!serde_json::to_string(&snapshot).unwrap().contains("s3cr3t"));
}

#[tokio::test(start_paused = true)]
async fn what_stands_out_is_what_the_user_said() {
    let node = SimNode::new(&SimChain::new(7));
    node.set(Disruption::SlowBy(ms(1500)));
    node.add(Disruption::http_status(503).with_share(0.5));
    let (usual, lenient) = (Report::new(), Report::with_thresholds(lenient()));
    for _ in 0..40 {
        call(&node, &usual, "eth_chainId", Some("own")).await;
        call(&node, &lenient, "eth_chainId", Some("own")).await;
    }
    let found: Vec<_> = usual.snapshot().findings.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("endpoint own: only "), "{found:?}");
    assert!(found[1].ends_with(" % failed by its fault"), "{found:?}");
    assert_eq!(found[2], "endpoint own: 1.50 s on average");
    assert_eq!(lenient.snapshot().findings, []);
}

fn lenient() -> Thresholds {
    Thresholds::default().with_success(0.1).with_errors(0.9).with_mean(Duration::from_secs(2))
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_neither_a_success_nor_a_failure() {
    let (node, report) = (SimNode::new(&SimChain::new(7)), Report::new());
    call(&node, &report, "eth_chainId", None).await;
    node.set(Disruption::BlackHole);
    let waits = call(&node, &report, "eth_chainId", None);
    assert!(tokio::time::timeout(ms(10), waits).await.is_err());
    let line = report.snapshot().methods.remove(0);
    assert_eq!((line.count, line.dropped, line.success), (2, 1, 1.0));
}

#[tokio::test(start_paused = true)]
async fn it_reads_well_on_a_terminal_and_by_a_machine() {
    let (node, report) = (SimNode::new(&SimChain::new(7)), Report::new());
    node.set(Disruption::SlowBy(ms(20)));
    call(&node, &report, "eth_chainId", None).await;
    call(&node, &report, "eth_chainId", Some("own")).await;
    let text = report.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("method") && lines[0].contains("p99"), "{text}");
    assert!(lines[1].starts_with("eth_chainId") && lines[1].contains("100.00 %"), "{text}");
    assert!(lines[1].contains("20.0 ms"), "{text}");
    assert!(lines[3].starts_with("endpoint") && lines[4].starts_with("own"), "{text}");
    let json = serde_json::to_value(report.snapshot()).unwrap();
    assert_eq!(json["methods"][0]["name"], "eth_chainId");
    assert_eq!(json["methods"][0]["max"], 0.02);
}

/// With every method of the table, in every slice, to more endpoints than have a line.
#[tokio::test(start_paused = true)]
async fn it_never_takes_more_memory_than_it_says() {
    let methods = include_str!("../../core/src/method.rs")
        .split('"')
        .filter(|word| word.contains('_') && word.chars().all(|c| c.is_alphanumeric() || c == '_'));
    let packets: Vec<_> = methods.map(|method| single(request(1, method.to_owned(), ()))).collect();
    assert!(packets.len() > 80);
    let (mut bytes, mut lines) = (0, 0);
    let used = measure(|| {
        let report = Report::new();
        let client = MetricsLayer::new().with_report(&report).layer(instant());
        let endpoints: Vec<_> = (0..50)
            .map(|number| {
                let id = EndpointId::from(format!("own-{number}"));
                MetricsLayer::for_endpoint(id).with_report(&report).layer(instant())
            })
            .collect();
        for _ in 0..30 {
            advance(Duration::from_secs(300)).now_or_never();
            for packet in &packets {
                let _ = client.clone().oneshot(packet.clone()).now_or_never();
            }
            for endpoint in &endpoints {
                let _ = endpoint.clone().oneshot(packets[0].clone()).now_or_never();
            }
        }
        let snapshot = report.snapshot();
        (bytes, lines) = (Report::MAX_BYTES, snapshot.endpoints.len());
    });
    assert_eq!(lines, 33);
    println!("{} bytes of at most {bytes}", used.bytes_max);
    assert!(used.bytes_max < bytes as u64, "{} bytes of {bytes}", used.bytes_max);
    let _ = Instant::now();
}

#[tokio::test(start_paused = true)]
async fn all_calls_since_the_beginning_are_counted_with_their_faults() {
    let (node, report) = (SimNode::new(&SimChain::new(7)), Report::new());
    node.set(Disruption::http_status(503).times(2));
    for _ in 0..5 {
        call(&node, &report, "eth_chainId", None).await;
        advance(Duration::from_secs(3600)).await;
    }
    call(&node, &report, "eth_gasPrice", Some("own")).await;
    let totals = report.totals();
    assert_eq!(totals.calls, 5, "what an endpoint was asked is no call of the application");
    assert_eq!(totals.faults.into_iter().collect::<Vec<_>>(), [("ServerError", 2)]);
}

#[tokio::test(start_paused = true)]
async fn the_last_requests_to_an_endpoint_are_told_one_by_one() {
    let (node, report) = (SimNode::new(&SimChain::new(7)), Report::new());
    assert!(report.recent_calls(&"own".into()).is_empty());
    node.set(Disruption::http_status(503).times(1));
    node.add(Disruption::SlowBy(ms(10)));
    for method in ["eth_chainId", "eth_gasPrice"] {
        call(&node, &report, method, Some("own")).await;
        call(&node, &report, method, Some("other")).await;
    }
    advance(ms(500)).await;
    let recent = report.recent_calls(&"own".into());
    let told = recent.iter().map(|call| (call.method, call.success, call.age));
    let told = told.collect::<Vec<_>>();
    assert_eq!(told[0], ("eth_gasPrice", true, ms(510)));
    assert_eq!((told[1].0, told[1].1, told.len()), ("eth_chainId", false, 2));
    assert_eq!(recent[0].took, ms(10));
    for _ in 0..100 {
        call(&node, &report, "eth_chainId", Some("own")).await;
    }
    assert_eq!(report.recent_calls(&"own".into()).len(), 32);
}
