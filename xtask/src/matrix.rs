//! `cargo xtask matrix`.

use crate::command::run_optimised;
use anyhow::Result;

/// What is run.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How many calls and batches each stack makes in each scenario
    #[arg(long, default_value_t = 2_000)]
    pub calls: u64,
    /// Only the scenarios whose name has this in it; nothing is written then
    #[arg(long, value_name = "NAME")]
    pub only: Option<String>,
    /// The chain, the traffic and the nodes' dice follow from it
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
}

/// Runs alclad's stack and alloy's through every scenario, and writes what came of it into `docs/`.
pub fn run_all(options: &Options) -> Result<()> {
    let mut arguments =
        vec![format!("--calls={}", options.calls), format!("--seed={}", options.seed)];
    arguments.extend(options.only.iter().map(|name| format!("--only={name}")));
    run_optimised("matrix", &arguments)
}
