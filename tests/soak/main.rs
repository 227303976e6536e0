//! `cargo xtask soak`: the whole stack at full speed over faulty nodes, and what it holds.

mod held;
mod load;
mod nodes;
mod pipeline;

use anyhow::{Result, bail, ensure};
use clap::{Parser, Subcommand};
use fastrand::Rng;
use held::{Held, rest};
use indicatif::{ProgressBar, ProgressStyle};
use load::{Answers, load};
use nodes::Nodes;
use pipeline::Pipeline;
use std::time::Duration;
use tokio::time::Instant;
use xtask::soak::Options;

/// The whole stack at full speed over faulty nodes, and what it holds
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Clone, Copy, Subcommand)]
enum Role {
    /// Be the nodes: a process of their own, so that nothing of theirs is measured
    #[command(hide = true)]
    Nodes { seed: u64 },
}

/// From one mischief to the next.
const MISCHIEF: Duration = Duration::from_secs(1);
/// The longest time from one look at what is held to the next.
const ROUND: Duration = Duration::from_secs(60);
/// A run has at least so many rounds, the first of which is what the last is compared with.
const ROUNDS: u32 = 4;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let Arguments { options, role } = Arguments::parse();
    match role {
        Some(Role::Nodes { seed }) => nodes::serve(seed).await,
        None => soak(options).await,
    }
}

async fn soak(options: Options) -> Result<()> {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    let whole = Duration::from_secs_f64(options.minutes * 60.0);
    println!("seed {seed}, {:.0} s", whole.as_secs_f64());
    let prometheus = pipeline::install_recorder()?;
    let nodes = Nodes::start(seed)?;
    let before = rest(Held::now).await;
    let pipeline = Pipeline::build(&nodes.urls);
    let (round, end) = (ROUND.min(whole / ROUNDS), Instant::now() + whole);
    let bar = ProgressBar::new(whole.as_secs());
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} s {msg}")?);
    let (mut rng, mut all, mut first) = (Rng::with_seed(seed), Answers::default(), None);
    let last = loop {
        let until = Instant::now() + round;
        let mischief = mischief(&nodes, rng.fork(), until, &bar);
        let (answers, ()) = futures::join!(load(&pipeline, rng.fork(), until), mischief);
        nodes.heal()?;
        pipeline.forgive();
        prometheus.run_upkeep();
        let held = rest(Held::now).await;
        bar.suspend(|| println!("{held}; {answers}; {}", pipeline.condition()));
        first.get_or_insert(held);
        all += answers;
        if Instant::now() + round / 2 > end {
            break held;
        }
    };
    bar.finish_and_clear();
    drop(pipeline);
    let after = rest(Held::now).await;
    println!(
        "before the stack was built: {before}\nafter it was dropped:       {after}\nall: {all}"
    );
    ensure!(all.good > 9 * all.bad, "too few answers to tell anything");
    let leaks = [last.leaks_since(first.expect("a round was run")), after.remains_of(before)];
    let leaks: Vec<_> = leaks.into_iter().flatten().collect();
    if !leaks.is_empty() {
        bail!("seed {seed}: {}", leaks.join("; "));
    }
    println!("no leak");
    Ok(())
}

async fn mischief(nodes: &Nodes, mut rng: Rng, until: Instant, bar: &ProgressBar) {
    while Instant::now() + MISCHIEF <= until {
        // That the nodes are gone is told by `heal` at the end of the round.
        if let Ok(name) = nodes.strike(&mut rng) {
            bar.set_message(name);
        }
        tokio::time::sleep(MISCHIEF).await;
        bar.inc(MISCHIEF.as_secs());
    }
}
