//! The programs of others that a test runs.

use std::path::{Path, PathBuf};
use tokio::process::Command;

/// Where `cargo xtask test` puts them.
const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/clients");

/// A program that is killed when it is dropped.
pub(crate) fn tool(name: &str) -> Command {
    let mut command = Command::new(find(name));
    command.env("NODE_PATH", format!("{TOOLS}/node_modules")).kill_on_drop(true);
    command
}

/// Where a program is.
pub(crate) fn find(name: &str) -> PathBuf {
    let program = Path::new(TOOLS).join("bin").join(name);
    assert!(program.exists(), "this test needs {name}: run `cargo xtask test`, which brings it");
    program
}

/// A file beside the tests.
pub(crate) fn script(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}
