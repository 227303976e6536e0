use crate::call::{Answered, Call, Indices, leg::Attempt, route::Suspect};
use alclad_core::{
    BlockRef, Edge, Fault, Health, Limiter, Member, Outcome, Unsupported, names, send,
};
use std::time::Duration;

/// What a member's answer says about its endpoint.
enum Verdict {
    Good,
    Bad(Fault),
    /// Nothing, or nothing yet.
    Undecided,
}

impl Call {
    /// Judges what an endpoint said to the members that it was asked about.
    pub(crate) fn judge(&mut self, attempt: &Attempt, (answer, notes): Answered) {
        let asked: Indices = self.open(&attempt.members).collect();
        let answered = answer.is_ok();
        let classifier = self.roster.shared.classifier.clone();
        self.members.absorb(&asked, answer, &notes, classifier.as_deref());
        let (mut good, mut bad, mut unsupported) = (false, None, Indices::new());
        for index in &asked {
            if self.members[*index].open_fault() == Some(Fault::AlreadyKnown) {
                let _ = send::resolve(&mut self.members[*index]);
            }
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
        if unsupported.len() < asked.len() || asked.len() == 1 {
            let methods = &attempt.seat.methods;
            unsupported
                .iter()
                .for_each(|index| methods.refused(self.members[*index].question().name()));
        }
        self.credit(attempt, answered, good, bad);
    }

    /// However many members a packet has, it is one success or one failure.
    fn credit(&self, attempt: &Attempt, answered: bool, good: bool, bad: Option<Fault>) {
        match bad {
            // One method may be refused by an endpoint that answers others.
            Some(fault) if answered && good && fault.health() == Health::ParkLong => {}
            Some(fault) => attempt.fail(fault, fault.health()),
            None if good => {
                attempt.seat.circuit.succeed(attempt.age);
                if attempt.is_hedge {
                    let endpoint = attempt.seat.id.to_string();
                    metrics::counter!(names::HEDGES_WON, names::ENDPOINT => endpoint).increment(1);
                }
                attempt.seat.load.observe(attempt.waited);
                self.time(&attempt.members, attempt.waited);
            }
            None => {}
        }
    }

    /// Closes the member, or leaves it open for the next endpoint.
    fn decide(&mut self, index: usize, attempt: &Attempt, answered: bool) -> Verdict {
        match self.members[index].outcome() {
            Some(Outcome::Fault(fault)) => self.decide_fault(index, attempt, fault, answered),
            _ => {
                self.weigh(index, attempt);
                Verdict::Good
            }
        }
    }

    fn decide_fault(
        &mut self,
        index: usize,
        attempt: &Attempt,
        fault: Fault,
        answered: bool,
    ) -> Verdict {
        let options = self.members[index].question().options();
        let once = options.is_some_and(|o| o.no_retry || o.ignore_errors);
        let verdict = match options.is_some_and(|o| o.ignore_errors) {
            true => Verdict::Undecided,
            false => self.hold_against(index, attempt, fault, answered),
        };
        let others = self.legs.iter().any(|other| other.members.contains(&index));
        let (member, route) = (&self.members[index], &mut self.routes[index]);
        let is_above_head = fault == Fault::InvalidRequest && begins_at_a_height(member);
        let unknown = answered && (fault == Fault::Unknown || is_above_head);
        let agreed = unknown && route.agrees(member.last_answer());
        if unknown {
            route.unknown = member.last_answer().cloned();
        }
        if let Fault::RateLimited { by: Limiter::Local, retry_after: Some(wait) } = fault {
            route.over_limit.push((attempt.index, wait));
        }
        if fault == Fault::MissingData {
            route.lacking.push(attempt.index);
        }
        let may_ask =
            is_above_head || fault.other() && member.question().method().may_replay(&fault);
        let is_final = !may_ask;
        if may_have_arrived(fault) {
            route.arrived.push(attempt.index);
        }
        if is_final {
            route.rejections += 1;
        }
        // Of those that were sent a transaction at once, one may yet accept it.
        let is_open_question = others && member.question().method().is_send();
        if once || agreed || is_final && !is_open_question {
            self.close(index);
        }
        verdict
    }

    /// What the fault says about its endpoint, now or once another one has answered.
    fn hold_against(
        &mut self,
        index: usize,
        attempt: &Attempt,
        fault: Fault,
        answered: bool,
    ) -> Verdict {
        attempt.seat.count(fault);
        match fault.health() {
            // Our own doing: nobody was asked.
            Health::Nothing if !answered || is_local(fault) => Verdict::Undecided,
            Health::Nothing => Verdict::Good,
            // An error member may be the request's own doing, whatever words it has: it counts
            // when another endpoint answers the same call.
            Health::Failure if !answered || fault == Fault::Malformed => Verdict::Bad(fault),
            Health::Failure | Health::Suspect => {
                let suspect = Suspect { seat: attempt.index, age: attempt.age, fault };
                self.routes[index].suspects.push(suspect);
                Verdict::Undecided
            }
            _ => Verdict::Bad(fault),
        }
    }

    /// The member was answered well: who failed it before has failed indeed.
    pub(crate) fn convict(&mut self, index: usize) {
        for Suspect { seat: index, age, fault } in std::mem::take(&mut self.routes[index].suspects)
        {
            if !self.convicted.contains(&index) {
                self.convicted.push(index);
                self.roster.seats[index].fail(fault, Health::Failure, age);
            }
        }
    }
}

const METHOD_UNSUPPORTED: Fault = Fault::Unsupported { what: Unsupported::Method };

const fn is_local(fault: Fault) -> bool {
    matches!(fault, Fault::RateLimited { by: Limiter::Local, .. })
}

/// Whether a transaction may have arrived although it was not accepted.
const fn may_have_arrived(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::NonceTooLow
            | Fault::Timeout
            | Fault::ServerError
            | Fault::Malformed
            | Fault::Unknown
            | Fault::Connection { maybe_sent: true }
    )
}

/// Logs from a height to the head: to an endpoint that has not reached it they seem to end before
/// they begin.
fn begins_at_a_height(member: &Member) -> bool {
    let block = member.question().request().map(BlockRef::of_request);
    matches!(block, Some(BlockRef::Range(Edge::Number(_), Edge::Tag(_))))
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
