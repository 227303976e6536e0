//! What is drawn for one run: which layers, in which legal order, with which settings.

use crate::{
    answers::{Call, Question},
    invariants::{Budgets, Checks, Limit, Purse},
};
use alclad::{Role, Sends};
use fastrand::Rng;
use std::{num::NonZeroUsize, time::Duration};

/// What was drawn for one run.
#[derive(Clone, Debug)]
pub(crate) struct StackPlan {
    pub(crate) rings: Vec<RingPlan>,
    pub(crate) rotation: Option<RotationPlan>,
    pub(crate) retry: Option<RetryPlan>,
    pub(crate) cache: Option<CachePlan>,
    pub(crate) tx_guard: bool,
    /// The guards are not told which chain it is.
    pub(crate) learns: bool,
    /// In both rings, with one report.
    pub(crate) metrics: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct CachePlan {
    pub(crate) max_bytes: u64,
    pub(crate) lifetime: u8,
    pub(crate) final_depth: u64,
    /// For how long `latest` is read as what was seen.
    pub(crate) pinned: Option<Duration>,
    /// It knows what the rotation has seen.
    pub(crate) has_heads: bool,
    pub(crate) source: ChainSource,
    /// A pipeline for another chain uses the same store.
    pub(crate) is_shared: bool,
    pub(crate) above_tx_guard: bool,
}

/// From where a cache knows its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChainSource {
    Told,
    /// The guards' baseline.
    Guards,
    /// It asks.
    Itself,
}

/// The layers of one endpoint's ring, the outermost first.
#[derive(Clone, Debug)]
pub(crate) struct RingPlan {
    pub(crate) guard: Option<GuardPlan>,
    pub(crate) limit: Option<LimitPlan>,
    pub(crate) timeout: Option<Duration>,
    /// What logs are given instead.
    pub(crate) log_timeout: Option<Duration>,
    pub(crate) permits: Option<usize>,
    /// Whether those stand above the timeout.
    pub(crate) permits_first: bool,
    pub(crate) tier: u8,
    pub(crate) role: Role,
    pub(crate) weight: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct GuardPlan {
    /// For how long a verification holds.
    pub(crate) interval: Duration,
    /// How long after a mismatch it looks again, at first and at most.
    pub(crate) recheck: (Duration, Duration),
    pub(crate) answers_itself: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct LimitPlan {
    pub(crate) rate: u32,
    pub(crate) burst: u32,
    pub(crate) window: Option<Duration>,
    pub(crate) by_method: bool,
    pub(crate) policy: u8,
    pub(crate) max_wait: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(crate) struct RotationPlan {
    pub(crate) strategy: u8,
    pub(crate) sends: Sends,
    pub(crate) hedged: bool,
    pub(crate) polled: bool,
    pub(crate) knows_block_time: bool,
    pub(crate) budget: (f64, u32),
}

#[derive(Clone, Debug)]
pub(crate) struct RetryPlan {
    pub(crate) attempts: u32,
    pub(crate) first: Duration,
    pub(crate) cap: Duration,
    pub(crate) max_hint: Duration,
    pub(crate) block_waits: u32,
    /// None: that of the rotation.
    pub(crate) budget: Option<(f64, u32)>,
}

// === impl StackPlan ===

impl StackPlan {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let has_rotation = rng.u8(..8) > 0;
        let endpoints = if has_rotation { rng.usize(1..=4) } else { 1 };
        let guarded = rng.u8(..3) == 0;
        let has_roles = rng.u8(..4) == 0;
        let rings: Vec<_> =
            (0..endpoints).map(|_| RingPlan::draw(rng, guarded, has_roles)).collect();
        let rotation = has_rotation.then(|| RotationPlan::draw(rng));
        let retry = (rng.u8(..4) > 0).then(|| RetryPlan::draw(rng, has_rotation));
        let cache = (rng.u8(..3) > 0).then(|| CachePlan::draw(rng, has_rotation));
        // Who may only write cannot say which chain it is.
        let can_say = rings.iter().any(|ring| ring.role != Role::Write);
        let learns = guarded && rng.u8(..3) == 0 && can_say;
        Self { rings, rotation, retry, cache, tx_guard: rng.bool(), learns, metrics: rng.bool() }
    }

    /// What the stack promises.
    pub(crate) fn checks(&self) -> Checks {
        let limit = |ring: &RingPlan| ring.limit.as_ref().map(LimitPlan::promise);
        let purse = |(share, reserve): (f64, u32)| Purse::new(share, reserve);
        let rotation = self.rotation.as_ref();
        let own = self.retry.as_ref().and_then(|retry| retry.budget);
        Checks {
            sends: rotation.map_or(1, |rotation| match rotation.sends {
                Sends::Some(count) => count.get(),
                Sends::All => self.rings.len(),
                _ => 1,
            }),
            has_rotation: rotation.is_some(),
            limits: self.rings.iter().map(limit).collect(),
            budgets: Budgets {
                retries: own.map(purse),
                failovers: rotation.map(|rotation| purse(rotation.budget)).unwrap_or_default(),
                // A twentieth of the calls, and twenty after a quiet time.
                hedges: Purse::new(0.05, 20),
            },
            is_open: Box::new(|_| false),
        }
    }

    /// The longest that an attempt may take, if all have a limit.
    pub(crate) fn attempt_timeout(&self) -> Duration {
        let limits = self.rings.iter().filter_map(RingPlan::longest);
        limits.max().unwrap_or(Duration::from_secs(10))
    }

    /// For how long the verifications of all guards hold.
    pub(crate) fn guard_interval(&self) -> Duration {
        let guards = self.rings.iter().filter_map(|ring| ring.guard.as_ref());
        guards.map(|guard| guard.interval).max().unwrap_or_default()
    }
}

// === impl CachePlan ===

impl CachePlan {
    fn draw(rng: &mut Rng, has_rotation: bool) -> Self {
        let sources = [ChainSource::Told, ChainSource::Guards, ChainSource::Itself];
        let source = sources[rng.usize(..3)];
        let seconds = [1, 3, 15];
        Self {
            max_bytes: [0, 8 << 10, 64 << 10, 64 << 20][rng.usize(..4)],
            lifetime: rng.u8(..4),
            final_depth: [6, 16, 128][rng.usize(..3)],
            pinned: (rng.u8(..3) == 0).then(|| Duration::from_secs(seconds[rng.usize(..3)])),
            has_heads: has_rotation && rng.u8(..4) > 0,
            source,
            is_shared: source == ChainSource::Told && rng.bool(),
            above_tx_guard: rng.bool(),
        }
    }

    /// How old an answer may be, if a block takes so long: one that was asked for by its hash as
    /// old as it may be.
    pub(crate) fn reach(&self, call: &Call, question: &Question) -> Duration {
        let is_latest = question.params.to_string().contains("latest");
        match question.method {
            _ if call.options.no_cache || call.options.endpoint.is_some() => Duration::ZERO,
            "eth_getBlockByHash" => Duration::MAX,
            "eth_getLogs" if is_latest => Duration::ZERO,
            _ if is_latest => self.pinned.map_or(Duration::ZERO, |age| age.max(call.block_time)),
            _ => call.block_time,
        }
    }
}

// === impl RingPlan ===

impl RingPlan {
    fn draw(rng: &mut Rng, guarded: bool, has_roles: bool) -> Self {
        let roles = [Role::ReadWrite, Role::Read, Role::Write];
        let timeout = (rng.u8(..5) > 0).then(|| Duration::from_millis(rng.u64(400..4000)));
        let has_log_timeout = rng.u8(..3) == 0;
        Self {
            guard: guarded.then(|| GuardPlan::draw(rng)),
            limit: (rng.u8(..4) == 0).then(|| LimitPlan::draw(rng)),
            timeout,
            log_timeout: timeout.filter(|_| has_log_timeout).map(|timeout| 2 * timeout),
            permits: (rng.u8(..6) == 0).then(|| rng.usize(1..8)),
            permits_first: rng.bool(),
            tier: if rng.u8(..3) == 0 { rng.u8(..3) } else { 0 },
            role: if has_roles { roles[rng.usize(..3)] } else { Role::ReadWrite },
            weight: rng.u32(1..4),
        }
    }

    /// The longest that an attempt may take.
    pub(crate) fn longest(&self) -> Option<Duration> {
        self.log_timeout.max(self.timeout)
    }
}

// === impl GuardPlan ===

impl GuardPlan {
    fn draw(rng: &mut Rng) -> Self {
        let seconds = |rng: &mut Rng, of: [u64; 4]| Duration::from_secs(of[rng.usize(..4)]);
        let first = seconds(rng, [1, 2, 5, 5]);
        Self {
            interval: seconds(rng, [1, 5, 20, 60]),
            recheck: (first, first * [1, 4, 60][rng.usize(..3)]),
            answers_itself: rng.u8(..3) > 0,
        }
    }
}

// === impl LimitPlan ===

impl LimitPlan {
    fn draw(rng: &mut Rng) -> Self {
        let seconds = Duration::from_millis([500, 1_000, 3_000][rng.usize(..3)]);
        Self {
            rate: rng.u32(2..60),
            burst: rng.u32(1..12),
            window: (rng.u8(..3) == 0).then_some(seconds),
            by_method: rng.u8(..3) == 0,
            policy: rng.u8(..4),
            max_wait: (rng.u8(..3) == 0).then(|| Duration::from_millis(rng.u64(..2_000))),
        }
    }

    fn promise(&self) -> Limit {
        let cost = if self.by_method { cost } else { |_: &str| 1 };
        Limit::new(self.rate, self.burst, self.window, cost)
    }
}

/// What a request costs where that differs.
pub(crate) fn cost(method: &str) -> u32 {
    match method {
        "eth_blockNumber" | "eth_chainId" => 1,
        "eth_getLogs" => 5,
        _ => 2,
    }
}

// === impl RotationPlan ===

impl RotationPlan {
    fn draw(rng: &mut Rng) -> Self {
        let sends = match rng.u8(..6) {
            0 => Sends::All,
            1 => Sends::Some(NonZeroUsize::new(2).expect("not zero")),
            _ => Sends::One,
        };
        Self {
            strategy: rng.u8(..3),
            sends,
            hedged: rng.u8(..3) > 0,
            polled: rng.u8(..3) == 0,
            knows_block_time: rng.bool(),
            budget: budget(rng),
        }
    }
}

fn budget(rng: &mut Rng) -> (f64, u32) {
    ([0.0, 0.1, 0.2, 0.5][rng.usize(..4)], [0, 1, 3, 10][rng.usize(..4)])
}

// === impl RetryPlan ===

impl RetryPlan {
    fn draw(rng: &mut Rng, has_rotation: bool) -> Self {
        let own = !has_rotation || rng.u8(..4) == 0;
        Self {
            attempts: rng.u32(1..=5),
            first: Duration::from_millis(rng.u64(5..300)),
            cap: Duration::from_secs([1, 10][rng.usize(..2)]),
            max_hint: Duration::from_secs([1, 30][rng.usize(..2)]),
            block_waits: rng.u32(..3),
            budget: own.then(|| budget(rng)),
        }
    }
}
