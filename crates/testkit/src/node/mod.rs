//! A node that serves a simulated chain, well or badly.

mod allowance;
mod counters;
pub(crate) mod disruption;
mod feed;
pub(crate) mod plan;
pub(crate) mod receive;
pub(crate) mod rule;
mod transport;
pub(crate) mod wire;

use crate::{
    SimChain,
    rpc::{Sight, View},
};
use allowance::Allowance;
pub use allowance::RateLimit;
use counters::Counters;
use fastrand::Rng;
pub(crate) use feed::Feeds;
use plan::{Plan, Twist};
use rule::{ActiveRule, Call, Rule};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::sync::watch;
pub use transport::SimTransport;

/// A node of a [`SimChain`]; clones are the same node.
///
/// It answers in process through [`transport`](Self::transport), and on loopback through
/// `serve_http` and `serve_ws`, all with the same counters and the same disruptions.
///
/// ```
/// use alclad_testkit::{SimChain, SimNode};
///
/// let chain = SimChain::new(7);
/// chain.mine(20);
/// let fresh = SimNode::new(&chain);
/// let behind = SimNode::new(&chain).with_lag(5);
/// assert_eq!((fresh.block_number(), behind.block_number()), (20, 15));
/// ```
#[derive(Clone)]
pub struct SimNode {
    shared: Arc<Shared>,
}

struct Shared {
    chain: SimChain,
    lag: AtomicU64,
    schedule: Mutex<Schedule>,
    allowance: Mutex<Option<Allowance>>,
    filters: Mutex<Feeds>,
    counters: Counters,
    alive: watch::Sender<bool>,
    /// Counts what changes the view of the chain, for subscriptions.
    changes: watch::Sender<u64>,
}

/// The rules in force, and the dice.
#[derive(Debug)]
struct Schedule {
    rules: Vec<ActiveRule>,
    rng: Rng,
}

impl SimNode {
    /// A healthy node at the head of the chain.
    pub fn new(chain: &SimChain) -> Self {
        let number = chain.enrol();
        let rng = Rng::with_seed(chain.seed() ^ (number + 1).wrapping_mul(0xa076_1d64_78bd_642f));
        Self {
            shared: Arc::new(Shared {
                chain: chain.clone(),
                lag: AtomicU64::new(0),
                schedule: Mutex::new(Schedule { rules: Vec::new(), rng }),
                allowance: Mutex::new(None),
                // Ids differ from node to node, so that none knows the filter of another.
                filters: Mutex::new(Feeds::new((number + 1) << 32)),
                counters: Counters::default(),
                alive: watch::Sender::new(true),
                changes: watch::Sender::new(0),
            }),
        }
    }

    /// The same node, so many blocks behind the head.
    #[must_use]
    pub fn with_lag(self, blocks: u64) -> Self {
        self.set_lag(blocks);
        self
    }

    /// Sets how many blocks the node is behind the head of the chain.
    pub fn set_lag(&self, blocks: u64) {
        self.shared.lag.store(blocks, Relaxed);
        self.stir();
    }

    /// The chain that the node serves.
    pub fn chain(&self) -> &SimChain {
        &self.shared.chain
    }

    /// The newest block that the node knows.
    pub fn block_number(&self) -> u64 {
        let (chain, sight) = self.standing();
        View::new(chain.spec(), &chain.ledger(), &sight).head
    }

    /// Replaces all disruptions by this one.
    pub fn set(&self, rule: impl Into<Rule>) {
        self.schedule().rules.clear();
        self.add(rule);
    }

    /// Adds a disruption to those in force. Where two decide how a packet ends, the older wins.
    pub fn add(&self, rule: impl Into<Rule>) {
        let head = self.block_number();
        self.schedule().rules.push(ActiveRule::new(rule.into(), head));
        self.stir();
    }

    /// Ends all disruptions; lag and rate limit stay.
    pub fn clear(&self) {
        self.schedule().rules.clear();
        self.stir();
    }

    /// Sets, changes or lifts the rate limit that the node enforces. What was taken under one
    /// limit is counted under the next.
    pub fn set_rate_limit(&self, limit: impl Into<Option<RateLimit>>) {
        let mut allowance = lock(&self.shared.allowance);
        match (limit.into(), &mut *allowance) {
            (Some(limit), Some(allowance)) => allowance.change(limit),
            (limit, allowance) => *allowance = limit.map(Allowance::new),
        }
    }

    /// How many calls of a method arrived, each member of a batch counted by itself.
    pub fn calls(&self, method: &str) -> u64 {
        self.shared.counters.calls(method)
    }

    /// How many calls of each method arrived.
    pub fn calls_by_method(&self) -> BTreeMap<String, u64> {
        self.shared.counters.by_method()
    }

    /// How many calls arrived. Calls that found a dead node are not counted.
    pub fn total_calls(&self) -> u64 {
        self.shared.counters.total_calls()
    }

    /// How many packets arrived: single calls and batches, or HTTP requests.
    pub fn packets(&self) -> u64 {
        self.shared.counters.packets.load(Relaxed)
    }

    /// How many calls were given an answer that the node meant to arrive whole.
    pub fn answered(&self) -> u64 {
        self.shared.counters.answered.load(Relaxed)
    }

    /// How many packets the rate limit turned away.
    pub fn throttled(&self) -> u64 {
        self.shared.counters.throttled.load(Relaxed)
    }

    /// How many packets are being worked on.
    pub fn in_flight(&self) -> u64 {
        self.shared.counters.in_flight.load(Relaxed)
    }

    /// Sets all counters to zero, except what is in flight.
    pub fn reset_counters(&self) {
        self.shared.counters.reset();
    }

    /// A transport that reaches this node without a socket, on tokio's clock.
    pub fn transport(&self) -> SimTransport {
        SimTransport::new(self.clone())
    }

    /// What happens to a packet, by the rules in force.
    fn plan(&self, calls: &[Call<'_>]) -> Plan {
        let mut plan = Plan::default();
        let mut schedule = self.schedule();
        let Schedule { rules, rng } = &mut *schedule;
        if rules.is_empty() {
            return plan;
        }
        for rule in rules {
            rule.strike(calls, &mut plan, rng);
        }
        drop(schedule);
        self.check_pulse();
        plan
    }

    /// Which chain the node shows, and how far, to a call that this befalls.
    fn sight(&self, twist: &Twist) -> (SimChain, Sight) {
        let chain = twist.chain.as_ref().unwrap_or(&self.shared.chain).clone();
        let lag = self.shared.lag.load(Relaxed).saturating_add(twist.lag);
        let Twist { ceiling, kept, log_limit, .. } = *twist;
        (chain, Sight { lag, ceiling, kept, log_limit })
    }

    /// The same, for what concerns no call.
    pub(crate) fn standing(&self) -> (SimChain, Sight) {
        let mut twist = Twist::default();
        self.schedule().rules.iter().for_each(|rule| rule.standing(&mut twist));
        self.sight(&twist)
    }

    #[cfg(feature = "ws")]
    pub(crate) fn is_silent(&self) -> bool {
        self.schedule().rules.iter().any(ActiveRule::silences)
    }

    #[cfg(any(feature = "http", feature = "ws"))]
    pub(crate) fn alive(&self) -> watch::Receiver<bool> {
        self.shared.alive.subscribe()
    }

    #[cfg(feature = "ws")]
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    fn stir(&self) {
        self.check_pulse();
        self.shared.changes.send_modify(|count| *count += 1);
    }

    fn check_pulse(&self) {
        let alive = !self.schedule().rules.iter().any(ActiveRule::kills);
        self.shared.alive.send_if_modified(|was| std::mem::replace(was, alive) != alive);
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        lock(&self.shared.schedule)
    }
}

impl fmt::Debug for SimNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimNode")
            .field("chain_id", &self.shared.chain.chain_id())
            .field("block_number", &self.block_number())
            .field("rules", &self.schedule().rules)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
