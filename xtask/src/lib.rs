//! The chores of this repository, and where their tools are.

pub mod anvil;
pub mod ci;
mod command;
mod features;
pub mod matrix;
mod rules;
pub mod simulate;
pub mod soak;
pub mod test;
mod workspace;
