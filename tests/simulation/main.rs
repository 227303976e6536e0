//! Whole stacks over simulated nodes, on the paused clock, everything drawn from one seed.
//!
//! `cargo xtask simulate --seeds N` runs any number of seeds, and `cargo xtask simulate --seed S`
//! runs one alone and tells all that happened.

mod answers;
mod bytes;
mod faults;
mod invariants;
mod mutants;
mod neighbour;
mod plan;
mod record;
mod run;
mod stack;
mod tally;
mod tap;
mod traffic;
mod world;

use indicatif::{ProgressBar, ProgressStyle};
use invariants::{Invariant, Violation};
use mutants::Mutant;
use run::run;
use std::{
    env, panic,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
};
use tally::Tally;

/// How many seeds are run if nobody says otherwise.
const SEEDS: u64 = 2_000;

/// Seeds that once broke an invariant, and must not again: a question of the cache's own that
/// outlasted the caller's deadline (92, 278); `latest` that was read as a block that was only asked for
/// by its number (136, 205), or as one that had long been followed (225); an answer that was noted
/// under the name of an endpoint which had not answered (61, 137).
/// What is drawn differently since then is kept as a test of the layer that was mended.
const REGRESSIONS: &[u64] = &[61, 84, 92, 136, 137, 146, 205, 225, 278, 657, 1150];

fn variable(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

/// A planted bug, the invariant that it breaks, and a part of what is said of it.
type Planted = (Mutant, Invariant, &'static str);

/// Runs these seeds on all cores, until one breaks an invariant: if a bug was planted, the one that
/// is to find it.
fn first_violation(first: u64, count: u64, planted: Option<Planted>) -> Option<(u64, Violation)> {
    let mutant = planted.map(|(mutant, ..)| mutant);
    let (next, tally) = (AtomicU64::new(first), Mutex::new(Tally::default()));
    let found = Mutex::new(None::<(u64, Violation)>);
    let bar = match mutant {
        None => ProgressBar::new(count),
        Some(_) => ProgressBar::hidden(),
    };
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {eta} left").unwrap());
    let work = || loop {
        let seed = next.fetch_add(1, Relaxed);
        if seed >= first + count || found.lock().unwrap().is_some() {
            return;
        }
        let report = panic::catch_unwind(|| run(seed, mutant, false));
        let report = report.unwrap_or_else(|cause| {
            eprintln!("{}", replay(seed));
            panic::resume_unwind(cause);
        });
        *tally.lock().unwrap() += report.tally;
        bar.inc(1);
        let mut violations = report.violations.into_iter();
        let is_it = |Violation { invariant, what, .. }: &Violation| {
            planted.is_none_or(|(_, broken, sign)| *invariant == broken && what.contains(sign))
        };
        if let Some(violation) = violations.find(is_it) {
            if env::var_os("ALCLAD_KEEP_GOING").is_some() {
                println!("seed {seed}: {violation:?}");
                continue;
            }
            let mut found = found.lock().unwrap();
            if found.as_ref().is_none_or(|(earlier, _)| seed < *earlier) {
                *found = Some((seed, violation));
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    bar.finish_and_clear();
    if mutant.is_none() {
        let tally = tally.into_inner().unwrap();
        println!("{count} seeds: {tally}");
        // An orphan that nobody has seen is rare: it may come to none.
        let must = |(name, count): &(&str, u64)| *count == 0 && *name != "unseen_orphans";
        let never: Vec<_> = tally.all().into_iter().filter(must).collect();
        assert!(count < SEEDS || never.is_empty(), "nothing came to {never:?}");
    }
    found.into_inner().unwrap()
}

fn replay(seed: u64) -> String {
    format!("to see it alone: cargo xtask simulate --seed {seed}")
}

#[test]
fn no_invariant_is_broken() {
    if let Some(seed) = variable("ALCLAD_SEED") {
        let report = run(seed, None, true);
        report.lines.iter().for_each(|line| println!("{line}"));
        println!("seed {seed}: {}, trace {:016x}", report.tally, report.hash);
        assert!(report.violations.is_empty(), "seed {seed}: {:?}", report.violations[0]);
        drop(report);
        assert_eq!(bytes::left_behind(seed, None), 0, "seed {seed} leaves bytes behind");
        return;
    }
    let first = variable("ALCLAD_FIRST_SEED").unwrap_or_default();
    let count = variable("ALCLAD_SEEDS").unwrap_or(SEEDS);
    if let Some((seed, violation)) = first_violation(first, count, None) {
        panic!("seed {seed}: {violation:?}\n{}", replay(seed));
    }
}

#[test]
fn a_seed_runs_the_same_way_each_time() {
    for seed in 0..20 {
        assert_eq!(run(seed, None, false).hash, run(seed, None, true).hash, "seed {seed}");
    }
    assert_ne!(run(1, None, false).hash, run(2, None, false).hash);
}

#[test]
fn seeds_that_once_failed_hold() {
    for seed in REGRESSIONS {
        let report = run(*seed, None, false);
        assert!(report.violations.is_empty(), "{:?}\n{}", report.violations[0], replay(*seed));
    }
}

#[test]
fn every_planted_bug_is_caught() {
    for planted in Mutant::ALL {
        let (mutant, invariant, _) = planted;
        let (seed, violation) = first_violation(0, SEEDS, Some(planted))
            .unwrap_or_else(|| panic!("{mutant:?} is not caught within {SEEDS} seeds"));
        println!("{mutant:?}: {invariant:?} catches it at seed {seed}: {}", violation.what);
    }
}
