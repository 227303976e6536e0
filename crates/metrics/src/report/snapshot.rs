use super::{Finding, Thresholds};
use serde::{Serialize, Serializer};
use std::{collections::BTreeMap, time::Duration};

/// What a [`Report`](super::Report) says at one moment: a table for a terminal by `Display`, data
/// for machines by `Serialize`, in which times are seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ReportSnapshot {
    /// A line for each method that was called, the most frequent first.
    pub methods: Vec<Line>,
    /// A line for each endpoint that was asked, the most frequent first.
    pub endpoints: Vec<Line>,
    /// What stands out.
    pub findings: Vec<Finding>,
    /// The last errors, the newest first; at most 64 that differ in method, endpoint or fault.
    pub recent_errors: Vec<RecentError>,
}

/// One method's last hour, or one endpoint's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Line {
    /// The method's name, or the endpoint's label.
    pub name: String,
    /// How many calls ended.
    pub count: u64,
    /// How many of them were dropped by whoever asked: they are in nothing that follows.
    pub dropped: u64,
    /// The share that had an answer: a result, or an error that is the request's own doing, such as
    /// a revert.
    pub success: f64,
    /// The share that ended in a fault which speaks against an endpoint: missing data does not.
    pub errors: f64,
    /// How long a call took on average.
    #[serde(serialize_with = "seconds")]
    pub mean: Duration,
    /// Half of the calls took no longer.
    #[serde(serialize_with = "seconds")]
    pub p50: Duration,
    /// 95 % of the calls took no longer.
    #[serde(serialize_with = "seconds")]
    pub p95: Duration,
    /// 99 % of the calls took no longer.
    #[serde(serialize_with = "seconds")]
    pub p99: Duration,
    /// The longest.
    #[serde(serialize_with = "seconds")]
    pub max: Duration,
    /// What went wrong, the most frequent first.
    pub faults: Vec<FaultCount>,
}

/// How often a fault occurred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FaultCount {
    /// Its name.
    pub fault: &'static str,
    /// How many calls ended in it.
    pub count: u64,
    /// What was said with it once.
    pub example: Option<Example>,
}

/// What was said with a fault, without anything that may be secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Example {
    /// The JSON-RPC error's code.
    pub code: Option<i64>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The text, of which only [known words](super::redact) are left.
    pub text: String,
}

/// An error that occurred a while ago: of a call, or of an attempt at an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RecentError {
    /// How long ago.
    #[serde(serialize_with = "seconds")]
    pub age: Duration,
    /// How often one like it was seen, as long as it stood in this list.
    pub times: u64,
    /// The method, or `other`.
    pub method: &'static str,
    /// Who failed, if known.
    pub endpoint: Option<String>,
    /// How.
    pub fault: &'static str,
    /// What was said.
    pub example: Example,
}

/// What has become of all calls of the application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// How many calls ended.
    pub calls: u64,
    /// How many of them in a fault, by its name.
    pub faults: BTreeMap<&'static str, u64>,
}

/// One request to an endpoint, a while ago.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RecentCall {
    /// How long ago it ended.
    #[serde(serialize_with = "seconds")]
    pub age: Duration,
    /// The method, or `other`.
    pub method: &'static str,
    /// How long it took.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
    /// Whether it had an answer: a result, or an error that is the request's own doing.
    pub success: bool,
}

impl ReportSnapshot {
    pub(super) fn new(
        mut methods: Vec<Line>,
        mut endpoints: Vec<Line>,
        mut recent_errors: Vec<RecentError>,
        thresholds: &Thresholds,
    ) -> Self {
        for lines in [&mut methods, &mut endpoints] {
            lines.sort_by_key(|line| std::cmp::Reverse(line.count));
        }
        recent_errors.reverse();
        let findings = thresholds.find(&methods, &endpoints);
        Self { methods, endpoints, findings, recent_errors }
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
