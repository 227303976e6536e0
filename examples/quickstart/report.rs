//! What is shown: bars while it runs, tables at the end.

use alclad::{
    core::names,
    rotation::{EndpointSnapshot, EndpointState},
};
use alclad_testkit::SimNode;
use alclad_trial::{Miss, Score};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use metrics_util::debugging::{DebugValue, Snapshotter};

/// How a run went.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) score: Score,
    /// Calls that arrived at a node, if that is known.
    pub(crate) upstream: Option<u64>,
    /// Retries and failovers, if they are known.
    pub(crate) extra: Option<[u64; 2]>,
}

/// The retries and failovers that alclad's layers have counted.
pub(crate) fn extra(metrics: &Snapshotter) -> [u64; 2] {
    let all = metrics.snapshot().into_vec();
    [names::RETRIES, names::FAILOVERS].map(|name| {
        let of_name = all.iter().filter(|(key, ..)| key.key().name() == name);
        of_name.map(|(.., value)| if let DebugValue::Counter(n) = value { *n } else { 0 }).sum()
    })
}

/// Shows runs side by side, and the endpoints of the first with what arrived at their nodes.
pub(crate) fn show(runs: &[Column], endpoints: &[EndpointSnapshot], nodes: &[SimNode]) {
    let mut table = table(std::iter::once("").chain(runs.iter().map(|run| run.name)));
    let mut row = |name: &str, cell: fn(&Column) -> String| {
        table.add_row(std::iter::once(name.to_owned()).chain(runs.iter().map(cell)));
    };
    row("calls", |run| run.score.calls().to_string());
    row("right", |run| percent(run.score.right, run.score.calls()));
    row("wrong", |run| run.score.missed(Miss::Wrong).to_string());
    row("stale", |run| run.score.missed(Miss::Stale).to_string());
    row("null", |run| run.score.missed(Miss::Null).to_string());
    row("failed", |run| run.score.missed(Miss::Failed).to_string());
    row("p50", |run| format!("{:.1?}", run.score.latency(0.50)));
    row("p99", |run| format!("{:.1?}", run.score.latency(0.99)));
    row("upstream calls per call", |run| {
        known(run.upstream.map(|calls| format!("{:.3}", calls as f64 / run.score.calls() as f64)))
    });
    row("retries", |run| known(run.extra.map(|[retries, _]| retries)));
    row("failovers", |run| known(run.extra.map(|[_, failovers]| failovers)));
    println!("{table}\n{}", table_of_endpoints(endpoints, nodes));
    for Column { name, score, .. } in runs {
        if let Some(miss) = &score.first_miss {
            println!("{name}, the first miss: {miss:.160}");
        }
    }
}

fn table_of_endpoints(endpoints: &[EndpointSnapshot], nodes: &[SimNode]) -> Table {
    let mut table = table(["endpoint", "sent", "arrived", "share", "faults", "state"]);
    let all = endpoints.iter().map(|endpoint| endpoint.requests).sum();
    for (index, endpoint) in endpoints.iter().enumerate() {
        let faults = endpoint.faults.iter().map(|(fault, count)| format!("{count} {fault}"));
        table.add_row([
            endpoint.id.to_string(),
            endpoint.requests.to_string(),
            known(nodes.get(index).map(SimNode::packets)),
            percent(endpoint.requests, all),
            faults.collect::<Vec<_>>().join("\n"),
            state(endpoint.state),
        ]);
    }
    table
}

fn state(state: EndpointState) -> String {
    match state {
        EndpointState::Closed => "healthy".to_owned(),
        EndpointState::Open { left, .. } => format!("left alone for {left:.1?}"),
        EndpointState::Parked { left, .. } => format!("parked for {left:.1?}"),
        EndpointState::WrongChain => "on another chain".to_owned(),
        _ => "to be tried again".to_owned(),
    }
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.2} %", 100.0 * part as f64 / whole.max(1) as f64)
}

fn known(cell: Option<impl ToString>) -> String {
    cell.map_or_else(|| "-".to_owned(), |cell| cell.to_string())
}

fn table<'a>(header: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    table
}

/// A bar for a run; hidden where there is no terminal.
pub(crate) fn bar(bars: &MultiProgress, name: &'static str, turns: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:>15} {bar:24} {pos:>4}/{len} {msg}");
    let style = style.expect("the template is right");
    bars.add(ProgressBar::new(turns).with_prefix(name).with_style(style))
}

/// Tells what happens now: at the bar, or without one in a line of its own.
pub(crate) fn tell(bar: &ProgressBar, what: &'static str) {
    bar.set_message(what);
    if bar.is_hidden() {
        println!("{:>15} {:>4} {what}", bar.prefix(), bar.position());
    }
}
