#![doc = include_str!("../README.md")]

mod chain;
mod entry;
mod file;
pub use file::FileError;

mod flight;
mod glob;
mod hot;
mod layer;
pub use layer::BlockCacheLayer;

mod lifetime;
pub use lifetime::{Age, ByDepth, Keep, Lifetime, Subject};

#[cfg(test)]
mod model;
mod near;
mod question;
mod service;
pub use service::BlockCacheService;

mod spelling;
mod state;
mod statistics;
pub use statistics::{Contents, Count, Statistics};

mod store;
pub use store::BlockCache;

mod verdict;
