#![doc = include_str!("../README.md")]

mod builder;
pub use builder::RotationBuilder;

mod call;

mod changes;
pub use changes::{Change, Event};

mod endpoint;
#[cfg(feature = "http")]
pub use endpoint::{BadEndpoints, Endpoints};
pub use endpoint::{Endpoint, Role};

mod filters;

mod freshness;

mod polling;

mod roster;

mod rotation;
pub use rotation::Rotation;

mod seat;

mod sends;
pub use sends::Sends;

mod snapshot;
pub use snapshot::{EndpointSnapshot, EndpointState};

mod strategy;
pub use strategy::{Candidate, Candidates, LeastLatency, Ordered, Strategy, WeightedRoundRobin};

mod verification;
pub use verification::{Disagreement, Unverified, Verification, Verified, verify};
