#![doc = include_str!("../README.md")]

mod describe;
pub use describe::describe;

mod end;

mod judge;

mod layer;
pub use layer::MetricsLayer;

#[cfg(feature = "prometheus")]
mod prometheus;
#[cfg(feature = "prometheus")]
pub use prometheus::{install_prometheus, prometheus_builder};

mod rename;
pub use rename::Rename;

pub mod report;
pub use report::{Report, Thresholds};

mod ring;

mod series;

mod service;
pub use service::Metrics;

mod span;

mod watch;
