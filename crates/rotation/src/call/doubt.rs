use crate::{
    call::{Call, leg::Attempt},
    freshness::{Existence, Freshness},
};
use alclad_core::{
    BlockRef, Kind, Outcome, Seen, Sighting,
    error::{StaleHead, TypedError},
    send,
};
use alloy_json_rpc::{Response, ResponsePayload};
use serde_json::value::to_raw_value;

/// An answer in hand that another endpoint may put right.
pub(crate) struct Doubt {
    pub(crate) kind: Suspicion,
    answer: Response,
    /// Who gave it.
    seat: usize,
    /// How many endpoints have given such an answer.
    count: usize,
}

/// Why an answer is not believed yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suspicion {
    /// `null`, where others may have something.
    Null(Existence),
    /// A head that is older than one that a caller was given.
    Stale { head: u64 },
    /// A head that is far above everybody else's.
    Far { head: u64 },
}

impl Suspicion {
    /// How many endpoints are asked at most, the first included.
    const fn most(self) -> usize {
        match self {
            Self::Null(Existence::Likely | Existence::Unlikely) => 2,
            _ => 3,
        }
    }

    /// Most often such an answer is the truth, and to doubt it is a luxury.
    pub(crate) const fn is_unlikely(self) -> bool {
        matches!(self, Self::Null(Existence::Unlikely))
    }
}

impl Call {
    /// Decides whether an answer is believed, and learns what it tells of its endpoint's chain.
    pub(crate) fn weigh(&mut self, index: usize, attempt: &Attempt) {
        let member = &self.members[index];
        let (request, answer) = (member.question().request(), member.last_answer());
        let sighting =
            request.zip(answer).and_then(|(request, answer)| Sighting::of(request, answer));
        let seen = sighting.as_ref().map(|sighting| attempt.seat.lookout.saw(sighting));
        match self.suspicion(index, sighting.as_ref(), seen) {
            Some(kind) => self.hold(index, kind, attempt.index),
            None => self.believe(index, attempt, sighting.as_ref()),
        }
    }

    fn suspicion(
        &self,
        index: usize,
        sighting: Option<&Sighting>,
        seen: Option<Seen>,
    ) -> Option<Suspicion> {
        let question = self.members[index].question();
        let options = question.options();
        if options.is_some_and(|o| o.no_retry || o.ignore_errors || o.endpoint.is_some()) {
            return None;
        }
        let freshness = &self.roster.shared.freshness;
        if self.members[index].outcome() == Some(Outcome::Null) {
            let request = question.request().filter(|_| !question.method().null_is_answer)?;
            return freshness.existence(request).map(Suspicion::Null);
        }
        let head = sighting?.latest?;
        match seen {
            Some(Seen::FarAhead) => Some(Suspicion::Far { head }),
            _ => freshness.is_stale(head).then_some(Suspicion::Stale { head }),
        }
    }

    /// Keeps an answer until another endpoint has said what it thinks.
    fn hold(&mut self, index: usize, kind: Suspicion, seat: usize) {
        let Some(answer) = self.members[index].last_answer().cloned() else { return };
        let count = self.routes[index].doubt.as_ref().map_or(0, |doubt| doubt.count) + 1;
        self.routes[index].doubt = Some(Doubt { kind, answer, seat, count });
        if count >= kind.most() {
            self.settle_doubt(index);
        }
    }

    fn believe(&mut self, index: usize, attempt: &Attempt, sighting: Option<&Sighting>) {
        self.members[index].close();
        self.convict(index);
        if let Some(doubt) = self.routes[index].doubt.take() {
            self.refute(index, &doubt, sighting);
        }
        self.tell_who_lacks(index);
        let shared = &self.roster.shared;
        let method = self.members[index].question().method();
        if method.kind == Kind::Filter && method.name.starts_with("eth_new") {
            shared.filters.remember(&mut self.members[index], &attempt.seat.id);
        }
        let (freshness, question) = (&shared.freshness, self.members[index].question());
        attempt.seat.methods.answered(question.name());
        if let Some(head) = sighting.and_then(|sighting| sighting.latest) {
            freshness.raise_floor(head);
        }
        if let Some(hash) = question.request().and_then(send::transaction_hash) {
            freshness.has_seen(hash);
        }
        if let (true, Some(block)) =
            (shows_transactions(question.name()), self.members[index].last_answer())
        {
            freshness.has_seen_block(block);
        }
    }

    /// Another endpoint has what this one had not. To have doubted was right, and costs nothing.
    fn refute(&self, index: usize, doubt: &Doubt, sighting: Option<&Sighting>) {
        let is_null = self.members[index].outcome() == Some(Outcome::Null);
        if is_null || !matches!(doubt.kind, Suspicion::Null(_)) {
            return;
        }
        if doubt.kind.is_unlikely() {
            self.roster.shared.spare.give_back(1);
        }
        let seat = &self.roster.seats[doubt.seat];
        let block = sighting.and_then(|sighting| sighting.block.as_ref()).map(|block| block.number);
        match block.filter(|number| !seat.lookout.has(*number)) {
            Some(number) => seat.lookout.lacks(number),
            None => seat.methods.lacked(self.members[index].question().name()),
        }
    }

    /// Those that said that they do not have the block, which another one has.
    fn tell_who_lacks(&self, index: usize) {
        let request = self.members[index].question().request();
        let Some(BlockRef::Number(number)) = request.map(BlockRef::of_request) else { return };
        for seat in &self.routes[index].lacking {
            let lookout = &self.roster.seats[*seat].lookout;
            // One that had it once has pruned it.
            if !lookout.has(number) {
                lookout.lacks(number);
            }
        }
    }

    /// Nobody else can say more: ends the member with the answer in hand, if that may be given.
    pub(crate) fn settle_doubt(&mut self, index: usize) {
        let Some(doubt) = self.routes[index].doubt.take() else { return };
        let freshness = &self.roster.shared.freshness;
        match doubt.kind {
            Suspicion::Null(_) => {
                let request = self.members[index].question().request();
                if let (2.., Some(request)) = (doubt.count, request) {
                    freshness.confirm_null(request);
                }
                self.members[index].answer(doubt.answer);
            }
            Suspicion::Stale { head } | Suspicion::Far { head } => {
                let seen = newest(freshness);
                if self.members[index].question().name() == "eth_blockNumber" {
                    let payload =
                        to_raw_value(&format!("0x{seen:x}")).map(ResponsePayload::Success);
                    let payload = payload.unwrap_or(doubt.answer.payload);
                    self.members[index].answer(Response { id: doubt.answer.id, payload });
                } else {
                    let endpoint = self.roster.seats[doubt.seat].id.clone();
                    let error = StaleHead::new(endpoint, head, seen);
                    self.members[index].discard_answer();
                    self.members.give_up(index, error.into_transport_error());
                }
            }
        }
    }
}

fn newest(freshness: &Freshness) -> u64 {
    freshness.floor().max(freshness.heads.latest().unwrap_or_default())
}

fn shows_transactions(method: &str) -> bool {
    matches!(method, "eth_getBlockByNumber" | "eth_getBlockByHash")
}
