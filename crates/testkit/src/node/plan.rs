//! What will happen to one packet.

use super::disruption::HttpAnswer;
use crate::{
    ErrorObject, SimChain,
    rpc::{Answer, LogLimit},
};
use fastrand::Rng;
use std::time::Duration;

/// The sum of all rules that struck a packet.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) delay: Duration,
    pub(crate) fate: Fate,
    pub(crate) shapes: Vec<Shape>,
    /// One for each call, or none at all.
    pub(crate) twists: Vec<Twist>,
}

/// How a packet ends.
#[derive(Debug, Default)]
pub(crate) enum Fate {
    #[default]
    Answer,
    Refuse,
    Hang,
    Http(HttpAnswer),
    Html,
    Cut,
    Lose,
    Truncate,
    Endless,
}

/// What happens to the list of answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Missing,
    Reordered,
    Duplicated,
    Foreign,
}

/// What happens to one answer.
#[derive(Debug, Default)]
pub(crate) struct Twist {
    pub(crate) error: Option<ErrorObject>,
    pub(crate) null: bool,
    pub(crate) chain: Option<SimChain>,
    pub(crate) kept: Option<u64>,
    pub(crate) lag: u64,
    pub(crate) ceiling: Option<u64>,
    pub(crate) log_limit: LogLimit,
}

/// The answer to one call.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Which call of the packet it belongs to.
    pub(crate) call: usize,
    /// Whether it bears an id that no call has.
    pub(crate) foreign: bool,
    pub(crate) answer: Answer,
}

impl Plan {
    /// The rule that was set first decides.
    pub(crate) fn decide(&mut self, fate: Fate) {
        if matches!(self.fate, Fate::Answer) {
            self.fate = fate;
        }
    }
}

impl Shape {
    /// Bends a list of answers; only foreign ids make sense for a single one.
    pub(crate) fn apply(self, members: &mut Vec<Member>, batch: bool, rng: &mut Rng) {
        if let Self::Foreign = self {
            members.iter_mut().for_each(|member| member.foreign = true);
        }
        if !batch || members.is_empty() {
            return;
        }
        let chosen = rng.usize(..members.len());
        match self {
            Self::Foreign => {}
            Self::Missing => {
                let mut index = 0;
                members.retain(|_| {
                    index += 1;
                    index - 1 != chosen && rng.u8(..4) != 0
                });
            }
            Self::Duplicated => {
                let twice = members[chosen].clone();
                members.insert(rng.usize(..=members.len()), twice);
            }
            Self::Reordered => {
                rng.shuffle(members);
                if members.is_sorted_by_key(|member| member.call) {
                    members.rotate_left(1);
                }
            }
        }
    }
}
