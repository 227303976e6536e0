//! What a person wants to know of the last hour, in fixed memory.

mod display;
mod findings;
mod redact;
mod row;
mod snapshot;

pub use findings::{Finding, Notable, Subject, Thresholds};
pub use redact::redact;
pub use snapshot::{Example, FaultCount, Line, RecentCall, RecentError, ReportSnapshot, Totals};

use crate::end::End;
use alclad_core::{AnswerNote, EndpointId, Fault, Method};
use alloy_json_rpc::Response;
use alloy_transport::TransportError;
use row::{INTERVALS, Row, SLOT_BYTES, Said};
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// So many endpoints have a line of their own; all further ones share one.
const MAX_ENDPOINTS: usize = 32;
/// So many errors are remembered.
const RECENT: usize = 64;
/// The name of the line for what has none of its own.
const OTHER: &str = "other";

/// What happened in the last hour, by method and by endpoint. Clones are the same report.
///
/// It is kept in slices of five minutes, of which the oldest goes when a new one begins: so it
/// covers between 55 and 60 minutes. Times are exact to 1 % and at most a minute; the longest is
/// exact.
///
/// A slice of a line takes [about 10 KB](Self::MAX_BYTES), and only if a call fell into it: ten
/// methods over three endpoints take 1.7 MB when an hour has passed.
#[derive(Clone)]
pub struct Report(Arc<Shared>);

struct Shared {
    thresholds: Thresholds,
    begun: Instant,
    methods: Box<[OnceLock<Row>]>,
    endpoints: Mutex<Vec<Arc<Row>>>,
    recent: Mutex<VecDeque<Recent>>,
}

/// Errors that are alike, by the last of them.
struct Recent {
    at: Instant,
    times: u64,
    method: &'static str,
    endpoint: Option<String>,
    example: Example,
    fault: &'static str,
}

// === impl Report ===

impl Report {
    /// The most that a report ever takes, in bytes: with calls of every method of the table, to 33
    /// endpoints or more, in every slice of the last hour.
    pub const MAX_BYTES: usize =
        (Method::ROWS + MAX_ENDPOINTS + 1) * INTERVALS * SLOT_BYTES + 256 * 1024;

    /// An empty one, with the usual [`Thresholds`].
    pub fn new() -> Self {
        Self::with_thresholds(Thresholds::default())
    }

    /// An empty one, in which this stands out.
    pub fn with_thresholds(thresholds: Thresholds) -> Self {
        Self(Arc::new(Shared {
            thresholds,
            begun: Instant::now(),
            methods: (0..Method::ROWS).map(|_| OnceLock::new()).collect(),
            endpoints: Mutex::default(),
            recent: Mutex::default(),
        }))
    }

    /// What there is to say now.
    pub fn snapshot(&self) -> ReportSnapshot {
        let now = Instant::now();
        let slice = self.0.slice(now);
        let methods = self.0.methods.iter().filter_map(|row| row.get()?.line(slice));
        let endpoints = lock(&self.0.endpoints).clone();
        let endpoints = endpoints.iter().filter_map(|row| row.line(slice));
        let recent = lock(&self.0.recent).iter().map(|error| error.aged(now)).collect();
        ReportSnapshot::new(methods.collect(), endpoints.collect(), recent, &self.0.thresholds)
    }

    /// How many calls of the application ended since the report began, and in which faults.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.0.methods.iter().filter_map(OnceLock::get).for_each(|row| row.add_to(&mut totals));
        totals
    }

    /// The last requests to an endpoint, the newest first; at most 32.
    pub fn recent_calls(&self, endpoint: &EndpointId) -> Vec<RecentCall> {
        let endpoints = lock(&self.0.endpoints);
        let row = endpoints.iter().find(|row| row.name() == endpoint.as_str());
        row.map_or_else(Vec::new, |row| row.recent(Instant::now()))
    }

    /// Where a layer writes: its endpoint's line, or those of the methods.
    pub(crate) fn place(&self, endpoint: Option<&EndpointId>) -> Place {
        let line = endpoint.map(|id| self.0.endpoint(id.as_str()));
        Place { shared: Arc::clone(&self.0), endpoint: line }
    }
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("thresholds", &self.0.thresholds).finish_non_exhaustive()
    }
}

impl Shared {
    fn slice(&self, now: Instant) -> u64 {
        row::slice(now.saturating_duration_since(self.begun))
    }

    fn method(&self, row: usize, name: &'static str) -> &Row {
        // All kinds of other methods are one line.
        let row = if name == OTHER { Method::ROWS - 1 } else { row };
        self.methods[row].get_or_init(|| Row::new(name.to_owned()))
    }

    fn endpoint(&self, label: &str) -> Arc<Row> {
        let mut endpoints = lock(&self.endpoints);
        let label = match endpoints.len() {
            MAX_ENDPOINTS.. if endpoints.iter().all(|row| row.name() != label) => OTHER,
            _ => label,
        };
        if let Some(row) = endpoints.iter().find(|row| row.name() == label) {
            return Arc::clone(row);
        }
        let row = Arc::new(Row::new(label.to_owned()));
        endpoints.push(Arc::clone(&row));
        row
    }
}

impl Recent {
    fn aged(&self, now: Instant) -> RecentError {
        RecentError {
            age: now.saturating_duration_since(self.at),
            times: self.times,
            method: self.method,
            endpoint: self.endpoint.clone(),
            fault: self.fault,
            example: self.example.clone(),
        }
    }
}

/// Where one layer writes.
pub(crate) struct Place {
    shared: Arc<Shared>,
    endpoint: Option<Arc<Row>>,
}

// === impl Place ===

impl Place {
    /// A call has ended so.
    pub(crate) fn record(
        &self,
        now: Instant,
        row: usize,
        method: &'static str,
        end: End,
        took: Duration,
    ) {
        let place = self.row(row, method);
        place.record(self.shared.slice(now), end, took);
        if self.endpoint.is_some() {
            place.remember(now, method, end, took);
        }
    }

    /// This was said with a fault.
    pub(crate) fn tell(
        &self,
        now: Instant,
        row: usize,
        method: &'static str,
        fault: Fault,
        said: (Option<&Response>, Option<&TransportError>),
        note: &AnswerNote,
    ) {
        let example = Said { answer: said.0, error: said.1, note }.example();
        let label = self.endpoint.as_deref().map(|row| row.name().to_owned());
        let endpoint = label.or_else(|| note.endpoint.as_ref().map(ToString::to_string));
        self.row(row, method).keep(self.shared.slice(now), fault, &example);
        let fault = fault.name();
        let mut recent = lock(&self.shared.recent);
        let alike = |known: &Recent| {
            (known.method, known.fault) == (method, fault) && known.endpoint == endpoint
        };
        let known = recent.iter().position(alike).and_then(|index| recent.remove(index));
        let times = known.map_or(0, |known| known.times) + 1;
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(Recent { at: now, times, method, endpoint, example, fault });
    }

    fn row(&self, row: usize, method: &'static str) -> &Row {
        match &self.endpoint {
            Some(endpoint) => endpoint,
            None => self.shared.method(row, method),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
