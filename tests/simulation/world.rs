//! The chain, its nodes, and what can be known of their past.

use crate::{
    answers::{Call, Question},
    faults::{self, Ailment, Episode, OTHER_CHAIN},
    record::Recorder,
};
use alclad_testkit::{ChainSpec, Rule, SimChain, SimNode};
use alloy::primitives::B256;
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub(crate) const CHAIN_ID: u64 = 1;
/// Blocks at the start of a run.
const GENERATIONS: u64 = 24;
/// What a node that is well takes at most: its latency, and a tail.
const SLOWEST: Duration = Duration::from_millis(200);

pub(crate) struct World {
    pub(crate) chain: SimChain,
    pub(crate) twin: SimChain,
    pub(crate) nodes: Vec<SimNode>,
    pub(crate) latencies: Vec<Vec<Rule>>,
    pub(crate) episodes: Vec<Episode>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) block_time: Duration,
    /// Answers may be about what was, because a cache has kept them.
    pub(crate) is_remembered: bool,
    /// The guards found out their chain when all was well.
    pub(crate) is_learnt: bool,
    past: Mutex<Past>,
}

#[derive(Default)]
pub(crate) struct Past {
    /// When each block was made, and when it was orphaned.
    pub(crate) blocks: HashMap<B256, (Duration, Option<Duration>)>,
    known: u64,
    /// Those that wait for their answers.
    pub(crate) calls: BTreeMap<usize, Call>,
    /// How the world was, one state after the other.
    states: Vec<State>,
    /// The chain as it was before each reorg.
    branches: Vec<SimChain>,
    /// The filters that the client has made.
    pub(crate) filters: Vec<Value>,
    /// The newest head that the client was given.
    pub(crate) floor: u64,
    is_healed: bool,
    /// All that was to go wrong has.
    pub(crate) is_over: bool,
}

/// How far everybody was for a while.
struct State {
    until: Duration,
    heads: Vec<u64>,
    branch: usize,
}

impl World {
    pub(crate) fn new(
        seed: u64,
        block_time: Duration,
        latencies: Vec<Vec<Rule>>,
        recorder: Arc<Recorder>,
    ) -> Self {
        let spec = ChainSpec::new(seed).with_chain_id(CHAIN_ID).with_block_time(block_time);
        let chain = SimChain::start(spec.with_traffic(0..=2, 0..=2).with_finality(6, 12));
        chain.mine(GENERATIONS);
        let nodes = latencies.iter().map(|_| SimNode::new(&chain)).collect();
        let twin = chain.twin(OTHER_CHAIN);
        let (episodes, past) = (Vec::new(), Mutex::default());
        let (is_remembered, is_learnt) = (false, false);
        let world = Self {
            chain,
            twin,
            nodes,
            latencies,
            episodes,
            recorder,
            block_time,
            is_remembered,
            is_learnt,
            past,
        };
        world.see_blocks();
        world
    }

    pub(crate) fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something that answers depend on: what they could be before is written down first,
    /// for every call that is under way.
    pub(crate) fn change(&self, what: &str, change: impl FnOnce(&Self)) {
        let mut calls = std::mem::take(&mut self.past().calls);
        calls.values_mut().for_each(|call| call.see_truths(self));
        let mut past = self.past();
        past.calls.append(&mut calls);
        if self.is_remembered {
            let (until, branch) = (self.recorder.now(), past.branches.len());
            past.states.push(State { until, heads: self.heads(), branch });
        }
        drop(past);
        change(self);
        self.see_blocks();
        self.recorder.note(format_args!("world: {what}, head {}", self.chain.block_number()));
    }

    pub(crate) fn mine(&self) {
        self.change("a block", |world| world.chain.mine(1));
    }

    /// The branch that wins is as long as the other one, or longer.
    pub(crate) fn reorg(&self, depth: u64, more: u64) {
        let now = self.recorder.now();
        self.change("a reorg", |world| {
            world.past().branches.push(world.chain.snapshot());
            let reorg = world.chain.reorg_to(depth, depth + more);
            let mut past = world.past();
            past.known = reorg.fork;
            for hash in reorg.orphaned {
                past.blocks.entry(hash).or_default().1 = Some(now);
            }
        });
    }

    /// How far the nodes are, also those that lag now and then.
    pub(crate) fn heads(&self) -> Vec<u64> {
        let head = self.chain.block_number();
        let mut heads: Vec<_> = self.nodes.iter().map(|node| node.block_number()).collect();
        heads.push(head);
        heads.extend(heads.clone().into_iter().flat_map(|head| (1..4).map(move |n| head - n)));
        heads.sort_unstable();
        heads.dedup();
        heads
    }

    /// Whether a node could have said this at some time since then.
    pub(crate) fn was_true(&self, since: Duration, question: &Question, result: &Value) -> bool {
        let Question { method, params, .. } = question;
        let past = self.past();
        let mut states = past.states.iter().filter(|state| state.until >= since);
        states.any(|state| {
            let chain = past.branches.get(state.branch).unwrap_or(&self.chain);
            let told = |head: &u64| chain.answer_at(*head, method, params.clone());
            state.heads.iter().any(|head| told(head).as_ref() == Ok(result))
        })
    }

    fn see_blocks(&self) {
        let now = self.recorder.now();
        let mut past = self.past();
        for number in past.known..=self.chain.block_number() {
            if let Some(block) = self.chain.block(number) {
                past.blocks.entry(block.header.hash).or_insert((now, None));
            }
        }
        past.known = self.chain.block_number();
    }

    /// Begins and ends what is due at a node.
    pub(crate) fn inflict(&self, node: usize) {
        let now = self.recorder.now();
        let is_healed = self.past().is_healed;
        let suffers = |episode: &&Episode| {
            !is_healed && episode.node == node && (episode.from..episode.until).contains(&now)
        };
        let suffered: Vec<_> = self.episodes.iter().filter(suffers).collect();
        let what = format!("node {node} suffers {suffered:?}");
        self.change(&what, |world| {
            faults::inflict(&world.nodes[node], &world.latencies[node], &world.twin, &suffered);
        });
    }

    /// Nothing goes wrong from now on.
    pub(crate) fn heal(&self) {
        self.past().is_healed = true;
        (0..self.nodes.len()).for_each(|node| self.inflict(node));
    }

    /// What went wrong at a node at any time up to now; nothing, once it is all long over.
    pub(crate) fn ailed(&self, node: usize) -> impl Iterator<Item = &Episode> {
        let (now, is_over) = (self.recorder.now(), self.past().is_over);
        let ails = move |episode: &&Episode| episode.node == node && episode.from <= now;
        self.episodes.iter().filter(move |episode| !is_over && ails(episode))
    }

    /// How long a node may take that is well.
    pub(crate) fn slowest(&self, node: usize) -> Duration {
        if self.latencies[node].is_empty() { Duration::ZERO } else { SLOWEST }
    }

    /// How long a guard may wait before it looks at an endpoint again that was on another chain.
    pub(crate) fn longest_recheck(&self) -> Duration {
        let other = |episode: &Episode| matches!(episode.ailment, Ailment::OtherChain);
        Duration::from_secs(if self.episodes.iter().any(other) { 301 } else { 0 })
    }

    /// Whether an endpoint has changed over to another chain so lately that its guard may not have
    /// looked since: an honest limit of guards. One that began with it is found out at once.
    pub(crate) fn may_be_on_other_chain(&self, since: Duration, interval: Duration) -> bool {
        self.episodes.iter().any(|episode| {
            let is_sudden = episode.from > Duration::ZERO || self.is_learnt;
            matches!(episode.ailment, Ailment::OtherChain)
                && is_sudden
                && episode.from <= self.recorder.now()
                && episode.from + interval >= since
        })
    }
}
