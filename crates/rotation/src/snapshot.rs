use alclad_core::{EndpointId, Fault};
use std::{collections::BTreeMap, time::Duration};

/// What a rotation knows about one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointSnapshot {
    /// Its name.
    pub id: EndpointId,
    /// Its tier: lower ones are asked first.
    pub tier: u8,
    /// Whether it is asked.
    pub state: EndpointState,
    /// How many packets it was sent.
    pub requests: u64,
    /// How many of them have no answer yet.
    pub in_flight: u64,
    /// How many answers ended in which fault, by [`Fault::name`].
    pub faults: BTreeMap<&'static str, u64>,
    /// The methods that it said it does not offer.
    pub unsupported: Vec<String>,
}

/// Whether an endpoint is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointState {
    /// It is healthy.
    Closed,
    /// It failed too often: it is asked only if there is nobody else.
    Open {
        /// Until it is tried again.
        left: Duration,
        /// What it failed with last.
        fault: Option<Fault>,
    },
    /// It failed, and is being tried again with one call at a time.
    HalfOpen {
        /// What it failed with last.
        fault: Option<Fault>,
    },
    /// It asked to be left alone, or refuses to serve us.
    Parked {
        /// Until it is asked again.
        left: Duration,
        /// What it said.
        fault: Option<Fault>,
    },
}
