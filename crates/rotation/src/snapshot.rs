use crate::Role;
use alclad_core::{EndpointId, Fault};
use serde::{Serialize, Serializer};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What a rotation knows about one endpoint.
///
/// It can be serialised: times are milliseconds, faults and endpoints their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EndpointSnapshot {
    /// Its name.
    #[serde(serialize_with = "as_text")]
    pub id: EndpointId,
    /// Of an HTTP endpoint that was given by its URL, the scheme and the host: all of the URL that
    /// may be shown.
    #[serde(serialize_with = "origin")]
    pub origin: Option<Arc<str>>,
    /// Its tier: lower ones are asked first.
    pub tier: u8,
    /// What it is asked.
    pub role: Role,
    /// Its share of the calls, where the strategy heeds weights.
    pub weight: u32,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Whether it is healthy.
    pub state: EndpointState,
    /// How many packets it was sent, the rotation's own questions included.
    pub requests: u64,
    /// How many of them have no answer yet.
    pub in_flight: u64,
    /// How often another endpoint was asked too, because this one was late.
    pub hedges: u64,
    /// How often it said that it was asked too much.
    pub throttles: u64,
    /// How many of its answers speak against it: a revert does not.
    pub errors: u64,
    /// Its failures without a success between them.
    pub strikes: u32,
    /// How long ago it failed last.
    #[serde(rename = "failed_ms", serialize_with = "as_milliseconds")]
    pub failed: Option<Duration>,
    /// How many answers ended in which fault, by [`Fault::name`].
    pub faults: BTreeMap<&'static str, u64>,
    /// How long its good answers take: a moving average that follows peaks at once.
    #[serde(rename = "latency_ms", serialize_with = "as_milliseconds")]
    pub latency: Option<Duration>,
    /// The median of its latest good answers.
    #[serde(rename = "p50_ms", serialize_with = "as_milliseconds")]
    pub p50: Option<Duration>,
    /// Their 99th percentile.
    #[serde(rename = "p99_ms", serialize_with = "as_milliseconds")]
    pub p99: Option<Duration>,
    /// The newest block that it has shown.
    pub head: Option<u64>,
    /// How long ago it showed what it has.
    #[serde(rename = "seen_ms", serialize_with = "as_milliseconds")]
    pub seen: Option<Duration>,
    /// How many blocks it was behind the others when it showed its head last.
    pub lag: u64,
    /// Whether that is too many for what needs the head.
    pub lagging: bool,
    /// The methods for which it is not asked now: it said that it does not offer them, or had
    /// nothing where others had an answer.
    pub unsupported: Vec<String>,
}

impl EndpointSnapshot {
    /// Whether it is asked as usual: it is switched on, and its circuit is closed.
    pub const fn is_healthy(&self) -> bool {
        self.enabled && matches!(self.state, EndpointState::Closed)
    }
}

/// Whether an endpoint is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndpointState {
    /// It is healthy.
    Closed,
    /// It failed too often: it is asked only if there is nobody else.
    Open {
        /// Until it is tried again.
        #[serde(rename = "left_ms", serialize_with = "left_as_milliseconds")]
        left: Duration,
        /// What it failed with last.
        #[serde(serialize_with = "name")]
        fault: Option<Fault>,
    },
    /// It failed, and is being tried again with one call at a time.
    HalfOpen {
        /// What it failed with last.
        #[serde(serialize_with = "name")]
        fault: Option<Fault>,
    },
    /// It asked to be left alone, refuses to serve us, or serves another chain.
    Parked {
        /// Until it is asked again.
        #[serde(rename = "left_ms", serialize_with = "left_as_milliseconds")]
        left: Duration,
        /// What it said.
        #[serde(serialize_with = "name")]
        fault: Option<Fault>,
    },
    /// [`verify`](crate::Rotation::verify) found it on another chain than the others: it is asked
    /// nothing until a later verification finds it on theirs.
    WrongChain,
}

pub(crate) fn as_text<S: Serializer>(id: &EndpointId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn origin<S: Serializer>(origin: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
    origin.as_deref().serialize(serializer)
}

pub(crate) fn as_milliseconds<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_micros() as f64 / 1000.0).serialize(serializer)
}

fn left_as_milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    as_milliseconds(&Some(*time), serializer)
}

fn name<S: Serializer>(fault: &Option<Fault>, serializer: S) -> Result<S::Ok, S::Error> {
    fault.map(|fault| fault.name()).serialize(serializer)
}
