//! What is told of timeouts.

use alclad_core::{names, note};
use alclad_testkit::{Disruption, SimChain, SimNode, request, single};
use alclad_timeout::TimeoutLayer;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::{collections::BTreeMap, time::Duration};
use tower::{Layer, ServiceExt};

/// Values by name and the labels' values; of histograms, the sum.
fn seen(recorder: &DebuggingRecorder) -> BTreeMap<String, f64> {
    let all = recorder.snapshotter().snapshot().into_vec();
    let values = all.into_iter().map(|(key, _, _, value)| {
        let labels = key.key().labels().map(|label| format!(" {}", label.value()));
        let name = format!("{}{}", key.key().name(), labels.collect::<String>());
        let value = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(values) => values.iter().map(|value| value.into_inner()).sum(),
        };
        (name, value)
    });
    values.collect()
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_told_under_the_endpoints_name() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let node = SimNode::new(&SimChain::new(7));
    let service = TimeoutLayer::new(Duration::from_secs(5)).layer(node.transport());
    let read = || single(request(1, "eth_chainId", ()));
    note::capture_at("own".into(), service.clone().oneshot(read())).await.0.unwrap();
    assert_eq!(seen(&recorder), BTreeMap::new());
    node.set(Disruption::BlackHole);
    note::capture_at("own".into(), service.oneshot(read())).await.0.unwrap_err();
    assert_eq!(seen(&recorder), BTreeMap::from([(format!("{} own", names::TIMEOUTS), 1.0)]));
}
