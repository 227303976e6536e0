//! Watch an alloy `Provider` give right answers while its endpoints die, stall, throttle and lie.
//!
//! ```sh
//! cargo run --example quickstart
//! cargo run --example quickstart -- --rpc https://eth.example.org --rpc https://other.example.org
//! ```

mod live;
mod mischief;
mod report;
mod simulation;
#[cfg(test)]
mod tests;

use alclad_trial::Pace;
use clap::{
    Parser,
    error::{self, KindFormatter},
};
use metrics_util::debugging::DebuggingRecorder;
use std::{ffi::OsString, num::NonZeroUsize, process::ExitCode, time::Duration};

/// From one call to the next, so that what befalls the nodes lasts a while.
const INTERVAL: Duration = Duration::from_millis(5);

/// An alloy `Provider` whose endpoints die, stall, throttle and lie: through alclad, and beside it
/// through alloy's own layers. Needs no network.
#[derive(Debug, Parser)]
#[command(name = "quickstart")]
struct Arguments {
    /// Read from this endpoint instead of simulated ones; may be given several times.
    #[arg(long, value_name = "URL")]
    rpc: Vec<String>,
    /// How many calls and batches to make [default: 4800, or 200 with --rpc].
    #[arg(long, value_name = "N")]
    calls: Option<u64>,
    /// How many of them at the same time.
    #[arg(long, value_name = "N", default_value = "16")]
    concurrency: NonZeroUsize,
    /// All that is random follows from it; drawn if not given.
    #[arg(long, value_name = "N", env = "ALCLAD_SEED", hide_default_value = true)]
    #[arg(default_value_t = fastrand::u64(..))]
    seed: u64,
}

impl Arguments {
    fn calls(&self) -> u64 {
        self.calls.unwrap_or(if self.rpc.is_empty() { 4800 } else { 200 })
    }

    fn pace(&self) -> Pace {
        Pace { turns: self.calls(), concurrency: self.concurrency, interval: INTERVAL }
    }
}

/// Clap would repeat an argument that it does not understand, which may be a URL with a key.
fn parse(
    words: impl IntoIterator<Item: Into<OsString> + Clone>,
) -> Result<Arguments, error::Error<KindFormatter>> {
    Arguments::try_parse_from(words).map_err(error::Error::apply)
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    println!("ALCLAD_SEED={}", arguments.seed);
    let recorder = DebuggingRecorder::new();
    let metrics = recorder.snapshotter();
    recorder.install().expect("nobody else hears the metrics");
    let all_right = match arguments.rpc.is_empty() {
        true => Ok(simulation::run(&arguments, metrics).await),
        false => live::run(&arguments, metrics).await,
    };
    match all_right {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => eprintln!("not every answer was right"),
        Err(error) => eprintln!("error: {error}"),
    }
    ExitCode::FAILURE
}
