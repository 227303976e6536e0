//! `cargo xtask bench`.

use crate::{
    command::{cargo, run},
    install,
    workspace::on_path,
};
use anyhow::Result;

/// The version of `gungraun-runner`: that of the library.
const RUNNER: &str = "0.20.0";

/// Measures every layer beside alloy's own, and prints a table in Markdown.
pub fn run_layers() -> Result<()> {
    if on_path("valgrind").is_some() {
        let runner = install::tool("gungraun-runner", RUNNER)?;
        run(bench("instructions").env("GUNGRAUN_RUNNER", runner))?;
    } else {
        println!("without valgrind no instructions are counted");
    }
    run(&mut bench("layers"))
}

fn bench(name: &str) -> std::process::Command {
    // With the features that everything else is built with, so that nothing is built twice.
    cargo(["bench", "--workspace", "--all-features", "--bench", name])
}
