//! However many names the callers invent, there is one series for all of them.

mod support;

use alclad_metrics::{MetricsLayer, Report};
use alclad_testkit::{request, single};
use futures::FutureExt;
use metrics_util::debugging::DebuggingRecorder;
use std::task::{Context, Waker};
use support::{instant, seen};
use tower::{Layer, Service};

#[tokio::test]
async fn after_a_million_calls_of_ten_thousand_methods_the_series_are_those_of_the_table() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let report = Report::new();
    let mut service = MetricsLayer::new().with_report(&report).layer(instant());
    // Of every form that the table tells apart without knowing the name.
    let name = |index: u64| match index % 4 {
        0 => format!("junk_{index}"),
        1 => format!("eth_get{index}"),
        2 => format!("eth_send{index}"),
        _ => format!("x{index}_subscribe"),
    };
    let packets: Vec<_> = (0..10_000).map(|index| single(request(1, name(index), ()))).collect();
    for call in 0..1_000_000 {
        assert!(service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready());
        let answer = service.call(packets[call % packets.len()].clone()).now_or_never();
        answer.expect("at once").expect("and well");
    }
    let seen = seen(&recorder.snapshotter());
    assert_eq!(seen["alclad_calls_total{method=other,outcome=ok}"], 1_000_000.0);
    let (histograms, others) = (2, 4);
    assert_eq!(seen.len(), 2 * histograms + others, "{seen:#?}");
    let report = report.snapshot();
    assert_eq!((report.methods.len(), report.methods[0].count), (1, 1_000_000));
}
