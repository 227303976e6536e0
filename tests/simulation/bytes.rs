//! A part of I7: when all is dropped, no byte is left.
//!
//! What a run allocates and does not free is counted on its thread, exactly. The first run of a seed
//! makes what is made once, the next ones must leave nothing: so one that leaks shows it each time.
//! The cache's store puts memory aside that any thread may free later, so whoever counts is alone in
//! its process, and asks for it.

use crate::{mutants::Mutant, run::run};
use std::{
    env,
    process::{Command, Stdio},
    thread,
};

/// How many seeds are looked at if nobody says otherwise: each is run three times.
const SEEDS: u64 = 60;
/// More epochs than it takes until all that was put aside is freed.
const EPOCHS: usize = 64;
/// Within so many seeds the planted leak is found.
const FOUND_WITHIN: u64 = 50;

/// What a run of this seed leaves behind, in bytes.
pub(crate) fn left_behind(seed: u64, mutant: Option<Mutant>) -> i64 {
    let run_and_tidy_up = || {
        drop(run(seed, mutant, false));
        (0..EPOCHS).for_each(|_| crossbeam_epoch::pin().flush());
    };
    run_and_tidy_up();
    let left = || allocation_counter::measure(run_and_tidy_up).bytes_current;
    left().min(left()).max(0)
}

#[test]
fn no_byte_is_left_behind() {
    let count = crate::variable("ALCLAD_BYTE_SEEDS").unwrap_or(SEEDS);
    let processes = thread::available_parallelism().map_or(1, usize::from) as u64;
    let share = count.div_ceil(processes);
    let this = env::current_exe().expect("this test");
    let all: Vec<_> = (0..processes)
        .map(|process| {
            let mut counting = Command::new(&this);
            counting.args(["--exact", "--ignored", "--nocapture", "bytes::counts_alone"]);
            counting.env("ALCLAD_FIRST_SEED", (process * share).to_string());
            counting.env("ALCLAD_SEEDS", share.to_string());
            counting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("this test")
        })
        .collect();
    for process in all {
        let output = process.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        print!("{said}");
    }
}

#[test]
#[ignore = "counts alone in its process, which no_byte_is_left_behind starts"]
fn counts_alone() {
    let first = crate::variable("ALCLAD_FIRST_SEED").unwrap_or_default();
    let count = crate::variable("ALCLAD_SEEDS").unwrap_or(SEEDS);
    for seed in first..first + count {
        let left = left_behind(seed, None);
        assert!(left == 0, "seed {seed} leaves {left} bytes\n{}", crate::replay(seed));
    }
    let found = (first..first + FOUND_WITHIN)
        .find(|seed| left_behind(*seed, Some(Mutant::LeaksBytes)) > 0)
        .unwrap_or_else(|| panic!("LeaksBytes is not caught within {FOUND_WITHIN} seeds"));
    println!("{count} seeds leave no byte; LeaksBytes: I7Rest catches it at seed {found}");
}
