//! What a recorder has seen.

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::collections::BTreeMap;

type Labels = BTreeMap<String, String>;

/// Values by name and labels; of histograms, how often.
#[derive(Debug)]
pub(crate) struct Seen(pub(crate) BTreeMap<(String, Labels), f64>);

impl Seen {
    /// Counters start again from zero.
    pub(crate) fn of_recorder(recorder: &DebuggingRecorder) -> Self {
        let snapshot = recorder.snapshotter().snapshot().into_vec();
        let values = snapshot.into_iter().map(|(key, _, _, value)| {
            let label = |label: &metrics::Label| (label.key().to_owned(), label.value().to_owned());
            let labels = key.key().labels().map(label).collect();
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(value) => value.into_inner(),
                DebugValue::Histogram(values) => values.len() as f64,
            };
            ((key.key().name().to_owned(), labels), value)
        });
        Self(values.collect())
    }

    pub(crate) fn of(&self, name: &str) -> impl Iterator<Item = (&Labels, f64)> {
        let all = self.0.iter().filter(move |((this, _), _)| this == name);
        all.map(|((_, labels), value)| (labels, *value))
    }

    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.of(name).map(|(_, value)| value).sum()
    }

    pub(crate) fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |all: &Labels| labels.iter().all(|(l, v)| all.get(*l).is_some_and(|x| x == v));
        self.of(name).filter(|(all, _)| has(all)).map(|(_, value)| value).sum()
    }

    pub(crate) fn ended(&self, name: &str, outcome: &str) -> f64 {
        self.get(name, &[("outcome", outcome)])
    }

    pub(crate) fn by_method(&self, name: &str, endpoint: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for (labels, value) in self.of(name).filter(|(labels, _)| labels["endpoint"] == endpoint) {
            *sums.entry(labels["method"].clone()).or_default() += value;
        }
        sums
    }
}
