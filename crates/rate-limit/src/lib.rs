#![doc = include_str!("../README.md")]

mod bucket;

mod cost;
pub use cost::{CostModel, CostTable, UnknownVendor};

mod gate;

mod layer;
pub use layer::RateLimitLayer;

mod limiter;
pub use limiter::RateLimiter;

mod policy;
pub use policy::{Aimd, ErrorShare, RateEvent, RatePolicy};

mod service;
pub use service::RateLimit;

mod settings;

mod shared;

mod turn;

mod verdict;
