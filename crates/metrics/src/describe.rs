use alclad_core::names::{self, Kind};
use metrics::{KeyName, Unit, with_recorder};

/// Tells the recorder that is installed what each metric counts, and in which unit: once, after it
/// was installed.
pub fn describe() {
    with_recorder(|recorder| {
        for metric in names::ALL {
            let unit = match metric.unit {
                names::Unit::Seconds => Some(Unit::Seconds),
                names::Unit::Bytes => Some(Unit::Bytes),
                names::Unit::Count => Some(Unit::Count),
                _ => None,
            };
            let (name, help) = (KeyName::from_const_str(metric.name), metric.help.into());
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, unit, help),
                Kind::Gauge => recorder.describe_gauge(name, unit, help),
                Kind::Histogram => recorder.describe_histogram(name, unit, help),
            }
        }
    });
}
