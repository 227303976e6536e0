//! Three simulated nodes of one chain, and the script of what befalls them.

use crate::{
    Arguments,
    report::tell,
    traffic::{self, Ask},
    trial::Verdict,
};
use alclad::{Endpoint, HttpTransport};
use alclad_testkit::{Disruption, RateLimit, SimChain, SimNode, SimServer};
use alloy::transports::TransportResult;
use fastrand::Rng;
use futures::future::join_all;
use indicatif::ProgressBar;
use serde_json::Value;
use std::num::NonZeroU32;
use url::Url;

/// The names of the nodes.
const NODES: [&str; 3] = ["first", "second", "third"];

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

/// A chain and the nodes that serve it, on loopback.
pub(crate) struct Stage {
    pub(crate) chain: SimChain,
    pub(crate) nodes: Vec<SimNode>,
    servers: Vec<SimServer>,
}

impl Stage {
    /// Healthy nodes on a chain of this seed.
    pub(crate) async fn new(seed: u64) -> Self {
        let chain = SimChain::new(seed);
        chain.mine(64);
        let nodes: Vec<_> = NODES.iter().map(|_| SimNode::new(&chain)).collect();
        let servers = join_all(nodes.iter().map(SimNode::serve_http)).await;
        Self { chain, nodes, servers }
    }

    pub(crate) fn urls(&self) -> impl Iterator<Item = Url> {
        self.servers.iter().map(SimServer::url)
    }

    pub(crate) fn endpoints(&self) -> impl Iterator<Item = Endpoint<HttpTransport>> {
        NODES.into_iter().zip(self.urls()).map(|(label, url)| Endpoint::http(label, url))
    }

    /// Plays the script as far as this turn; what to ask in it is every other time about the head.
    pub(crate) fn draw(&self, turn: u64, arguments: &Arguments, bar: &ProgressBar) -> Vec<Ask> {
        if turn.is_multiple_of(CALLS_PER_BLOCK) {
            self.chain.mine(1);
        }
        self.play(turn, arguments.calls(), bar);
        let mut rng = Rng::with_seed(arguments.seed.wrapping_add(turn));
        let head = self.chain.block_number();
        let block = |number| self.chain.block(number).expect("it is not above the head");
        let settled = block(rng.u64(..=head - LAG));
        let fresh = block(head - rng.u64(..LAG));
        match rng.bool() {
            true => traffic::draw(&mut rng, &fresh, &settled),
            false => traffic::draw(&mut rng, &settled, &settled),
        }
    }

    /// In the first third of an act the nodes suffer, in the others they are well.
    fn play(&self, turn: u64, turns: u64, bar: &ProgressBar) {
        let third = |turn| turn * 3 * SCRIPT.len() as u64 / turns;
        if turn > 0 && third(turn - 1) == third(turn) {
            return;
        }
        self.nodes.iter().for_each(heal);
        bar.set_message("all is well");
        if third(turn) % 3 == 0 {
            let (title, nodes, strike) = SCRIPT[third(turn) as usize / 3];
            nodes.iter().for_each(|node| strike(&self.nodes[*node]));
            tell(bar, title);
        }
    }

    /// Compares an answer with the truth.
    pub(crate) fn judge(&self, ask: &Ask, answer: TransportResult<Value>) -> Verdict {
        let Ask { method, params } = ask;
        match (answer, self.chain.answer(method, params.clone())) {
            (Ok(answer), Ok(truth)) if answer == truth => Verdict::Right,
            (Ok(answer), _) => Verdict::Wrong(format!("{method} {params}: {answer}")),
            (Err(error), _) => Verdict::Failed(format!("{method} {params}: {error}")),
        }
    }
}

fn heal(node: &SimNode) {
    node.clear();
    node.set_lag(0);
    node.set_rate_limit(None);
}
