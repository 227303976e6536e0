use crate::{
    health::Probe,
    route::{Next, Route},
    seat::Shared,
};
use alclad_core::{
    BlockRef, CallOptions, Fault, Health as Effect, Member, Members, Notes, Outcome, Questions,
    Tag, Unsupported,
    error::{AllParked, DeadlineExceeded, TypedError},
    names, note, send,
};
use alloy_json_rpc::{RequestPacket, ResponsePacket, SerializedRequest};
use alloy_transport::TransportError;
use smallvec::SmallVec;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// Asks one endpoint, and for the members that it failed the next one.
pub(crate) async fn ask_in_turn(
    shared: Arc<Shared>,
    packet: RequestPacket,
) -> Result<ResponsePacket, TransportError> {
    let deadline = CallOptions::deadline_of(&packet);
    if let (Some((index, probe)), None) = (first_stop(packet.requests(), &shared), deadline) {
        let questions = Questions::new(&packet, shared.seats.len() > 1)?;
        shared.budget.deposit(questions.len());
        let seat = &shared.seats[index];
        let (answer, notes) = note::capture_at(seat.id.clone(), seat.send(packet)).await;
        if answer.as_ref().is_ok_and(|answer| questions.are_answered_by(answer)) {
            seat.health.succeed();
            notes.pass_up();
            return answer;
        }
        drop(probe);
        // What follows is rare, and large: it must not weigh on every call.
        return Box::pin(Call::new(&shared, questions).go_on_after(index, answer, notes)).await;
    }
    let questions = Questions::new(&packet, true)?;
    if questions.is_empty() {
        return Ok(ResponsePacket::Batch(Vec::new()));
    }
    shared.budget.deposit(questions.len());
    Box::pin(Call::new(&shared, questions).begin(deadline)).await
}

/// The endpoint to which all members go first, if there is such a one.
fn first_stop<'a>(
    requests: &[SerializedRequest],
    shared: &'a Shared,
) -> Option<(usize, Option<Probe<'a>>)> {
    let (first, others) = requests.split_first()?;
    let route = Route::default();
    let Next::Ask { seat, probe, .. } = route.next(first, &shared.seats) else { return None };
    let mut others = others.iter();
    others.all(|other| route.may_join(other, &shared.seats, seat)).then_some((seat, probe))
}

/// One packet on its way through the rotation.
struct Call<'a> {
    shared: &'a Shared,
    members: Members,
    routes: SmallVec<[Route; 1]>,
}

/// An endpoint to ask, and the members to ask it about.
struct Stop<'a> {
    seat: usize,
    asked: SmallVec<[usize; 4]>,
    /// Held while a half-open endpoint is asked.
    probe: Option<Probe<'a>>,
}

impl<'a> Call<'a> {
    fn new(shared: &'a Shared, questions: Questions) -> Self {
        let members = Members::new(questions);
        let routes = members.iter().map(|_| Route::default()).collect();
        Self { shared, members, routes }
    }

    /// Nobody was asked yet.
    async fn begin(mut self, deadline: Option<Instant>) -> Result<ResponsePacket, TransportError> {
        match deadline {
            None => self.settle().await,
            Some(deadline) => self.settle_before(deadline).await,
        }
        self.members.finish()
    }

    /// All members were asked at this endpoint, and not all had a good answer.
    async fn go_on_after(
        mut self,
        seat: usize,
        answer: Result<ResponsePacket, TransportError>,
        notes: Notes,
    ) -> Result<ResponsePacket, TransportError> {
        let asked: SmallVec<[usize; 4]> = (0..self.members.len()).collect();
        self.judge(seat, &asked, answer, &notes).await;
        self.settle().await;
        self.members.finish()
    }

    async fn settle(&mut self) {
        while let Some(Stop { seat: index, asked, probe }) = self.next_stop() {
            let seat = &self.shared.seats[index];
            let packet = self.members.packet(&asked);
            let (answer, notes) = note::capture_at(seat.id.clone(), seat.send(packet)).await;
            self.judge(index, &asked, answer, &notes).await;
            drop(probe);
        }
    }

    async fn settle_before(&mut self, deadline: Instant) {
        if timeout_at(deadline, self.settle()).await.is_err() {
            let attempts = self.members.iter().map(|member| member.note().attempts).max();
            let last = self.members.iter().find_map(Member::open_fault);
            let error = DeadlineExceeded::new(attempts.unwrap_or_default() + 1, last);
            self.members.give_up(error.into_transport_error());
        }
    }

    /// The next endpoint to ask: for the first open member, and for those that have been to the
    /// same endpoints as it. Members for which there is none are closed.
    fn next_stop(&mut self) -> Option<Stop<'a>> {
        for index in 0..self.members.len() {
            if !self.members[index].is_open() {
                continue;
            }
            let Some(request) = self.members[index].question().request() else {
                self.members[index].close();
                continue;
            };
            match self.routes[index].next(request, &self.shared.seats) {
                Next::Ask { seat, healthy, probe } if self.affords(index, healthy) => {
                    let asked = self.companions(index, seat, healthy);
                    return Some(Stop { seat, asked, probe });
                }
                Next::Ask { .. } | Next::Nobody => {}
                Next::AllParked(left) => {
                    self.members.give_up(AllParked::new(left).into_transport_error());
                }
                Next::NoEndpoint(error) => self.members.give_up(error.into_transport_error()),
            }
            self.members[index].close();
        }
        None
    }

    fn companions(&self, first: usize, seat: usize, healthy: bool) -> SmallVec<[usize; 4]> {
        let go_along = |index: &usize| {
            let (member, route) = (&self.members[*index], &self.routes[*index]);
            let request = member.question().request();
            member.is_open()
                && route.has_been_where(&self.routes[first])
                && request.is_some_and(|r| route.may_join(r, &self.shared.seats, seat))
                && self.affords(*index, healthy)
        };
        let others = (first + 1..self.members.len()).filter(go_along);
        let asked: SmallVec<_> = std::iter::once(first).chain(others).collect();
        asked.iter().for_each(|index| self.tell_of_failover(*index));
        asked
    }

    /// The first failover of a call is free. Further ones draw on the budget, without which only a
    /// healthy endpoint is asked: so the last one is always reached, and none that is in trouble
    /// is buried. Having a `null` confirmed is a luxury.
    fn affords(&self, index: usize, healthy: bool) -> bool {
        let route = &self.routes[index];
        match (&route.null, route.asked.len()) {
            (Some(_), _) => healthy && self.shared.budget.withdraw(),
            (None, 0 | 1) => true,
            (None, _) => self.shared.budget.withdraw() || healthy,
        }
    }

    fn tell_of_failover(&self, index: usize) {
        let Some(last) = self.routes[index].asked.last() else { return };
        let endpoint = &self.shared.seats[*last].id;
        let fault = self.members[index].open_fault().map_or("null", |fault| fault.name());
        tracing::debug!(%endpoint, fault, "asking the next endpoint");
        let labels = [(names::ENDPOINT, endpoint.to_string()), (names::FAULT, fault.to_owned())];
        metrics::counter!(names::FAILOVERS, &labels).increment(1);
    }

    /// Judges what an endpoint said to the members that it was asked about.
    async fn judge(
        &mut self,
        index: usize,
        asked: &[usize],
        answer: Result<ResponsePacket, TransportError>,
        notes: &Notes,
    ) {
        let seat = &self.shared.seats[index];
        let answered = answer.is_ok();
        let mut good = false;
        self.members.absorb(asked, answer, notes, self.shared.classifier.as_deref());
        for member in asked {
            if let Some(lookup) = send::resolve(&mut self.members[*member]) {
                let answer = seat.send(lookup.packet()).await;
                lookup.settle(&mut self.members[*member], answer);
            }
            good |= self.decide(*member, index, answered);
        }
        if good {
            seat.health.succeed();
        }
    }

    /// Closes the member, or leaves it open for the next endpoint; was its answer a good one?
    fn decide(&mut self, index: usize, seat: usize, answered: bool) -> bool {
        self.routes[index].asked.push(seat);
        match self.members[index].outcome() {
            Some(Outcome::Fault(fault)) => self.decide_fault(index, seat, fault, answered),
            Some(Outcome::Null) if self.is_suspicious(index) => {
                self.routes[index].null = self.members[index].last_answer().cloned();
                true
            }
            _ => {
                self.members[index].close();
                self.convict(index);
                true
            }
        }
    }

    fn decide_fault(&mut self, index: usize, seat: usize, fault: Fault, answered: bool) -> bool {
        let options = self.members[index].question().options();
        let once = options.is_some_and(|o| o.no_retry || o.ignore_errors);
        if !options.is_some_and(|o| o.ignore_errors) {
            self.hold_against(index, seat, fault, answered);
        }
        let (member, route) = (&mut self.members[index], &mut self.routes[index]);
        let agreed = fault == Fault::Unknown && route.agrees(member.last_answer());
        if fault == Fault::Unknown {
            route.unknown = member.last_answer().cloned();
        }
        let may_go_on = fault.other() && member.question().method().may_replay(&fault);
        if let Some(null) = route.null.take() {
            member.answer(null);
        } else if once || agreed || !may_go_on {
            member.close();
        }
        fault.health() == Effect::Nothing
    }

    /// What the fault says about its endpoint.
    fn hold_against(&mut self, index: usize, seat_index: usize, fault: Fault, answered: bool) {
        let (seat, route) = (&self.shared.seats[seat_index], &mut self.routes[index]);
        seat.count(fault);
        match fault.health() {
            Effect::Nothing if fault == (Fault::Unsupported { what: Unsupported::Method }) => {
                seat.remember_unsupported(self.members[index].question().name());
            }
            Effect::Nothing => {}
            // An error member may be the request's own doing, whatever words it has: it counts
            // when another endpoint answers the same call.
            Effect::Failure if answered && fault != Fault::Malformed => {
                route.suspects.push((seat_index, fault));
            }
            Effect::Suspect => route.suspects.push((seat_index, fault)),
            effect => seat.health.fail(fault, effect, seat.requests()),
        }
    }

    /// The member was answered well: who failed it before has failed indeed.
    fn convict(&mut self, index: usize) {
        for (seat, fault) in self.routes[index].suspects.drain(..) {
            let seat = &self.shared.seats[seat];
            seat.health.fail(fault, Effect::Failure, seat.requests());
        }
    }

    /// `null` where another endpoint may have the block, transaction or receipt.
    fn is_suspicious(&self, index: usize) -> bool {
        let (member, route) = (&self.members[index], &self.routes[index]);
        let question = member.question();
        let Some(request) = question.request() else { return false };
        !question.method().null_is_answer
            && route.null.is_none()
            && question.options().is_none_or(|o| !o.no_retry)
            && BlockRef::of_request(request) != BlockRef::Tag(Tag::Pending)
    }
}
