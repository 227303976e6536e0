//! Tools that come from the registry.

use crate::{
    command::{cargo, run},
    workspace::{on_path, tools},
};
use anyhow::Result;
use std::path::PathBuf;

/// The tool of this name on the `PATH`, or else of this version, built where there is none.
pub(crate) fn tool(name: &str, version: &str) -> Result<PathBuf> {
    let built = tools().join("bin").join(name);
    if let Some(tool) = on_path(name).or_else(|| built.is_file().then(|| built.clone())) {
        return Ok(tool);
    }
    // Not optimised it is built in a third of the time, and runs for a second.
    let mut install = cargo(["install", "--locked", "--debug", "--version", version, name]);
    run(install.arg("--root").arg(tools()))?;
    Ok(built)
}
