use crate::question::CHAIN_ID;
use alclad_core::{BlockRef, Method, Sighting};
use alloy_json_rpc::{Id, RequestPacket, Response, ResponsePacket, SerializedRequest};
use alloy_primitives::U64;
use smallvec::SmallVec;

/// The members of a packet whose answers tell of the endpoint's chain; of most packets, none.
#[derive(Default)]
pub(super) struct Watch(SmallVec<[Member; 1]>);

struct Member {
    id: Id,
    method: &'static Method,
    asked: BlockRef,
}

// === impl Watch ===

impl Watch {
    pub(super) fn over(packet: &RequestPacket) -> Self {
        Self(packet.requests().iter().filter_map(Member::of).collect())
    }

    /// What the answers show of blocks.
    pub(super) fn sightings<'a>(
        &'a self,
        answer: &'a ResponsePacket,
    ) -> impl Iterator<Item = Sighting> {
        self.answers(answer).filter_map(|(member, answer)| {
            Sighting::of_given(member.method.name, member.asked, answer)
        })
    }

    /// The first of the chain ids that they name which is not the expected one.
    pub(super) fn other_chain(&self, answer: &ResponsePacket, expected: u64) -> Option<u64> {
        let chains = self.answers(answer).filter(|(member, _)| member.method.name == CHAIN_ID);
        let mut ids = chains.filter_map(|(_, answer)| {
            serde_json::from_str::<U64>(answer.payload.as_success()?.get()).ok()
        });
        ids.find_map(|id| (id.to::<u64>() != expected).then(|| id.to()))
    }

    fn answers<'a>(
        &'a self,
        answer: &'a ResponsePacket,
    ) -> impl Iterator<Item = (&'a Member, &'a Response)> {
        let answers = match answer {
            ResponsePacket::Single(answer) => std::slice::from_ref(answer),
            ResponsePacket::Batch(answers) => answers,
        };
        let of = |member: &&Member, answer: &&Response| member.id == answer.id;
        self.0.iter().filter_map(move |member| {
            Some((member, answers.iter().find(|answer| of(&member, answer))?))
        })
    }
}

impl Member {
    fn of(request: &SerializedRequest) -> Option<Self> {
        is_watched(request.method()).then(|| Self {
            id: request.id().clone(),
            method: Method::of(request.method()),
            asked: BlockRef::of_request(request),
        })
    }
}

/// Whether its answers tell of the endpoint's chain.
pub(super) fn is_watched(method: &str) -> bool {
    Method::of(method).shows_block || method == CHAIN_ID
}
