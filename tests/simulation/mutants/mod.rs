//! Planted bugs, by which the checker is known to check.

mod planted;

use crate::invariants::{Held, Invariant};
use alloy::transports::BoxTransport;
use planted::Planted;

/// A bug that a layer could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// A batch of which one member failed is sent again, with the members that succeeded.
    ReplaysSuccess,
    /// `null` is kept, and answered to whoever asks the same again.
    KeepsNulls,
    /// A block is kept by its number and survives the reorg that orphans it.
    NoEviction,
    /// Of two endpoints that are asked at once the first answer wins, also if it is an error.
    ErrorWins,
    /// A call that is dropped takes its permit with it.
    LeaksPermit,
    /// A call that is dropped leaves a task behind.
    LeaksTask,
    /// A transaction goes to a second endpoint at once.
    SendsTwice,
    /// Two answers of a batch change places.
    SwapsIds,
    /// The head that was seen first is answered for ever.
    OlderHead,
    /// A limiter lets twice as many pass.
    TwiceTheLimit,
    /// A batch with a member that failed is never answered.
    NeverEnds,
    /// The caller's deadline is not heeded.
    ForgetsDeadline,
    /// Retries draw on no budget.
    EndlessBudget,
    /// An endpoint that failed is asked again at once, three times.
    Hammers,
    /// The chain is not looked at.
    NoGuard,
    /// A lost answer is called a rejection.
    CallsItRejected,
    /// The last member of a batch has no answer.
    LosesMember,
    /// Not the next endpoint is asked after a fault.
    NoFailover,
    /// What was read at a block is kept by its number, and survives the reorg that orphans it.
    ServesOrphans,
    /// What was read at the newest block is kept for ever.
    OldLatest,
    /// The key of a cached answer does not say of which chain it is.
    KeyWithoutChain,
    /// Who joins an equal call in flight gets the answer with that one's id.
    JoinsWithItsId,
    /// A call that is dropped at a limiter keeps its turn.
    LosesTurn,
    /// A request to an endpoint is counted twice.
    CountsTwice,
    /// An answer is noted as cached, and an endpoint has given it.
    NotesHit,
    /// An endpoint is asked for another one's filter.
    StrangeFilter,
    /// A call that is dropped leaves a few bytes behind, and nothing else: see [`bytes`](crate::bytes).
    LeaksBytes,
}

impl Mutant {
    /// Each with the invariant that it breaks, and a part of what is said of it.
    pub(crate) const ALL: [(Self, Invariant, &str); 26] = [
        (Self::NeverEnds, Invariant::I1Ends, "never end"),
        (Self::ForgetsDeadline, Invariant::I1Ends, "its deadline"),
        (Self::LosesMember, Invariant::I1Ends, "is answered"),
        (Self::CallsItRejected, Invariant::I1Ends, "ends in"),
        (Self::JoinsWithItsId, Invariant::I1Ends, "is answered"),
        (Self::CountsTwice, Invariant::I1Ends, "counted"),
        (Self::ErrorWins, Invariant::I2Answers, "could have answered"),
        (Self::NoFailover, Invariant::I2Answers, "could have answered"),
        (Self::KeepsNulls, Invariant::I3Right, "null, and"),
        (Self::NoEviction, Invariant::I3Right, "orphaned"),
        (Self::SwapsIds, Invariant::I3Right, "never true"),
        (Self::OlderHead, Invariant::I3Right, "the client has seen"),
        (Self::NoGuard, Invariant::I3Right, "never true"),
        (Self::ServesOrphans, Invariant::I3Right, "never true"),
        (Self::OldLatest, Invariant::I3Right, "never true"),
        (Self::KeyWithoutChain, Invariant::I3Right, "on chain"),
        (Self::NotesHit, Invariant::I3Right, "it is noted"),
        (Self::StrangeFilter, Invariant::I3Right, "not its own"),
        (Self::ReplaysSuccess, Invariant::I4Writes, "after it succeeded"),
        (Self::SendsTwice, Invariant::I4Writes, "eth_send"),
        (Self::TwiceTheLimit, Invariant::I5Limits, "units"),
        (Self::EndlessBudget, Invariant::I6Budgets, "retries"),
        (Self::Hammers, Invariant::I6Budgets, "twice"),
        (Self::LeaksPermit, Invariant::I7Rest, "permits are free"),
        (Self::LeaksTask, Invariant::I7Rest, "task(s)"),
        (Self::LosesTurn, Invariant::I7Rest, "under way"),
    ];

    /// Between retry layer and rotation, out of the recorder's sight.
    pub(crate) fn below_joint(this: Option<Self>, below: BoxTransport) -> BoxTransport {
        match this {
            Some(
                mutant @ (Self::ReplaysSuccess
                | Self::SendsTwice
                | Self::ErrorWins
                | Self::NoFailover
                | Self::CallsItRejected),
            ) => mutant.put_on(below),
            _ => below,
        }
    }

    pub(crate) fn at_top(this: Option<Self>, below: BoxTransport) -> BoxTransport {
        match this {
            Some(
                mutant @ (Self::KeepsNulls
                | Self::NoEviction
                | Self::SwapsIds
                | Self::OlderHead
                | Self::NeverEnds
                | Self::LosesMember
                | Self::ForgetsDeadline
                | Self::LeaksTask
                | Self::ServesOrphans
                | Self::OldLatest
                | Self::JoinsWithItsId
                | Self::NotesHit
                | Self::LeaksBytes),
            ) => mutant.put_on(below),
            _ => below,
        }
    }

    pub(crate) fn at_door(this: Option<Self>, below: BoxTransport) -> BoxTransport {
        match this {
            Some(mutant @ (Self::Hammers | Self::StrangeFilter)) => mutant.put_on(below),
            _ => below,
        }
    }

    pub(crate) fn in_ring(
        this: Option<Self>,
        below: BoxTransport,
        held: &mut Held,
    ) -> BoxTransport {
        match this {
            Some(mutant @ Self::LeaksPermit) => {
                let planted = Planted::new(mutant, below);
                held.permits.push(planted.permits());
                BoxTransport::new(planted)
            }
            _ => below,
        }
    }

    pub(crate) fn on_limiter(this: Option<Self>, below: BoxTransport) -> BoxTransport {
        match this {
            Some(mutant @ Self::LosesTurn) => mutant.put_on(below),
            _ => below,
        }
    }

    fn put_on(self, below: BoxTransport) -> BoxTransport {
        BoxTransport::new(Planted::new(self, below))
    }
}
