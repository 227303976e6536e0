//! When a disruption strikes.

use super::{
    disruption::Disruption,
    plan::{Fate, Plan, Shape, Twist},
};
use crate::rpc::LogLimit;
use fastrand::Rng;

/// A call as it arrives at a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    pub(crate) params: Option<&'a serde_json::value::RawValue>,
}

/// A [`Disruption`] and the calls that it strikes.
#[derive(Clone, Debug)]
pub struct Rule {
    disruption: Disruption,
    share: f64,
    methods: Vec<String>,
    after: u64,
    times: Option<u64>,
}

impl From<Disruption> for Rule {
    fn from(disruption: Disruption) -> Self {
        Self { disruption, share: 1.0, methods: Vec::new(), after: 0, times: None }
    }
}

impl Rule {
    /// Strikes only this share of the calls, between 0 and 1, drawn from the chain's seed.
    #[must_use]
    pub const fn with_share(mut self, share: f64) -> Self {
        self.share = share;
        self
    }

    /// Strikes only calls of this method, or batches that have one; more methods add up.
    #[must_use]
    pub fn on(mut self, method: impl Into<String>) -> Self {
        self.methods.push(method.into());
        self
    }

    /// Lets this many calls pass first.
    #[must_use]
    pub const fn after(mut self, calls: u64) -> Self {
        self.after = calls;
        self
    }

    /// Strikes so many packets and then never again.
    #[must_use]
    pub const fn times(mut self, packets: u64) -> Self {
        self.times = Some(packets);
        self
    }

    fn concerns(&self, call: &Call<'_>) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|method| method == call.method)
    }

    /// Whether every call is struck, now and later.
    fn is_total(&self) -> bool {
        self.share >= 1.0 && self.methods.is_empty() && self.times.is_none()
    }
}

/// A rule in force at a node.
#[derive(Debug)]
pub(crate) struct ActiveRule {
    rule: Rule,
    /// The head when the rule was set, for a head that stays there.
    head: u64,
    seen: u64,
    struck: u64,
}

impl ActiveRule {
    pub(crate) const fn new(rule: Rule, head: u64) -> Self {
        Self { rule, head, seen: 0, struck: 0 }
    }

    /// Whether the whole node is dead by this rule, not only a call.
    pub(crate) fn kills(&self) -> bool {
        let begun = self.rule.after == 0 || self.struck > 0;
        matches!(self.rule.disruption, Disruption::Dead) && self.rule.is_total() && begun
    }

    /// Whether the node answers nothing at all by this rule.
    #[cfg(feature = "ws")]
    pub(crate) fn silences(&self) -> bool {
        let silent = matches!(self.rule.disruption, Disruption::BlackHole | Disruption::Dead);
        silent && self.rule.is_total() && (self.rule.after == 0 || self.struck > 0)
    }

    /// What this rule does to all that the node says of the chain.
    pub(crate) fn standing(&self, twist: &mut Twist) {
        if self.rule.is_total() && self.seen >= self.rule.after {
            self.twist("", twist);
        }
    }

    /// Decides whether a packet is struck, and writes into the plan what happens to it.
    pub(crate) fn strike(&mut self, calls: &[Call<'_>], plan: &mut Plan, rng: &mut Rng) {
        let concerned = calls.iter().filter(|call| self.rule.concerns(call)).count() as u64;
        let passed = self.seen;
        self.seen += concerned;
        let spent = self.rule.times.is_some_and(|times| self.struck >= times);
        if concerned == 0 || passed < self.rule.after || spent {
            return;
        }
        let struck = if self.is_about_members() {
            self.strike_members(calls, plan, rng)
        } else {
            let hit = hits(self.rule.share, rng);
            if hit {
                self.strike_packet(plan);
            }
            hit
        };
        self.struck += u64::from(struck);
    }

    fn strike_packet(&self, plan: &mut Plan) {
        let fate = match &self.rule.disruption {
            Disruption::SlowBy(delay) => {
                plan.delay += *delay;
                return;
            }
            Disruption::MissingMembers => return plan.shapes.push(Shape::Missing),
            Disruption::ReorderedMembers => return plan.shapes.push(Shape::Reordered),
            Disruption::DuplicatedMembers => return plan.shapes.push(Shape::Duplicated),
            Disruption::ForeignIds => return plan.shapes.push(Shape::Foreign),
            Disruption::Dead => Fate::Refuse,
            Disruption::BlackHole => Fate::Hang,
            Disruption::Reset => Fate::Cut,
            Disruption::LoseAnswer => Fate::Lose,
            Disruption::Http(own) => Fate::Http(own.clone()),
            Disruption::Html => Fate::Html,
            Disruption::TruncatedJson => Fate::Truncate,
            Disruption::EndlessBody => Fate::Endless,
            _ => return,
        };
        plan.decide(fate);
    }

    fn strike_members(&self, calls: &[Call<'_>], plan: &mut Plan, rng: &mut Rng) -> bool {
        let mut any = false;
        for (index, call) in calls.iter().enumerate() {
            if self.rule.concerns(call) && hits(self.rule.share, rng) {
                plan.twists.resize_with(calls.len(), Twist::default);
                self.twist(call.method, &mut plan.twists[index]);
                any = true;
            }
        }
        any
    }

    const fn is_about_members(&self) -> bool {
        matches!(
            self.rule.disruption,
            Disruption::RpcError(_)
                | Disruption::NullReceipts
                | Disruption::NullAnswers
                | Disruption::WrongChain(_)
                | Disruption::Pruned { .. }
                | Disruption::Lag(_)
                | Disruption::FrozenHead
                | Disruption::LogRangeLimit(_)
                | Disruption::LogResultLimit(_)
        )
    }

    fn twist(&self, method: &str, twist: &mut Twist) {
        match &self.rule.disruption {
            Disruption::RpcError(error) => twist.error = Some(error.clone()),
            Disruption::NullAnswers => twist.null = true,
            Disruption::NullReceipts => {
                twist.null |=
                    matches!(method, "eth_getTransactionReceipt" | "eth_getBlockReceipts");
            }
            Disruption::WrongChain(chain) => twist.chain = Some(chain.clone()),
            Disruption::Pruned { depth } => twist.kept = Some(*depth),
            Disruption::Lag(blocks) => twist.lag += blocks,
            Disruption::FrozenHead => twist.ceiling = Some(self.head),
            Disruption::LogRangeLimit(blocks) => {
                twist.log_limit = LogLimit { blocks: Some(*blocks), ..twist.log_limit };
            }
            Disruption::LogResultLimit(results) => {
                twist.log_limit = LogLimit { results: Some(*results), ..twist.log_limit };
            }
            _ => {}
        }
    }
}

fn hits(share: f64, rng: &mut Rng) -> bool {
    share >= 1.0 || rng.f64() < share
}
