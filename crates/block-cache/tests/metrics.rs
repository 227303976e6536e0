//! What is told to the recorder.

mod stage;

use alclad_core::names;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use serde_json::json;
use stage::{Stage, hex};

#[tokio::test(start_paused = true)]
async fn hits_misses_and_sizes_are_told() {
    let recorder = DebuggingRecorder::new();
    let metrics = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let stage = Stage::new();
    stage.look().await;
    let params = json!([stage.chain.accounts()[0], hex(7)]);
    for _ in 0..4 {
        stage.ask("eth_getBalance", params.clone()).await;
    }
    let told = metrics.snapshot().into_vec();
    let value = |name: &str| {
        let mut all = told.iter().filter(|(key, ..)| key.key().name() == name);
        let (key, .., value) = all.next()?;
        let method = key.key().labels().next().map(|label| label.value().to_owned());
        let number = match value {
            DebugValue::Counter(count) => *count as f64,
            DebugValue::Gauge(gauge) => gauge.into_inner(),
            DebugValue::Histogram(_) => return None,
        };
        all.next().is_none().then_some((method, number))
    };
    let method = Some("eth_getBalance".to_owned());
    assert_eq!(value(names::CACHE_HITS), Some((method.clone(), 3.0)));
    assert_eq!(value(names::CACHE_MISSES), Some((method, 1.0)));
    assert!(value(names::CACHE_BYTES).is_some() && value(names::CACHE_ENTRIES).is_some());
}
