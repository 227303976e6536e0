//! `cargo xtask test`.

use crate::{
    anvil,
    command::{cargo, run},
};
use anyhow::Result;

/// Runs every test, doctests included; `arguments` go to `cargo test`.
pub fn run_all(arguments: &[String]) -> Result<()> {
    let anvil = anvil::bring()?;
    run(cargo(["test", "--all-features"]).args(arguments).env(anvil::VARIABLE, anvil))
}
