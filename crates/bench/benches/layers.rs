//! What a call that nothing happens to costs in each layer and in all of them, beside alloy's own:
//! one Markdown table of nanoseconds, allocations and instructions, each over the bare transport.
//!
//! The instructions are those that `instructions` has counted; `cargo xtask bench` runs both.

use alclad_bench::{STACKS, Stack, WARM, call, runtime};
use allocation_counter::measure;
use alloy::transports::BoxTransport;
use comfy_table::{Table, presets::ASCII_MARKDOWN};
use std::{fs, ops::Range, path::Path};
use tokio::time::Instant;

const ROUNDS: usize = 101;
const CALLS: u64 = 1_000;

/// One stack, and how long a call took in each round.
struct Trial {
    stack: Stack,
    transport: BoxTransport,
    allocations: u64,
    turns: Range<u64>,
    rounds: Vec<f64>,
}

fn main() {
    let _runtime = runtime();
    let mut trials = STACKS.map(Trial::new);
    // In turns, for a machine that becomes slower does so for all of them.
    (0..ROUNDS).for_each(|_| trials.iter_mut().for_each(Trial::run));
    let bare = &trials[0];
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["", "ns, fastest", "ns, median", "allocations", "instructions"]);
    for (index, trial) in trials.iter().enumerate() {
        let over = |own: f64, bare: f64| match index {
            0 => format!("{own:.0}"),
            _ => format!("{:+.0}", own - bare),
        };
        // Each round beside the bare one of the same moment.
        let beside = |(own, bare): (&f64, &f64)| if index == 0 { *own } else { own - bare };
        let mut more: Vec<_> = trial.rounds.iter().zip(&bare.rounds).map(beside).collect();
        let instructions = match (counted(&trial.stack), counted(&bare.stack)) {
            (Some(own), Some(bare)) => over(own as f64, bare as f64),
            _ => String::new(),
        };
        table.add_row([
            trial.stack.name.to_owned(),
            over(trial.fastest(), bare.fastest()),
            over(median(&mut more), 0.0),
            over(trial.allocations as f64, bare.allocations as f64),
            instructions,
        ]);
    }
    println!("{table}");
}

impl Trial {
    fn new(stack: Stack) -> Self {
        let transport = stack.warmed();
        let packet = stack.packet(WARM);
        let allocations = measure(|| drop(call(&transport, packet))).count_total;
        Self { stack, transport, allocations, turns: WARM + 1..u64::MAX, rounds: Vec::new() }
    }

    fn run(&mut self) {
        let turns = self.turns.by_ref().take(CALLS as usize);
        let packets: Vec<_> = turns.map(|turn| self.stack.packet(turn)).collect();
        let begun = Instant::now();
        packets.into_iter().for_each(|packet| drop(call(&self.transport, packet)));
        self.rounds.push(begun.elapsed().as_nanos() as f64 / CALLS as f64);
    }

    fn fastest(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

fn median(rounds: &mut [f64]) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// What callgrind has counted, if it has.
fn counted(stack: &Stack) -> Option<u64> {
    let index = STACKS.iter().position(|other| other.name == stack.name)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/gungraun/alclad-bench");
    let folder = root.join(format!("instructions/layers/one_call.of_{index}"));
    let profile = fs::read_dir(folder)
        .ok()?
        .flatten()
        .find(|file| file.path().extension().is_some_and(|extension| extension == "out"))?;
    let profile = fs::read_to_string(profile.path()).ok()?;
    let total = profile.lines().find_map(|line| line.strip_prefix("summary: "))?;
    total.split(' ').next()?.parse().ok()
}
