//! The Ethereum node that whole stacks are tested on.

use crate::{
    command::{command, output, run},
    workspace::{on_path, tools},
};
use anyhow::{Context, Result, bail};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The environment variable that says where anvil is.
pub const VARIABLE: &str = "ALCLAD_ANVIL";

/// The npm package that brings it. Each platform's program is a package of its own, which this
/// one depends on.
const PACKAGE: &str = "@foundry-rs/anvil@1.7.1";

const TWO_WAYS: &str = "tests on real nodes need anvil. Either install it on the PATH \
    (https://getfoundry.sh, or point ALCLAD_ANVIL at it), \
    or install Node.js 18 or newer with npm, and `cargo xtask test` fetches it";

/// The anvil that `ALCLAD_ANVIL` names, or that is on the `PATH`, or that was fetched before.
pub fn find() -> Option<PathBuf> {
    match env::var_os(VARIABLE) {
        // Nowhere else: who names one wants to know if it is not there.
        Some(named) => Some(itself(named.into())),
        None => on_path("anvil").map(itself).or_else(|| in_scope(&scope())),
    }
}

/// Finds anvil, or fetches it, and makes sure that it runs.
pub fn bring() -> Result<PathBuf> {
    let anvil = match find() {
        Some(anvil) => anvil,
        None => fetch()?,
    };
    let version = output(&mut command(&anvil, ["--version"])).context(TWO_WAYS)?;
    println!("{}: {}", anvil.display(), version.lines().next().unwrap_or_default());
    Ok(anvil)
}

fn fetch() -> Result<PathBuf> {
    if on_path("npm").is_none() || on_path("node").is_none() {
        bail!("{TWO_WAYS}; neither anvil nor npm is on the PATH");
    }
    println!("fetching {PACKAGE} into {}", tools().display());
    let mut npm = command("npm", ["install", "--no-save", "--no-package-lock"]);
    // The package's script only looks after the program that npm has already brought.
    npm.args(["--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]);
    run(npm.arg(tools()).arg(PACKAGE)).context(TWO_WAYS)?;
    in_scope(&scope()).with_context(|| format!("{PACKAGE} has no anvil for this platform"))
}

/// The folder of foundry's npm packages.
fn scope() -> PathBuf {
    tools().join("node_modules/@foundry-rs")
}

/// The program itself: npm puts a Node script in front of it, on which a signal would be lost.
fn itself(program: PathBuf) -> PathBuf {
    let script = program.canonicalize().ok();
    let script = script.filter(|script| script.extension().is_some_and(|e| e == "mjs"));
    let beside = script.and_then(|script| in_scope(script.parent()?.parent()?));
    beside.unwrap_or(program)
}

fn in_scope(scope: &Path) -> Option<PathBuf> {
    let packages = fs::read_dir(scope).ok()?.flatten();
    let mut programs = packages.map(|package| package.path().join("bin/anvil"));
    programs.find(|program| program.is_file())
}
