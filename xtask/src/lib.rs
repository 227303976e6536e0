//! The chores of this repository, and where their tools are.

pub mod anvil;
pub mod ci;
mod command;
mod features;
mod rules;
pub mod simulate;
pub mod test;
mod workspace;
