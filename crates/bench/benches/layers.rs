//! What a call that nothing happens to costs in each layer and in all of them, beside alloy's own:
//! one Markdown table of nanoseconds, allocations and instructions, each over the bare transport.
//!
//! The instructions are those that `instructions` has counted; `cargo xtask bench` runs both.

use alclad_bench::{STACKS, Stack, call, runtime};
use allocation_counter::measure;
use comfy_table::{Table, presets::ASCII_MARKDOWN};
use std::{fs, path::Path};

const ROUNDS: usize = 31;
const CALLS: u64 = 4_000;

struct Cost {
    fastest: f64,
    median: f64,
    allocations: u64,
    instructions: Option<u64>,
}

fn main() {
    let _runtime = runtime();
    let costs = STACKS.map(|stack| Cost::of(&stack));
    let bare = &costs[0];
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["", "ns, fastest", "ns, median", "allocations", "instructions"]);
    for (index, (stack, cost)) in STACKS.iter().zip(&costs).enumerate() {
        let over = |of: fn(&Cost) -> f64| match index {
            0 => format!("{:.0}", of(cost)),
            _ => format!("{:+.0}", of(cost) - of(bare)),
        };
        let instructions = match cost.instructions.and(bare.instructions) {
            Some(_) => over(|cost| cost.instructions.unwrap_or_default() as f64),
            None => String::new(),
        };
        table.add_row([
            stack.name.to_owned(),
            over(|cost| cost.fastest),
            over(|cost| cost.median),
            over(|cost| cost.allocations as f64),
            instructions,
        ]);
    }
    println!("{table}");
}

impl Cost {
    fn of(stack: &Stack) -> Self {
        let transport = stack.warmed();
        let packet = stack.packet(3);
        let allocations = measure(|| drop(call(&transport, packet))).count_total;
        let mut turns = 4..;
        let mut round = || {
            let packets: Vec<_> =
                turns.by_ref().take(CALLS as usize).map(|turn| stack.packet(turn)).collect();
            let begun = tokio::time::Instant::now();
            packets.into_iter().for_each(|packet| drop(call(&transport, packet)));
            begun.elapsed().as_nanos() as f64 / CALLS as f64
        };
        let mut rounds: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
        rounds.sort_by(f64::total_cmp);
        let (fastest, median) = (rounds[0], rounds[ROUNDS / 2]);
        Self { fastest, median, allocations, instructions: counted(stack) }
    }
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
