//! The run as a page of Markdown.

use crate::trial::{ATTEMPT, BLOCKS, CONCURRENCY, Cell, Row, STACKS};
use alclad_trial::{ALLOY, Miss};
use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use std::{fs, thread, time::SystemTime};
use xtask::matrix::Options;

const HEADER: [&str; 10] =
    ["scenario", "stack", "right", "wrong", "stale", "null", "failed", "p50 ms", "p99 ms", "cost"];

/// The whole page.
pub(crate) fn page(rows: &[Row], options: &Options) -> String {
    let Options { calls, seed, .. } = options;
    format!(
        "# Fault matrix\n\n\
        Three nodes of one simulated chain, each behind a socket on loopback, and what becomes of \
        {calls} calls and batches at concurrency {CONCURRENCY} while something goes wrong. Unless a \
        scenario says otherwise it befalls the first node. {BLOCKS} blocks come during a run. A third \
        of the questions are about whatever is the newest block, the others about blocks near it: \
        blocks, receipts, transactions, logs, balances, calls. A tenth are batches of 2 to 10, each \
        member of which counts as a call.\n\n\
        Everything on this page and the picture is from one run: {date}, seed {seed}, {machine}, \
        `cargo xtask matrix --calls {calls} --seed {seed}`.\n\n\
        ![What became of the calls](fault-matrix.svg)\n\n\
        {summary}\n\n\
        - *right*: the truth at some time between question and answer.\n\
        - *wrong*: never the truth. *stale*: the truth before the question. *null*: `null` for what exists.\n\
        - *failed*: an error in place of an answer.\n\
        - *cost*: calls sent to endpoints per call, also those that found nobody there.\n\
        - *alclad*: `RetryLayer` over a `Rotation` with head polling over `ChainGuardLayer` and \
        `TimeoutLayer`, all with their defaults. *alloy, N active*: {ALLOY}, N active transports. An \
        attempt may take {attempt} ms with both.\n\
        - Times are of this machine, on which nodes and stacks share the cores: they compare, and \
        are no promise.\n\n\
        {limits}{table}\n",
        date = httpdate::fmt_http_date(SystemTime::now()),
        machine = machine(),
        summary = summary(rows),
        attempt = ATTEMPT.as_millis(),
        limits = limits(rows),
        table = table(rows),
    )
}

/// Where alclad was not right, and why.
fn limits(rows: &[Row]) -> String {
    let missed = rows.iter().filter(|row| row.cells[0].score.first_miss.is_some());
    let reasons = missed.map(|Row { scenario, .. }| {
        let why = scenario.limit.map_or("this is not as it should be", |(_, why)| why);
        format!("- {}: {why}.\n", scenario.name)
    });
    let reasons: String = reasons.collect();
    match reasons.as_str() {
        "" => String::new(),
        reasons => format!("Where alclad was not right, and why:\n\n{reasons}\n"),
    }
}

/// Every stack in every scenario.
pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = empty(HEADER, 2);
    for Row { scenario, cells } in rows {
        for cell in cells {
            let missed = |miss| cell.score.missed(miss).to_string();
            table.add_row([
                scenario.name.to_owned(),
                cell.name.to_owned(),
                cell.score.right.to_string(),
                missed(Miss::Wrong),
                missed(Miss::Stale),
                missed(Miss::Null),
                missed(Miss::Failed),
                milliseconds(cell, 0.50),
                milliseconds(cell, 0.99),
                format!("{:.3}", cell.cost),
            ]);
        }
    }
    table
}

/// All scenarios together.
fn summary(rows: &[Row]) -> Table {
    let header =
        ["stack", "scenarios without a miss", "right", "untrue", "failed", "least to most cost"];
    let mut table = empty(header, 1);
    for (index, stack) in STACKS.iter().enumerate() {
        let cells: Vec<_> = rows.iter().map(|row| &row.cells[index]).collect();
        let sum = |count: fn(&Cell) -> u64| cells.iter().map(|cell| count(cell)).sum::<u64>();
        let clean = cells.iter().filter(|cell| cell.score.first_miss.is_none()).count();
        let costs = || cells.iter().map(|cell| cell.cost);
        let (least, most) = (costs().fold(f64::MAX, f64::min), costs().fold(0.0, f64::max));
        let right =
            100.0 * sum(|cell| cell.score.right) as f64 / sum(|cell| cell.score.calls()) as f64;
        table.add_row([
            stack.name.to_owned(),
            format!("{clean} of {}", rows.len()),
            format!("{right:.2} %"),
            sum(Cell::untrue).to_string(),
            sum(|cell| cell.score.missed(Miss::Failed)).to_string(),
            format!("{least:.2} to {most:.2}"),
        ]);
    }
    table
}

fn empty<const N: usize>(header: [&str; N], words: usize) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(header);
    table.column_iter_mut().skip(words).for_each(|column| {
        column.set_cell_alignment(CellAlignment::Right);
    });
    table
}

fn milliseconds(cell: &Cell, quantile: f64) -> String {
    format!("{:.1}", cell.score.latency(quantile).as_secs_f64() * 1000.0)
}

fn machine() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").ok();
    let kilobytes = memory.as_deref().and_then(|text| text.split_whitespace().nth(1)?.parse().ok());
    let memory = kilobytes.map_or_else(String::new, |kilobytes: u64| {
        format!(" and {} GB of memory", kilobytes.div_ceil(1_000_000))
    });
    format!("{cores} cores{memory}")
}
