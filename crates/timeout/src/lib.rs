#![doc = include_str!("../README.md")]

mod layer;
pub use layer::TimeoutLayer;

mod limits;

mod service;
pub use service::Timeout;
