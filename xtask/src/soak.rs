//! `cargo xtask soak`.

use crate::command::run_optimised;
use anyhow::Result;

/// How long, and which mischief.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// For how many minutes
    #[arg(long, default_value_t = 10.0)]
    pub minutes: f64,
    /// Traffic and mischief follow from it; drawn if not given
    #[arg(long)]
    pub seed: Option<u64>,
}

/// Runs the whole stack at full speed over faulty nodes, and fails if it holds more at the end than
/// near the beginning.
pub fn run_for(options: Options) -> Result<()> {
    let mut arguments = vec![format!("--minutes={}", options.minutes)];
    arguments.extend(options.seed.map(|seed| format!("--seed={seed}")));
    run_optimised("soak", &arguments)
}
