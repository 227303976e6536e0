//! `cargo xtask ci`.

use crate::{
    command::{cargo, command, run},
    features, install, rules, test,
};
use anyhow::{Context, Result};
#[expect(
    clippy::disallowed_types,
    reason = "there is no other clock in a program without tokio"
)]
use std::time::Instant;

/// The version of cargo-deny that is built where there is none.
const DENY: &str = "0.20.2";

type Check = fn() -> Result<()>;

/// What must hold, the quickest first.
const STEPS: [(&str, Check); 7] = [
    ("formatting", formatting),
    ("rules of the house", rules::check),
    ("clippy", clippy),
    ("tests", tests),
    ("documentation", documentation),
    ("each feature alone", features::check),
    ("dependencies", dependencies),
];

/// Everything that must hold before a change goes in; stops at the first thing that does not.
pub fn run_all() -> Result<()> {
    timed("everything", || {
        STEPS.iter().try_for_each(|(name, step)| {
            println!("\n=== {name} ===");
            timed(name, step).with_context(|| format!("this must be put right: {name}"))
        })
    })
}

#[expect(clippy::disallowed_types, reason = "there is no other clock in a program without tokio")]
fn timed(name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    step()?;
    println!("--- {name}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn formatting() -> Result<()> {
    run(&mut cargo(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    let arguments = "clippy --workspace --all-targets --all-features -- -D warnings";
    run(&mut cargo(arguments.split(' ')))
}

fn tests() -> Result<()> {
    test::run_all(&[])
}

fn documentation() -> Result<()> {
    let mut rustdoc = cargo(["doc", "--no-deps", "--workspace", "--all-features"]);
    run(rustdoc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// `advisories` is not among these checks: it needs the network for its database, and finds
/// things that no change here has caused. It is for a job of its own.
fn dependencies() -> Result<()> {
    let deny = install::tool("cargo-deny", DENY)?;
    // Of the duplicates in alloy's tree, who needs them would fill thousands of lines.
    let checks = "check --hide-inclusion-graph bans licenses sources";
    run(&mut command(deny, checks.split(' ')))
}
