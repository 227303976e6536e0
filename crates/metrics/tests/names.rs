//! The README's table is the table.

use alclad_core::names::{self, Kind, Unit};

#[test]
fn the_readme_has_every_metric_with_its_kind_unit_labels_and_help() {
    let readme = include_str!("../README.md");
    let rows: Vec<_> = readme.lines().filter(|line| line.starts_with("| `alclad_")).collect();
    let (table, renamed) = rows.split_at(names::ALL.len());
    for (row, metric) in table.iter().zip(names::ALL) {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let unit = match metric.unit {
            _ if metric.buckets == names::MEMBERS => "members",
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
            Unit::Blocks => "blocks",
            _ => "",
        };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, labels, help) = (metric.name, labels.join(", "), metric.help);
        assert_eq!(*row, format!("| `{name}` | {kind} | {unit} | {labels} | {help} |"));
    }
    let theirs = names::RPC_LB.map(|(ours, theirs)| format!("| `{ours}` | `{theirs}` |"));
    let (metrics, label) = theirs.split_at(renamed.len());
    assert_eq!(renamed, metrics);
    assert!(label.iter().all(|row| readme.contains(row)), "{label:?}");
}

#[test]
fn the_readme_has_the_buckets() {
    let readme = include_str!("../README.md").replace('\n', " ");
    for buckets in [&names::SECONDS[..], &names::MEMBERS] {
        let list = buckets.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
        assert!(readme.contains(&list), "{list}");
    }
}
