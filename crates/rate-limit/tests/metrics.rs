//! What is emitted, and under which endpoint's name.

mod support;

use alclad_core::{names, note};
use alclad_testkit::mock;
use alloy_transport::TransportErrorKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::time::Duration;
use support::{limit, ms, read, settle};
use tower::{Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn waits_refusals_and_overruns_are_told_under_the_endpoints_name() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let (transport, mut upstream) = mock();
    let service = limit(10, 1).with_max_wait(ms(100)).layer(transport);
    let call =
        |id| tokio::spawn(note::capture_at("vendor".into(), service.clone().oneshot(read(id))));
    let calls = [1, 2, 3].map(call);
    settle().await;
    for _ in 0..2 {
        let refusal = TransportErrorKind::http_error(429, String::new());
        upstream.next().await.unwrap().fail(refusal);
    }
    for call in calls {
        call.await.unwrap().0.unwrap_err();
    }
    let mut seen = recorder.snapshotter().snapshot().into_vec();
    seen.sort_by(|one, two| one.0.key().name().cmp(two.0.key().name()));
    let seen: Vec<_> = seen
        .iter()
        .map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|label| label.value()).collect();
            (key.key().name(), labels, value)
        })
        .collect();
    let vendor = vec!["vendor"];
    let waited = DebugValue::Histogram(vec![Duration::from_millis(100).as_secs_f64().into()]);
    assert_eq!(
        seen,
        [
            (names::RATE_LIMIT_REFUSED, vendor.clone(), &DebugValue::Counter(1)),
            (names::RATE_LIMIT_WAIT, vendor.clone(), &waited),
            (names::THROTTLED, vendor, &DebugValue::Counter(2)),
        ]
    );
}
