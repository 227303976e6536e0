use crate::{
    call::{Call, Indices},
    seat::Seat,
};
use alclad_core::{BlockRef, Fault, Health, Limiter, Notes, Outcome, Tag, Unsupported, note, send};
use alloy_json_rpc::ResponsePacket;
use alloy_transport::TransportError;
use std::time::Duration;

/// One packet sent to one endpoint.
#[derive(Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) seat: usize,
    /// The age of the endpoint's circuit when it was sent.
    pub(crate) age: u32,
}

/// What a member's answer says about its endpoint.
enum Verdict {
    Good,
    Bad(Fault),
    /// Nothing, or nothing yet.
    Undecided,
}

impl Call<'_> {
    /// Judges what an endpoint said to the members that it was asked about.
    pub(crate) async fn judge(
        &mut self,
        attempt: Attempt,
        members: &[usize],
        answer: Result<ResponsePacket, TransportError>,
        notes: &Notes,
    ) {
        let seat = &self.shared.seats[attempt.seat];
        let answered = answer.is_ok();
        self.members.absorb(members, answer, notes, self.shared.classifier.as_deref());
        let (mut good, mut bad, mut unsupported) = (false, None, Indices::new());
        for index in members {
            self.look_up(*index, seat).await;
            if self.members[*index].open_fault() == Some(METHOD_UNSUPPORTED) {
                unsupported.push(*index);
            }
            match self.decide(*index, attempt, answered) {
                Verdict::Good => good = true,
                Verdict::Bad(fault) => bad = graver(bad, fault),
                Verdict::Undecided => {}
            }
        }
        // A batch that is refused as a whole says nothing about its methods.
        if unsupported.len() < members.len() || members.len() == 1 {
            for index in unsupported {
                seat.remember_unsupported(self.members[index].question().name());
            }
        }
        // However many members a packet has, it is one success or one failure.
        match bad {
            // One method may be refused by an endpoint that answers others.
            Some(fault) if answered && good && fault.health() == Health::ParkLong => {}
            Some(fault) => {
                seat.circuit.fail(fault, fault.health(), attempt.age, seat.requests());
            }
            None if good => seat.circuit.succeed(attempt.age),
            None => {}
        }
    }

    /// Decides a send by its hash, for which the endpoint may have to be asked.
    async fn look_up(&mut self, index: usize, seat: &Seat) {
        if let Some(lookup) = send::resolve(&mut self.members[index]) {
            let sent = seat.send(lookup.packet());
            let (answer, _) = note::capture_at(seat.id.clone(), sent).await;
            lookup.settle(&mut self.members[index], answer);
        }
    }

    /// Closes the member, or leaves it open for the next endpoint.
    fn decide(&mut self, index: usize, attempt: Attempt, answered: bool) -> Verdict {
        self.routes[index].asked.push(attempt.seat);
        match self.members[index].outcome() {
            Some(Outcome::Fault(fault)) => self.decide_fault(index, attempt, fault, answered),
            Some(Outcome::Null) if self.is_suspicious(index) => {
                let likely = self.names_no_block(index);
                let route = &mut self.routes[index];
                route.null = self.members[index].last_answer().cloned();
                route.null_is_likely = likely;
                Verdict::Good
            }
            outcome => {
                self.members[index].close();
                self.convict(index);
                // A `null` that was refuted has cost nothing: to doubt it was right.
                let null = self.routes[index].null.take();
                let refuted = null.is_some() && outcome != Some(Outcome::Null);
                if refuted && self.routes[index].null_is_likely {
                    self.shared.budget.give_back(1);
                }
                Verdict::Good
            }
        }
    }

    fn decide_fault(
        &mut self,
        index: usize,
        attempt: Attempt,
        fault: Fault,
        answered: bool,
    ) -> Verdict {
        let options = self.members[index].question().options();
        let once = options.is_some_and(|o| o.no_retry || o.ignore_errors);
        let verdict = match options.is_some_and(|o| o.ignore_errors) {
            true => Verdict::Undecided,
            false => self.hold_against(index, attempt, fault, answered),
        };
        let (member, route) = (&self.members[index], &mut self.routes[index]);
        let unknown = answered && fault == Fault::Unknown;
        let agreed = unknown && route.agrees(member.last_answer());
        if unknown {
            route.unknown = member.last_answer().cloned();
        }
        if once || agreed || !fault.other() || !member.question().method().may_replay(&fault) {
            self.close(index);
        }
        verdict
    }

    /// What the fault says about its endpoint, now or once another one has answered.
    fn hold_against(
        &mut self,
        index: usize,
        attempt: Attempt,
        fault: Fault,
        answered: bool,
    ) -> Verdict {
        self.shared.seats[attempt.seat].count(fault);
        match fault.health() {
            // Our own doing: nobody was asked.
            Health::Nothing if !answered || is_local(fault) => Verdict::Undecided,
            Health::Nothing => Verdict::Good,
            // An error member may be the request's own doing, whatever words it has: it counts
            // when another endpoint answers the same call.
            Health::Failure if !answered || fault == Fault::Malformed => Verdict::Bad(fault),
            Health::Failure | Health::Suspect => {
                self.routes[index].suspects.push((attempt, fault));
                Verdict::Undecided
            }
            _ => Verdict::Bad(fault),
        }
    }

    /// The member was answered well: who failed it before has failed indeed.
    fn convict(&mut self, index: usize) {
        for (attempt, fault) in std::mem::take(&mut self.routes[index].suspects) {
            if !self.convicted.contains(&attempt.seat) {
                self.convicted.push(attempt.seat);
                let seat = &self.shared.seats[attempt.seat];
                seat.circuit.fail(fault, Health::Failure, attempt.age, seat.requests());
            }
        }
    }

    /// `null` where another endpoint may have an answer.
    fn is_suspicious(&self, index: usize) -> bool {
        let question = self.members[index].question();
        let Some(request) = question.request() else { return false };
        !question.method().null_is_answer
            && self.routes[index].null.is_none()
            && question.options().is_none_or(|o| !o.no_retry)
            && BlockRef::of_request(request) != BlockRef::Tag(Tag::Pending)
    }

    /// As a pending receipt that is polled.
    fn names_no_block(&self, index: usize) -> bool {
        let request = self.members[index].question().request();
        request.is_none_or(|request| BlockRef::of_request(request) == BlockRef::None)
    }
}

const METHOD_UNSUPPORTED: Fault = Fault::Unsupported { what: Unsupported::Method };

const fn is_local(fault: Fault) -> bool {
    matches!(fault, Fault::RateLimited { by: Limiter::Local, .. })
}

/// The fault after which the endpoint is left alone for longer.
fn graver(one: Option<Fault>, other: Fault) -> Option<Fault> {
    let weight = |fault: Fault| match fault.health() {
        Health::Quarantine => (3, Duration::ZERO),
        Health::ParkLong => (2, Duration::ZERO),
        Health::Park(hint) => (1, hint.unwrap_or_default()),
        _ => (0, Duration::ZERO),
    };
    one.filter(|one| weight(*one) > weight(other)).or(Some(other))
}
