//! What is drawn for one run: which layers, in which legal order, with which settings.

use crate::invariants::{Budgets, Checks, Limit, Purse};
use alclad::{Role, Sends};
use fastrand::Rng;
use std::{num::NonZeroUsize, time::Duration};

/// What was drawn for one run.
#[derive(Clone, Debug)]
pub(crate) struct StackPlan {
    pub(crate) rings: Vec<RingPlan>,
    pub(crate) rotation: Option<RotationPlan>,
    pub(crate) retry: Option<RetryPlan>,
    pub(crate) tx_guard: bool,
}

/// The layers of one endpoint's ring, the outermost first.
#[derive(Clone, Debug)]
pub(crate) struct RingPlan {
    /// For how long a verification holds.
    pub(crate) guard: Option<Duration>,
    pub(crate) limit: Option<LimitPlan>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) permits: Option<usize>,
    /// Whether those stand above the timeout.
    pub(crate) permits_first: bool,
    pub(crate) tier: u8,
    pub(crate) role: Role,
    pub(crate) weight: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct LimitPlan {
    pub(crate) rate: u32,
    pub(crate) burst: u32,
    pub(crate) window: Option<Duration>,
    pub(crate) by_method: bool,
    pub(crate) policy: u8,
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
        let rings = (0..endpoints).map(|_| RingPlan::draw(rng, guarded, has_roles)).collect();
        let rotation = has_rotation.then(|| RotationPlan::draw(rng));
        let retry = (rng.u8(..4) > 0).then(|| RetryPlan::draw(rng, has_rotation));
        Self { rings, rotation, retry, tx_guard: rng.bool() }
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
        let limits = self.rings.iter().filter_map(|ring| ring.timeout);
        limits.max().unwrap_or(Duration::from_secs(10))
    }

    /// For how long the verifications of all guards hold.
    pub(crate) fn guard_interval(&self) -> Duration {
        self.rings.iter().filter_map(|ring| ring.guard).max().unwrap_or_default()
    }
}

// === impl RingPlan ===

impl RingPlan {
    fn draw(rng: &mut Rng, guarded: bool, has_roles: bool) -> Self {
        let roles = [Role::ReadWrite, Role::Read, Role::Write];
        let seconds = [1, 5, 20, 60];
        Self {
            guard: guarded.then(|| Duration::from_secs(seconds[rng.usize(..4)])),
            limit: (rng.u8(..4) == 0).then(|| LimitPlan::draw(rng)),
            timeout: (rng.u8(..5) > 0).then(|| Duration::from_millis(rng.u64(400..4000))),
            permits: (rng.u8(..6) == 0).then(|| rng.usize(1..8)),
            permits_first: rng.bool(),
            tier: if rng.u8(..3) == 0 { rng.u8(..3) } else { 0 },
            role: if has_roles { roles[rng.usize(..3)] } else { Role::ReadWrite },
            weight: rng.u32(1..4),
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
            budget: own.then(|| budget(rng)),
        }
    }
}
