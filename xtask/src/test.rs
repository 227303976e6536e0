//! `cargo xtask test`.

use crate::{
    anvil, clients,
    command::{cargo, run},
};
use anyhow::Result;

/// Runs every test, doctests included; `arguments` go to `cargo test`.
pub fn run_all(arguments: &[String]) -> Result<()> {
    let anvil = anvil::bring()?;
    clients::bring(&anvil)?;
    run(cargo(["test", "--all-features"]).args(arguments).env(anvil::VARIABLE, anvil))
}
