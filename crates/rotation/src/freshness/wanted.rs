use super::BLOCK_NUMBER;
use crate::roster::Roster;
use alclad_core::{BlockRef, Edge, Lookout, Tag};
use alloy_json_rpc::SerializedRequest;
use std::time::Duration;

/// How far an endpoint must be to answer a request.
pub(crate) enum Wanted {
    /// All endpoints are equally far, or it does not matter.
    Anything,
    /// At the head.
    Head,
    /// At this head, which a caller was given; or not asked for a block time, and so perhaps there.
    Floor { head: u64, block_time: Duration },
    /// At this block.
    Block {
        number: u64,
        /// The head that most have.
        served: u64,
        /// The newest block that any endpoint has shown.
        newest: u64,
        /// Of a range nothing tells that its end was not there: who has just shown less is not
        /// asked for it, for this time.
        rest: Duration,
    },
}

impl Wanted {
    pub(crate) fn of(request: &SerializedRequest, roster: &Roster) -> Self {
        let lookouts = || roster.seats.iter().map(|seat| &seat.lookout);
        // Mostly all are at one head, or none is known.
        let first = lookouts().next().and_then(Lookout::head);
        if lookouts().all(|lookout| lookout.head() == first && !lookout.is_lagging()) {
            return Self::Anything;
        }
        let Some(newest) = lookouts().filter_map(Lookout::head).max() else {
            return Self::Anything;
        };
        let block = |number, rest| {
            let served = roster.shared.freshness.heads.latest().unwrap_or(newest);
            Self::Block { number, served, newest, rest }
        };
        let named = BlockRef::of_request(request);
        match named {
            BlockRef::Number(number) => block(number, Duration::ZERO),
            BlockRef::Range(_, Edge::Number(number)) => block(number, roster.block_time()),
            BlockRef::Tag(Tag::Earliest) => Self::Anything,
            _ if asks_for_newest(request.method(), named) => {
                let freshness = &roster.shared.freshness;
                let head = freshness.floor();
                match lookouts().any(|lookout| lookout.has(head) && !lookout.is_lagging()) {
                    true => Self::Floor { head, block_time: freshness.heads.block_time() },
                    false => Self::Head,
                }
            }
            _ => Self::Head,
        }
    }

    /// Whether this endpoint is there. One that has not shown the block is believed to have it if
    /// most do, or if nobody has shown it.
    pub(crate) fn is_at(&self, lookout: &Lookout) -> bool {
        let is_old = |block_time| lookout.age().is_none_or(|age| age >= block_time);
        match self {
            Self::Anything => true,
            Self::Head => !lookout.is_lagging(),
            Self::Floor { head, block_time } => {
                !lookout.is_lagging() && (lookout.has(*head) || is_old(*block_time))
            }
            Self::Block { number, served, newest, rest } => {
                let may_have = number > newest || number <= served && is_old(*rest);
                lookout.has(*number) || !lookout.is_lagging() && may_have
            }
        }
    }
}

/// Whether the answer is the newest block or its number.
fn asks_for_newest(method: &str, named: BlockRef) -> bool {
    match method {
        BLOCK_NUMBER => true,
        "eth_getBlockByNumber" => named == BlockRef::Tag(Tag::Latest),
        _ => false,
    }
}
