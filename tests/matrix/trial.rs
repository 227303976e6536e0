//! One stack in one scenario.

use alclad::{ChainGuardLayer, Rotation, TimeoutLayer};
use alclad_testkit::Transfer;
use alclad_tests::Scenario;
use alclad_trial::{
    Ask, Miss, Pace, Score, Sent, Stage, draw_at_the_head, over_alclad, over_alloy, run,
};
use alloy::providers::DynProvider;
use fastrand::Rng;
use indicatif::ProgressBar;
use serde_json::json;
use std::{fmt, num::NonZeroUsize, time::Duration};
use xtask::matrix::Options;

/// How long an attempt may take, for all stacks.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(1);
/// How many calls are made at the same time.
pub(crate) const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(16).unwrap();
/// A run has this many blocks.
pub(crate) const BLOCKS: u64 = 20;
/// A lagging node has all blocks that are deeper.
const SETTLED: u64 = 5;

/// A stack by its name, and how many endpoints alloy's asks at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stack {
    pub(crate) name: &'static str,
    active: Option<NonZeroUsize>,
}

pub(crate) const STACKS: &[Stack] = &[
    Stack { name: "alclad", active: None },
    Stack { name: "alloy, 1 active", active: NonZeroUsize::new(1) },
    Stack { name: "alloy, 2 active", active: NonZeroUsize::new(2) },
    Stack { name: "alloy, 3 active", active: NonZeroUsize::new(3) },
];

/// How a stack did in a scenario.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) name: &'static str,
    pub(crate) score: Score,
    /// Calls to endpoints per call.
    pub(crate) cost: f64,
}

/// How all did.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) scenario: &'static Scenario,
    pub(crate) cells: Vec<Cell>,
}

impl Stack {
    fn provider(self, stage: &Stage, sent: &Sent) -> DynProvider {
        match self.active {
            Some(active) => over_alloy(stage.urls(), active, ATTEMPT, sent),
            None => {
                let guard = ChainGuardLayer::expect(stage.chain.chain_id());
                let endpoints = stage.endpoints().map(|endpoint| {
                    let endpoint = endpoint.layer(guard.clone());
                    endpoint.layer(TimeoutLayer::new(ATTEMPT)).layer(sent.layer())
                });
                over_alclad(Rotation::builder().endpoints(endpoints).with_head_polling().build())
            }
        }
    }
}

impl Cell {
    /// How many calls were given something else than the truth.
    pub(crate) fn untrue(&self) -> u64 {
        [Miss::Wrong, Miss::Stale, Miss::Null].into_iter().map(|miss| self.score.missed(miss)).sum()
    }

    /// What alclad promises of this scenario, and here did not keep.
    pub(crate) fn broken_promise(&self, scenario: &Scenario, spare_cost: f64) -> Option<String> {
        let allowed = match scenario.limit.map(|(miss, _)| miss) {
            // What another chain says may look like anything but an error.
            Some(Miss::Wrong) => &[Miss::Wrong, Miss::Stale, Miss::Null][..],
            Some(miss) => &[miss][..],
            None => &[],
        };
        let all = [Miss::Wrong, Miss::Stale, Miss::Null, Miss::Failed];
        let missed = |miss: &Miss| self.score.missed(*miss) > 0 && !allowed.contains(miss);
        if all.iter().any(missed) {
            return Some(format!("{}: {:.300}", scenario.name, self.first_miss()));
        }
        let dear = self.cost > scenario.cost + spare_cost;
        dear.then(|| format!("{}: {:.3} upstream calls per call", scenario.name, self.cost))
    }

    pub(crate) fn first_miss(&self) -> &str {
        self.score.first_miss.as_deref().unwrap_or("none")
    }
}

impl Row {
    /// Where something went wrong.
    pub(crate) fn misses(&self) -> impl Iterator<Item = (&'static str, &Cell)> {
        let missed = |cell: &&Cell| cell.score.first_miss.is_some();
        self.cells.iter().filter(missed).map(|cell| (self.scenario.name, cell))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.scenario.name)?;
        self.cells.iter().try_for_each(|cell| {
            let right = 100.0 * cell.score.right as f64 / cell.score.calls() as f64;
            write!(f, "; {} {right:.1} %, {:.2}x", cell.name, cell.cost)
        })
    }
}

/// Runs a scenario with a stack.
pub(crate) async fn try_out(
    stack: Stack,
    scenario: &'static Scenario,
    options: &Options,
    bar: &ProgressBar,
) -> Cell {
    let (stage, sent) = (Stage::new(options.seed).await, Sent::default());
    let provider = stack.provider(&stage, &sent);
    let pace = Pace { turns: options.calls, concurrency: CONCURRENCY, interval: Duration::ZERO };
    let draw = |turn| {
        begin(turn, scenario, &stage, options.calls);
        let asked = match scenario.sends {
            true => send(&stage, turn),
            false => reads(&stage, options.seed.wrapping_add(turn)),
        };
        stage.note(asked)
    };
    let score = run(pace, &provider, bar, draw, |ask, answer| stage.judge(ask, answer)).await;
    let cost = sent.calls() as f64 / score.calls() as f64;
    Cell { name: stack.name, score, cost }
}

/// Blocks come, and what befalls the nodes.
fn begin(turn: u64, scenario: &Scenario, stage: &Stage, turns: u64) {
    let part = |turn, parts| turn * parts / turns;
    let is_first = |parts| turn == 0 || part(turn - 1, parts) != part(turn, parts);
    if is_first(BLOCKS) {
        stage.chain.mine(1);
    }
    if is_first(10) {
        scenario.play(part(turn, 10), stage);
    }
}

fn send(stage: &Stage, nonce: u64) -> Vec<Ask> {
    let chain_id = stage.chain.chain_id();
    let (raw, _) = Transfer { chain_id, nonce, ..Transfer::default() }.signed();
    vec![Ask::new("eth_sendRawTransaction", json!([raw]))]
}

fn reads(stage: &Stage, seed: u64) -> Vec<Ask> {
    let mut rng = Rng::with_seed(seed);
    let head = stage.chain.block_number();
    let block = |number| stage.chain.block(number).expect("it is not above the head");
    let fresh = block(head - rng.u64(..SETTLED));
    let settled = block(head - rng.u64(SETTLED..4 * SETTLED));
    draw_at_the_head(&mut rng, &fresh, &settled)
}
