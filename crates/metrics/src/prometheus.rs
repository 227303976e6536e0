use alclad_core::names;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

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
