//! The script of what befalls three simulated nodes of one chain.

use crate::{Arguments, report::tell};
use alclad_testkit::{Disruption, RateLimit, SimNode};
use alclad_trial::{Ask, Stage, draw};
use fastrand::Rng;
use indicatif::ProgressBar;
use std::num::NonZeroU32;

/// How many blocks a lagging node is behind.
const LAG: u64 = 3;

/// How many calls are made from one block to the next.
const CALLS_PER_BLOCK: u64 = 16;

/// What a throttling node allows: a fifth of what is asked.
const CALLS_PER_SECOND: NonZeroU32 = NonZeroU32::new(50).unwrap();

/// What befalls which nodes for a while, after which they heal.
type Act = (&'static str, &'static [usize], fn(&SimNode));

const SCRIPT: &[Act] = &[
    ("first dies", &[0], |node| node.set(Disruption::Dead)),
    ("first takes calls and never answers", &[0], |node| node.set(Disruption::BlackHole)),
    ("first says 429", &[0], |node| node.set(Disruption::too_many_requests(None))),
    ("second dies", &[1], |node| node.set(Disruption::Dead)),
    ("first is three blocks behind", &[0], |node| node.set_lag(LAG)),
    ("first and second allow 50 calls a second", &[0, 1], |node| {
        node.set_rate_limit(RateLimit::per_second(CALLS_PER_SECOND));
    }),
    ("first says -32005 in a 200", &[0], |node| {
        node.set(Disruption::rpc_error(-32005, "project ID request rate exceeded"));
    }),
    ("first resets connections", &[0], |node| node.set(Disruption::Reset)),
    ("third takes calls and never answers", &[2], |node| node.set(Disruption::BlackHole)),
    ("first and second send HTML", &[0, 1], |node| node.set(Disruption::Html)),
    ("first sends half of its JSON", &[0], |node| node.set(Disruption::TruncatedJson)),
    ("first says 503 to every fifth call", &[0], |node| {
        node.set(Disruption::http_status(503).with_share(0.2));
    }),
    ("first loses and shuffles members of batches", &[0], |node| {
        node.set(Disruption::MissingMembers.with_share(0.5));
        node.add(Disruption::ReorderedMembers);
    }),
    ("first answers with other ids", &[0], |node| node.set(Disruption::ForeignIds)),
    ("all three say 500 to a few calls", &[0, 1, 2], |node| {
        node.set(Disruption::http_status(500).times(3));
    }),
    ("first and second die", &[0, 1], |node| node.set(Disruption::Dead)),
];

/// Plays the script as far as this turn; what to ask in it is every other time about the head.
pub(crate) fn turn(stage: &Stage, turn: u64, arguments: &Arguments, bar: &ProgressBar) -> Vec<Ask> {
    if turn.is_multiple_of(CALLS_PER_BLOCK) {
        stage.chain.mine(1);
    }
    play(stage, turn, arguments.calls(), bar);
    let mut rng = Rng::with_seed(arguments.seed.wrapping_add(turn));
    let head = stage.chain.block_number();
    let block = |number| stage.chain.block(number).expect("it is not above the head");
    let settled = block(rng.u64(..=head - LAG));
    let fresh = block(head - rng.u64(..LAG));
    match rng.bool() {
        true => draw(&mut rng, &fresh, &settled),
        false => draw(&mut rng, &settled, &settled),
    }
}

/// In the first third of an act the nodes suffer, in the others they are well.
fn play(stage: &Stage, turn: u64, turns: u64, bar: &ProgressBar) {
    let third = |turn| turn * 3 * SCRIPT.len() as u64 / turns;
    if turn > 0 && third(turn - 1) == third(turn) {
        return;
    }
    stage.heal();
    bar.set_message("all is well");
    if third(turn) % 3 == 0 {
        let (title, nodes, strike) = SCRIPT[third(turn) as usize / 3];
        nodes.iter().for_each(|node| strike(&stage.nodes[*node]));
        tell(bar, title);
    }
}
