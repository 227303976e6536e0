//! The report as a table for a terminal.

use super::{FaultCount, Line, RecentError, ReportSnapshot};
use std::{fmt, time::Duration};

/// So many of the last errors are shown.
const SHOWN: usize = 10;

const HEADER: [&str; 8] = ["calls", "success", "errors", "mean", "p50", "p95", "p99", "max"];

impl fmt::Display for ReportSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.methods.is_empty() && self.endpoints.is_empty() {
            return f.write_str("nothing was called in the last hour\n");
        }
        table(f, "method", &self.methods)?;
        table(f, "endpoint", &self.endpoints)?;
        section(f, "what stands out", &self.findings)?;
        let shown = self.recent_errors.len().min(SHOWN);
        section(f, "the last errors", &self.recent_errors[..shown])
    }
}

fn table(f: &mut fmt::Formatter<'_>, title: &str, lines: &[Line]) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    let names = lines.iter().map(|line| line.name.chars().count());
    let width = names.chain([title.len()]).max().unwrap_or_default();
    write!(f, "{title:width$}")?;
    HEADER.iter().try_for_each(|column| write!(f, " {column:>9}"))?;
    writeln!(f, "  faults")?;
    for line in lines {
        let Line { name, count, success, errors, mean, p50, p95, p99, max, .. } = line;
        write!(f, "{name:width$} {count:>9} {:>7.2} % {:>7.2} %", success * 100.0, errors * 100.0)?;
        for time in [mean, p50, p95, p99, max] {
            write!(f, " {:>9}", Short(*time).to_string())?;
        }
        let faults: Vec<_> = line.faults.iter().take(3).map(ToString::to_string).collect();
        writeln!(f, "  {}", faults.join(", "))?;
    }
    writeln!(f)
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, items: &[impl fmt::Display]) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    writeln!(f, "{title}")?;
    items.iter().try_for_each(|item| writeln!(f, "  {item}"))?;
    writeln!(f)
}

/// Three digits and a unit.
struct Short(Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs_f64() {
            0.0 => f.write_str("0"),
            seconds if seconds < 1e-3 => write!(f, "{:.0} us", seconds * 1e6),
            seconds if seconds < 1.0 => write!(f, "{:.1} ms", seconds * 1e3),
            seconds => write!(f, "{seconds:.2} s"),
        }
    }
}

impl fmt::Display for FaultCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x{}", self.fault, self.count)
    }
}

impl fmt::Display for RecentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { age, times, method, endpoint, fault, example } = self;
        write!(f, "{:.0} s ago  {method}  {fault} x{times}", age.as_secs_f64())?;
        if let Some(endpoint) = endpoint {
            write!(f, " at {endpoint}")?;
        }
        if let Some(status) = example.status {
            write!(f, "  HTTP {status}")?;
        }
        if let Some(code) = example.code {
            write!(f, "  {code}")?;
        }
        if example.text.is_empty() { Ok(()) } else { write!(f, "  \"{}\"", example.text) }
    }
}
