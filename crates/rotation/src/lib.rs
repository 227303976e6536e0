#![doc = include_str!("../README.md")]

mod call;

mod circuit;

mod endpoint;
pub use endpoint::Endpoint;

mod rotation;
pub use rotation::{Rotation, RotationBuilder};

mod route;

mod seat;

mod snapshot;
pub use snapshot::{EndpointSnapshot, EndpointState};

mod target;

mod verdict;
