use arc_swap::ArcSwap;
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit,
};
use std::{collections::HashMap, sync::Arc};

/// A recorder that gives some metrics other names and passes all to another recorder. Labels of
/// those metrics are renamed by the same table; all others stay as they are.
///
/// ```
/// use alclad_core::names;
/// use alclad_metrics::Rename;
/// # let exporter = metrics::NoopRecorder;
///
/// let recorder = Rename::new(exporter, &names::RPC_LB);
/// // metrics::set_global_recorder(recorder)
/// # drop(recorder);
/// ```
#[derive(Clone, Debug)]
pub struct Rename<R> {
    recorder: R,
    table: &'static [(&'static str, &'static str)],
    known: Arc<ArcSwap<Known>>,
}

/// The keys that have been renamed, by their hash: some are registered anew for each call.
type Known = HashMap<u64, (Key, Key)>;

impl<R> Rename<R> {
    /// Passes on to `recorder`; the table has the names that are emitted, and those to use instead.
    pub fn new(recorder: R, table: &'static [(&'static str, &'static str)]) -> Self {
        Self { recorder, table, known: Arc::default() }
    }

    fn name_of(&self, name: &str) -> Option<&'static str> {
        self.table.iter().find(|(from, _)| *from == name).map(|(_, to)| *to)
    }

    fn name(&self, name: KeyName) -> KeyName {
        self.name_of(name.as_str()).map_or(name, KeyName::from_const_str)
    }

    fn with_key<T>(&self, key: &Key, register: impl FnOnce(&R, &Key) -> T) -> T {
        let Some(name) = self.name_of(key.name()) else { return register(&self.recorder, key) };
        match self.known.load().get(&key.get_hash()) {
            Some((ours, theirs)) if ours == key => return register(&self.recorder, theirs),
            _ => {}
        }
        let label = |label: &Label| match self.name_of(label.key()) {
            Some(name) => Label::new(name, label.value().to_owned()),
            None => label.clone(),
        };
        let theirs = Key::from_parts(name, key.labels().map(label).collect::<Vec<_>>());
        self.known.rcu(|known| {
            let mut known = Known::clone(known);
            known.insert(key.get_hash(), (key.clone(), theirs.clone()));
            known
        });
        register(&self.recorder, &theirs)
    }
}

impl<R: Recorder> Recorder for Rename<R> {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.recorder.describe_counter(self.name(name), unit, description);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.recorder.describe_gauge(self.name(name), unit, description);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.recorder.describe_histogram(self.name(name), unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.with_key(key, |recorder, key| recorder.register_counter(key, metadata))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.with_key(key, |recorder, key| recorder.register_gauge(key, metadata))
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.with_key(key, |recorder, key| recorder.register_histogram(key, metadata))
    }
}
