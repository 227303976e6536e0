//! `cargo xtask fuzz`.

use crate::{
    command::{command, output, run},
    workspace::{on_path, root, tools},
};
use anyhow::{Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What is fuzzed, and for how long.
#[derive(Clone, Debug, clap::Args)]
pub struct Targets {
    /// Only this one: a folder of `fuzz/corpus`
    target: Option<String>,
    /// How many minutes each runs
    #[arg(long, default_value_t = 10)]
    minutes: u64,
}

const TWO_THINGS: &str = "fuzzing needs a nightly toolchain (`rustup toolchain install nightly`) \
    and cargo-fuzz (`cargo install --locked cargo-fuzz`)";

/// Fuzzes one target after the other, and stops at the first input that breaks a promise.
pub fn run_targets(Targets { target, minutes }: Targets) -> Result<()> {
    let known = targets()?;
    if let Some(target) = &target {
        ensure!(known.contains(target), "{target} is none of the targets: {}", known.join(", "));
    }
    let fuzz = cargo_fuzz()?;
    let chosen = known.iter().filter(|known| target.as_ref().is_none_or(|one| one == *known));
    for target in chosen {
        println!("\n=== {target} ===");
        run_target(&fuzz, target, minutes)?;
    }
    Ok(())
}

/// Each has a folder of inputs.
fn targets() -> Result<Vec<String>> {
    let folders = fs::read_dir(root().join("fuzz/corpus"))?.flatten();
    let names = folders.map(|folder| folder.file_name().to_string_lossy().into_owned());
    let mut targets: Vec<_> = names.collect();
    targets.sort();
    Ok(targets)
}

fn cargo_fuzz() -> Result<PathBuf> {
    let installed = tools().join("bin/cargo-fuzz");
    let fuzz = on_path("cargo-fuzz").or_else(|| installed.is_file().then_some(installed));
    let Some(fuzz) = fuzz else { bail!("{TWO_THINGS}; cargo-fuzz is not on the PATH") };
    match output(&mut command("rustup", ["run", "nightly", "rustc", "--version"])) {
        Ok(version) => println!("nightly: {}", version.trim()),
        Err(error) => bail!("{TWO_THINGS}; there is no nightly: {error:#}"),
    }
    Ok(fuzz)
}

/// New inputs go to `target/fuzz`: what is kept in the repository is chosen by hand.
fn run_target(fuzz: &Path, target: &str, minutes: u64) -> Result<()> {
    let new = root().join("target/fuzz").join(target);
    fs::create_dir_all(&new)?;
    let mut fuzz = command("rustup", ["run".as_ref(), "nightly".as_ref(), fuzz.as_os_str()]);
    // Nothing here is unsafe: without a sanitizer twice as many inputs are run.
    fuzz.args(["fuzz", "run", "--sanitizer", "none", target]);
    fuzz.args([new, root().join("fuzz/corpus").join(target)]);
    let seconds = minutes.saturating_mul(60);
    fuzz.args(["--", "-print_final_stats=1", "-timeout=10", &format!("-max_total_time={seconds}")]);
    // It would be this program's cargo, which is not a nightly.
    run(fuzz.env_remove("CARGO"))
}
