//! What has changed at the endpoints lately.

use crate::snapshot::{as_milliseconds, as_text};
use alclad_core::{EndpointId, Fault};
use serde::{Serialize, Serializer};
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// So many changes are remembered.
const REMEMBERED: usize = 64;

/// Something that changed at an endpoint.
///
/// It can be serialised: `age_ms`, `endpoint`, `event` by its name, and a `text` that says all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// How long ago.
    #[serde(rename = "age_ms", serialize_with = "age")]
    pub age: Duration,
    /// At which endpoint.
    #[serde(serialize_with = "as_text")]
    pub endpoint: EndpointId,
    /// What it was.
    #[serde(flatten)]
    pub event: Event,
}

/// What can change at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// It was added while the rotation ran.
    Added,
    /// It was taken out.
    Removed,
    /// It was switched on by hand.
    Enabled,
    /// It was switched off by hand.
    Disabled,
    /// The rotation was switched to it by hand.
    SwitchedTo,
    /// The strategy has moved to it, and stays there.
    MovedTo,
    /// It failed too often, asked to be left alone, refuses to serve us, or serves another chain.
    LeftAlone {
        /// `open`, `parked` or `quarantined`.
        state: &'static str,
        /// For how long.
        wait: Duration,
        /// What it failed with last.
        fault: Fault,
    },
    /// It serves again.
    Closed,
    /// It lags behind the others by so many blocks.
    Lagging(u64),
    /// It has caught up.
    CaughtUp,
}

// === impl Event ===

impl Event {
    /// Its name: `added`, `removed`, `enabled`, `disabled`, `switched_to`, `moved_to`, `open`,
    /// `parked`, `quarantined`, `closed`, `lagging` or `caught_up`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::SwitchedTo => "switched_to",
            Self::MovedTo => "moved_to",
            Self::LeftAlone { state, .. } => state,
            Self::Closed => "closed",
            Self::Lagging(_) => "lagging",
            Self::CaughtUp => "caught_up",
        }
    }
}

/// A sentence about the endpoint, without its name.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added => f.write_str("added"),
            Self::Removed => f.write_str("removed"),
            Self::Enabled => f.write_str("switched on by hand"),
            Self::Disabled => f.write_str("switched off by hand"),
            Self::SwitchedTo => f.write_str("the calls were switched to it by hand"),
            Self::MovedTo => f.write_str("the calls go to it now"),
            Self::LeftAlone { state, wait, fault } => {
                write!(f, "{state} for {:.1} s: {fault}", wait.as_secs_f64())
            }
            Self::Closed => f.write_str("serves again"),
            Self::Lagging(blocks) => write!(f, "lags {blocks} blocks behind the others"),
            Self::CaughtUp => f.write_str("has caught up"),
        }
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Told {
            event: &'static str,
            text: String,
        }
        Told { event: self.name(), text: self.to_string() }.serialize(serializer)
    }
}

fn age<S: Serializer>(age: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    as_milliseconds(&Some(*age), serializer)
}

/// The latest changes of a rotation. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Changes(Arc<Mutex<VecDeque<(Instant, EndpointId, Event)>>>);

// === impl Changes ===

impl Changes {
    pub(crate) fn add(&self, endpoint: &EndpointId, event: Event) {
        let mut changes = self.lock();
        if changes.len() == REMEMBERED {
            changes.pop_front();
        }
        changes.push_back((Instant::now(), endpoint.clone(), event));
    }

    /// The newest first.
    pub(crate) fn list(&self) -> Vec<Change> {
        let change = |(at, endpoint, event): &(Instant, EndpointId, Event)| Change {
            age: at.elapsed(),
            endpoint: endpoint.clone(),
            event: *event,
        };
        self.lock().iter().rev().map(change).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Instant, EndpointId, Event)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
