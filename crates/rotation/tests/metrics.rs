//! What is told of failovers, hedges, health, heads, lags and reorgs.

mod nodes;
mod stage;

use alclad_core::names;
use alclad_testkit::Disruption;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use nodes::{Nodes, in_order};
use serde_json::json;
use stage::{ms, secs, three};
use std::collections::BTreeMap;
use tokio::time::sleep;

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

fn of(name: &str, labels: &str) -> String {
    format!("{name} {labels}")
}

#[tokio::test(start_paused = true)]
async fn failovers_and_changes_of_health_are_told() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let nodes = Nodes::new();
    assert_eq!(seen(&recorder)[&of(names::ENDPOINT_HEALTH, "a")], 1.0);
    nodes.nodes[0].set(Disruption::http_status(503));
    for _ in 0..8 {
        nodes.read_well().await;
    }
    let told = seen(&recorder);
    assert_eq!(told[&of(names::FAILOVERS, "a ServerError")], nodes.calls()[0] as f64);
    assert_eq!(told[&of(names::HEALTH_TRANSITIONS, "a open")], 1.0);
    assert_eq!(told[&of(names::ENDPOINT_HEALTH, "a")], 0.0);
    nodes.nodes[0].clear();
    for _ in 0..8 {
        sleep(secs(2)).await;
        nodes.read_well().await;
    }
    let told = seen(&recorder);
    assert_eq!(told[&of(names::HEALTH_TRANSITIONS, "a closed")], 1.0);
    assert_eq!(told[&of(names::ENDPOINT_HEALTH, "a")], 1.0);
    nodes.rotation.disable(&"b".into());
    nodes.rotation.remove(&"c".into());
    let told = seen(&recorder);
    assert_eq!(told[&of(names::ENDPOINT_HEALTH, "b")], 0.0);
    assert_eq!(told[&of(names::ENDPOINT_HEALTH, "c")], 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_hedge_is_told_of_who_was_late_and_of_who_was_first() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let nodes = Nodes::new();
    nodes.nodes.iter().for_each(|node| node.set(Disruption::SlowBy(ms(10))));
    for _ in 0..40 {
        nodes.read_well().await;
    }
    nodes.nodes[0].set(Disruption::SlowBy(ms(500)));
    nodes.read_well().await;
    let told = seen(&recorder);
    assert_eq!(told[&of(names::HEDGES, "a")], 1.0);
    assert_eq!(told[&of(names::HEDGES_WON, "b")], 1.0);
    assert!(!told.contains_key(&of(names::HEDGES_WON, "a")));
    sleep(secs(1)).await;
    assert_eq!(nodes.nodes[0].in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn heads_lags_and_reorgs_are_told_as_they_change() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let nodes = three(in_order().with_head_polling());
    nodes.nodes[2].set_lag(4);
    nodes.read_well().await;
    let told = seen(&recorder);
    for (label, head, lag) in [("a", 20.0, 0.0), ("b", 20.0, 0.0), ("c", 16.0, 4.0)] {
        assert_eq!(told[&of(names::ENDPOINT_HEAD, label)], head, "{label}");
        assert_eq!(told[&of(names::ENDPOINT_LAG, label)], lag, "{label}");
    }
    let newest = || nodes.result("eth_getBlockByNumber", json!(["latest", false]));
    newest().await;
    nodes.chain.reorg(2);
    nodes.chain.mine(1);
    newest().await;
    let told = seen(&recorder);
    assert_eq!(told[&of(names::REORGS, "a")], 1.0);
    assert_eq!(told[&of(names::ENDPOINT_HEAD, "a")], 21.0);
}
