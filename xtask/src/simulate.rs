//! `cargo xtask simulate`.

use crate::command::{cargo, run};
use anyhow::Result;

/// Which seeds are run, and how.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Seeds {
    /// How many seeds to run, from `--first` on
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Run this one alone, and tell all that happens in it
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// Build with optimisations first: worth it from some ten thousand seeds on
    #[arg(long)]
    release: bool,
}

/// Runs whole stacks over simulated nodes, and stops at the first seed that breaks an invariant.
pub fn run_seeds(Seeds { seeds, first, seed, release }: Seeds) -> Result<()> {
    let mut test = cargo(["test", "--quiet", "--all-features", "--test", "simulation"]);
    if release {
        test.arg("--release");
    }
    test.args(["--", "--exact", "no_invariant_is_broken", "--nocapture"]);
    match seed {
        Some(seed) => test.env("ALCLAD_SEED", seed.to_string()),
        None => test
            .env_remove("ALCLAD_SEED")
            .env("ALCLAD_SEEDS", seeds.to_string())
            .env("ALCLAD_FIRST_SEED", first.to_string()),
    };
    run(&mut test)
}
