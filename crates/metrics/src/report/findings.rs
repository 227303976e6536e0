//! What stands out, by what the user calls standing out.

use super::Line;
use serde::Serialize;
use std::{fmt, time::Duration};

/// What stands out in a [`Report`](super::Report).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Thresholds {
    /// A share of answers below this; by default 0.95.
    pub success: f64,
    /// A mean above this; by default 1 s.
    pub mean: Duration,
    /// A share of faults that speak against an endpoint above this; by default 0.05.
    pub errors: f64,
    /// Nothing stands out that had fewer calls; by default 10.
    pub calls: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { success: 0.95, mean: Duration::from_secs(1), errors: 0.05, calls: 10 }
    }
}

impl Thresholds {
    /// A share of answers below this stands out, between 0 and 1.
    #[must_use]
    pub const fn with_success(mut self, share: f64) -> Self {
        self.success = share;
        self
    }

    /// A mean above this stands out.
    #[must_use]
    pub const fn with_mean(mut self, mean: Duration) -> Self {
        self.mean = mean;
        self
    }

    /// A share of faults that speak against an endpoint above this stands out, between 0 and 1.
    #[must_use]
    pub const fn with_errors(mut self, share: f64) -> Self {
        self.errors = share;
        self
    }

    /// Nothing stands out that had fewer calls.
    #[must_use]
    pub const fn with_calls(mut self, calls: u64) -> Self {
        self.calls = calls;
        self
    }

    pub(super) fn find(&self, methods: &[Line], endpoints: &[Line]) -> Vec<Finding> {
        let methods = methods.iter().map(|line| (Subject::Method, line));
        let endpoints = endpoints.iter().map(|line| (Subject::Endpoint, line));
        let lines = endpoints.chain(methods);
        let lines = lines.filter(|(_, line)| line.count - line.dropped >= self.calls.max(1));
        let found = lines.flat_map(|(subject, line)| {
            let finding = move |what| Finding { subject, name: line.name.clone(), what };
            self.of(line).into_iter().flatten().map(finding)
        });
        found.collect()
    }

    fn of(&self, line: &Line) -> [Option<Notable>; 3] {
        let Line { success, errors, mean, .. } = *line;
        [
            (success < self.success).then_some(Notable::Success(success)),
            (errors > self.errors).then_some(Notable::Errors(errors)),
            (mean > self.mean).then_some(Notable::Mean(mean.as_secs_f64())),
        ]
    }
}

/// One thing that stands out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// Whether it is a method or an endpoint.
    pub subject: Subject,
    /// Which one.
    pub name: String,
    /// What it is.
    pub what: Notable,
}

/// Of what a line of the report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Of a method, in the client ring.
    Method,
    /// Of an endpoint.
    Endpoint,
}

/// How something stands out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notable {
    /// Few answers: this share.
    Success(f64),
    /// Many faults that speak against an endpoint: this share.
    Errors(f64),
    /// Slow: so many seconds on average.
    Mean(f64),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = match self.subject {
            Subject::Method => "method",
            Subject::Endpoint => "endpoint",
        };
        write!(f, "{subject} {}: ", self.name)?;
        match self.what {
            Notable::Success(share) => write!(f, "only {:.1} % were answered", share * 100.0),
            Notable::Errors(share) => write!(f, "{:.1} % failed by its fault", share * 100.0),
            Notable::Mean(seconds) => write!(f, "{seconds:.2} s on average"),
        }
    }
}
