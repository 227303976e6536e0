//! Which recorder is told, and that there may be none.

mod support;

use alclad_core::names;
use alclad_metrics::{MetricsLayer, Rename, describe};
use alclad_testkit::{request, single};
use alloy_json_rpc::RequestPacket;
use metrics_util::debugging::DebuggingRecorder;
use support::{instant, seen};
use tower::{Layer, ServiceExt};

fn read() -> RequestPacket {
    single(request(1, "eth_call", ()))
}

const OK: &str = "alclad_calls_total{method=eth_call,outcome=ok}";

#[tokio::test]
async fn a_recorder_that_is_installed_after_the_layer_was_made_is_told_from_then_on() {
    let service = MetricsLayer::new().layer(instant());
    service.clone().oneshot(read()).await.unwrap();
    let recorder = DebuggingRecorder::new();
    let guard = metrics::set_default_local_recorder(&recorder);
    for _ in 0..2 {
        service.clone().oneshot(read()).await.unwrap();
    }
    drop(guard);
    service.clone().oneshot(read()).await.unwrap();
    let first = seen(&recorder.snapshotter());
    assert_eq!((first[OK], first["alclad_calls_in_flight{}"]), (2.0, 0.0));

    let other = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&other);
    service.oneshot(read()).await.unwrap();
    assert_eq!(seen(&other.snapshotter())[OK], 1.0);
}

#[tokio::test]
async fn a_recorder_without_any_size_is_told_too() {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    };
    static COUNTED: AtomicU64 = AtomicU64::new(0);
    static INNER: OnceLock<DebuggingRecorder> = OnceLock::new();
    struct Unit;
    impl metrics::Recorder for Unit {
        fn describe_counter(
            &self,
            _: metrics::KeyName,
            _: Option<metrics::Unit>,
            _: metrics::SharedString,
        ) {
        }
        fn describe_gauge(
            &self,
            _: metrics::KeyName,
            _: Option<metrics::Unit>,
            _: metrics::SharedString,
        ) {
        }
        fn describe_histogram(
            &self,
            _: metrics::KeyName,
            _: Option<metrics::Unit>,
            _: metrics::SharedString,
        ) {
        }
        fn register_counter(
            &self,
            key: &metrics::Key,
            metadata: &metrics::Metadata<'_>,
        ) -> metrics::Counter {
            COUNTED.fetch_add(1, Relaxed);
            INNER.get_or_init(DebuggingRecorder::new).register_counter(key, metadata)
        }
        fn register_gauge(
            &self,
            key: &metrics::Key,
            metadata: &metrics::Metadata<'_>,
        ) -> metrics::Gauge {
            INNER.get_or_init(DebuggingRecorder::new).register_gauge(key, metadata)
        }
        fn register_histogram(
            &self,
            key: &metrics::Key,
            metadata: &metrics::Metadata<'_>,
        ) -> metrics::Histogram {
            INNER.get_or_init(DebuggingRecorder::new).register_histogram(key, metadata)
        }
    }
    let _guard = metrics::set_default_local_recorder(&Unit);
    MetricsLayer::new().layer(instant()).oneshot(read()).await.unwrap();
    assert_eq!(seen(&INNER.get().unwrap().snapshotter())[OK], 1.0);
    assert!(COUNTED.load(Relaxed) > 0);
}

#[tokio::test]
async fn the_balancers_names_can_be_had() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let renamed = Rename::new(recorder, &names::RPC_LB);
    let _guard = metrics::set_default_local_recorder(&renamed);
    describe();
    MetricsLayer::for_endpoint("own").layer(instant()).oneshot(read()).await.unwrap();
    for method in ["eth_call", "eth_getLogs", "eth_call"] {
        metrics::counter!(names::CACHE_HITS, names::METHOD => method).increment(1);
    }
    let seen = seen(&snapshotter);
    assert_eq!(seen["rpc_lb_cache_hits_total{method=eth_call}"], 2.0);
    assert_eq!(seen["rpc_lb_cache_hits_total{method=eth_getLogs}"], 1.0);
    assert_eq!(seen["rpc_lb_requests_total{provider=own,method=eth_call,outcome=ok}"], 1.0);
    let timed = "rpc_lb_request_duration_seconds{provider=own,method=eth_call} count";
    assert_eq!(seen[timed], 1.0);
    assert_eq!(seen["alclad_attempts_in_flight{endpoint=own}"], 0.0);
    assert!(!seen.keys().any(|name| name.starts_with(names::ATTEMPTS)));
}

#[tokio::test]
async fn every_row_of_the_table_can_be_described() {
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || {
        describe();
        // A debugging recorder shows only what was registered.
        for metric in names::ALL {
            match metric.kind {
                names::Kind::Counter => metrics::counter!(metric.name).increment(1),
                names::Kind::Gauge => metrics::gauge!(metric.name).set(1),
                names::Kind::Histogram => metrics::histogram!(metric.name).record(1),
            }
        }
    });
    let described = recorder.snapshotter().snapshot().into_vec();
    assert_eq!(described.len(), names::ALL.len());
    assert!(described.iter().all(|(_, _, help, _)| help.is_some()));
}
