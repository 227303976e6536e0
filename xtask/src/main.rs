//! `cargo xtask`: the chores of this repository.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use xtask::{bench, ci, fuzz, matrix, simulate, soak, test};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The chores of this repository")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run every test, doctests included, and bring anvil for those that need it
    Test {
        /// Passed on to `cargo test`: `-- -p alclad-tests -- --nocapture`
        #[arg(last = true)]
        cargo: Vec<String>,
    },
    /// Everything that must hold before a change goes in
    Ci,
    /// Run whole stacks over simulated nodes, everything drawn from a seed
    Simulate(simulate::Seeds),
    /// Feed what reads foreign bytes with whatever breaks it, for minutes
    Fuzz(fuzz::Targets),
    /// Measure each layer beside alloy's own
    Bench,
    /// Measure alclad beside alloy's own layers over faulty nodes, and write it into docs/
    Matrix(matrix::Options),
    /// Run the whole stack at full speed over faulty nodes, and look for leaks
    Soak(soak::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Test { cargo } => test::run_all(&cargo),
        Chore::Ci => ci::run_all(),
        Chore::Simulate(seeds) => simulate::run_seeds(seeds),
        Chore::Bench => bench::run_layers(),
        Chore::Fuzz(targets) => fuzz::run_targets(targets),
        Chore::Matrix(options) => matrix::run_all(&options),
        Chore::Soak(options) => soak::run_for(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
