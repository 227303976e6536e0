use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit,
};

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
}

impl<R> Rename<R> {
    /// Passes on to `recorder`; the table has the names that are emitted, and those to use instead.
    pub const fn new(recorder: R, table: &'static [(&'static str, &'static str)]) -> Self {
        Self { recorder, table }
    }

    fn name_of(&self, name: &str) -> Option<&'static str> {
        self.table.iter().find(|(from, _)| *from == name).map(|(_, to)| *to)
    }

    fn name(&self, name: KeyName) -> KeyName {
        self.name_of(name.as_str()).map_or(name, KeyName::from_const_str)
    }

    fn key(&self, key: &Key) -> Option<Key> {
        let name = self.name_of(key.name())?;
        let label = |label: &Label| match self.name_of(label.key()) {
            Some(name) => Label::new(name, label.value().to_owned()),
            None => label.clone(),
        };
        Some(Key::from_parts(name, key.labels().map(label).collect::<Vec<_>>()))
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
        self.recorder.register_counter(self.key(key).as_ref().unwrap_or(key), metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.recorder.register_gauge(self.key(key).as_ref().unwrap_or(key), metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.recorder.register_histogram(self.key(key).as_ref().unwrap_or(key), metadata)
    }
}
