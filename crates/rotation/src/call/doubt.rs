use crate::{
    call::{Call, leg::Attempt},
    freshness::Existence,
    polling::check_chain,
};
use alclad_core::{
    AnswerNote, BlockRef, Kind, Outcome, Seen, Sighting,
    error::{StaleHead, TypedError},
    send,
};
use alloy_json_rpc::{Response, ResponsePayload};

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
    const fn head(self) -> Option<u64> {
        match self {
            Self::Stale { head } => Some(head),
            Self::Null(_) | Self::Far { .. } => None,
        }
    }

    /// How many endpoints are asked at most, the first included.
    const fn most(self) -> usize {
        match self {
            Self::Null(Existence::Likely | Existence::Unlikely) => 2,
            _ => 3,
        }
    }

    pub(crate) const fn denies_what_was_seen(self) -> bool {
        matches!(self, Self::Null(Existence::Certain))
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
        if sighting.is_some() {
            self.roster.seats.iter().for_each(|seat| seat.tell_of_lag());
        }
        if let Some(block) = sighting.as_ref().and_then(|sighting| sighting.block.as_ref()) {
            check_chain(&attempt.seat, block);
        }
        match self.suspicion(index, sighting.as_ref(), seen) {
            // To be a little behind is normal: nobody else need be asked.
            Some(Suspicion::Stale { .. })
                if !attempt.seat.lookout.is_lagging() && self.give_newest(index) =>
            {
                self.convict(index);
            }
            Some(kind) => self.hold(index, kind, attempt.index),
            None => {
                let sighting = sighting.filter(|_| seen != Some(Seen::FarAhead));
                self.believe(index, attempt, sighting.as_ref());
            }
        }
    }

    /// Answers with what another caller was given, which is newer.
    fn give_newest(&mut self, index: usize) -> bool {
        let member = &self.members[index];
        let request = member.question().request();
        let newest = request.and_then(|request| self.roster.shared.freshness.newest(request));
        let Some(payload) = newest.map(ResponsePayload::Success) else { return false };
        let id = member.question().id().clone();
        self.members[index].answer(Response { id, payload });
        self.note_giver(index, None);
        true
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
            let is_shown = |block| self.roster.seats.iter().any(|seat| seat.lookout.has(block));
            return freshness.existence(request, is_shown).map(Suspicion::Null);
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
        let before = self.routes[index].doubt.take();
        let count = before.as_ref().map_or(0, |doubt| doubt.count) + 1;
        let better = before.filter(|before| before.kind.head() > kind.head());
        self.routes[index].doubt = Some(match better {
            Some(before) => Doubt { count, ..before },
            None => Doubt { kind, answer, seat, count },
        });
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
        let (Some(request), Some(answer)) = (question.request(), self.members[index].last_answer())
        else {
            return;
        };
        if let Some(head) = sighting.and_then(|sighting| sighting.latest) {
            freshness.raise_floor(head);
            if let Some(block) = sighting.and_then(|sighting| sighting.block) {
                freshness.gave_newest(request, block, answer);
            }
        }
        match send::transaction_hash(request) {
            Some(hash) => freshness.has_seen(hash),
            None if self.members[index].outcome() == Some(Outcome::Answer) => {
                freshness.has_seen_answer(request, answer);
            }
            None => {}
        }
    }

    /// Not the last one that was asked has given the answer, but this one, or none for this call.
    fn note_giver(&mut self, index: usize, seat: Option<usize>) {
        let member = &mut self.members[index];
        let mut note = AnswerNote::default();
        note.endpoint = seat.map(|seat| self.roster.seats[seat].id.clone());
        note.attempts = member.note().attempts;
        member.set_note(note);
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
        let question = self.members[index].question();
        let named = question.request().map(BlockRef::of_request);
        let block = sighting.and_then(|sighting| sighting.block.as_ref()).map(|block| block.number);
        let is_behind = block.is_some_and(|block| seat.lacks(block));
        // A block that it lacks it may just not have seen; more often than not it lacks the rest.
        if !is_behind || !matches!(named, Some(BlockRef::Number(_))) {
            seat.methods.lacked(question.name());
        }
    }

    /// Those that said that they do not have the block, which another one has.
    fn tell_who_lacks(&self, index: usize) {
        let request = self.members[index].question().request();
        let Some(BlockRef::Number(number)) = request.map(BlockRef::of_request) else { return };
        for seat in &self.routes[index].lacking {
            self.roster.seats[*seat].lacks(number);
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
                self.note_giver(index, Some(doubt.seat));
            }
            Suspicion::Stale { head } | Suspicion::Far { head } => {
                if self.give_newest(index) {
                    return;
                }
                let endpoint = self.roster.seats[doubt.seat].id.clone();
                let newest = self.roster.shared.freshness.newest_head();
                let error = StaleHead::new(endpoint, head, newest);
                self.members[index].discard_answer();
                self.members.give_up(index, error.into_transport_error());
            }
        }
    }
}
