#![doc = include_str!("../README.md")]

mod layer;
pub use layer::RetryLayer;

mod policy;
pub use policy::{Backoff, Decision, Jitter, RetryEvent, RetryPolicy};

mod service;
pub use service::Retry;
