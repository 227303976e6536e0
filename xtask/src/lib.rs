//! The chores of this repository, and where their tools are.

pub mod anvil;
pub mod bench;
pub mod ci;
pub mod clients;
mod command;
mod features;
pub mod fuzz;
mod install;
pub mod matrix;
mod rules;
pub mod simulate;
pub mod soak;
pub mod test;
mod workspace;
