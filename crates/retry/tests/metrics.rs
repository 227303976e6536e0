//! What is told of retries, of their waits, and of those that the budget refuses.

mod support;

use alclad_core::{Budget, names};
use alclad_testkit::answer;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::collections::BTreeMap;
use support::{Conversation, exact, http, read};

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
async fn retries_their_waits_and_refusals_are_told_by_method_and_fault() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let mut call = Conversation::of(&exact(), read());
    call.hears_read(0).await.fail(http(503));
    call.hears_read(100).await.fail(http(429));
    call.hears_read(300).await.answer(answer(1, "0x"));
    call.ends(300).await.unwrap();
    let poor = exact().with_budget(Budget::new(0.0, 0));
    let mut call = Conversation::of(&poor, read());
    call.hears_read(0).await.fail(http(503));
    call.ends(0).await.unwrap_err();
    let expected = [
        (format!("{} eth_call ServerError", names::RETRIES), 1.0),
        (format!("{} eth_call RateLimited", names::RETRIES), 1.0),
        (format!("{} eth_call ServerError", names::RETRIES_REFUSED), 1.0),
        (names::RETRY_WAIT.to_owned(), 0.1 + 0.2),
    ];
    assert_eq!(seen(&recorder), BTreeMap::from(expected));
}
