use crate::{Rename, describe};
use alclad_core::names;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;

/// Makes a Prometheus exporter the recorder of this process, with the buckets and the descriptions
/// of alclad's metrics, and with other names for those in the table, and returns what renders them:
/// it has to [run its upkeep](PrometheusHandle::run_upkeep) now and then. Further calls return the
/// same.
///
/// Where there is a recorder already, that stays, and nothing is rendered.
pub fn install_prometheus(table: &'static [(&'static str, &'static str)]) -> PrometheusHandle {
    static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
    let install = || {
        let recorder = prometheus_builder(table).build_recorder();
        let handle = recorder.handle();
        let _ = metrics::set_global_recorder(Rename::new(recorder, table));
        describe();
        handle
    };
    INSTALLED.get_or_init(install).clone()
}

/// The builder of a Prometheus exporter that knows the buckets of alclad's histograms: without them
/// it makes summaries. The table is that of a [`Rename`](crate::Rename) in front of it, if there is
/// one.
pub fn prometheus_builder(table: &[(&str, &str)]) -> PrometheusBuilder {
    let histograms = names::ALL.iter().filter(|metric| !metric.buckets.is_empty());
    histograms.fold(PrometheusBuilder::new(), |builder, metric| {
        let renamed = table.iter().find(|(from, _)| *from == metric.name);
        let name = renamed.map_or(metric.name, |(_, to)| to);
        let set = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), metric.buckets);
        set.expect("there are buckets")
    })
}
