//! The gateway as a library, for its tests: see the README.

pub mod admin;
pub mod config;
pub mod demo;
pub mod providers;
pub mod public;
pub mod rpc;
pub mod serve;
pub mod stack;
pub mod status;

mod gateway;
pub use gateway::{Doors, Gateway};
