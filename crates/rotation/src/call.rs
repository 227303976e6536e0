use crate::{
    health::Probe,
    route::{Next, Route},
    seat::Shared,
};
use alclad_core::{
    BlockRef, CallOptions, Fault, Health as Effect, Members, Notes, Outcome, Questions,
    Tag, Unsupported,
    error::{AllParked, DeadlineExceeded, TypedError},
    names, note, send,
};
use alloy_json_rpc::{RequestPacket, ResponsePacket, SerializedRequest};
use alloy_transport::TransportError;
use smallvec::SmallVec;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// An endpoint that did not answer for so long before the caller's deadline has timed out, also
/// if no timeout of its own said so.
const LONG_ENOUGH: Duration = Duration::from_secs(1);

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
        // What follows is rare, and large: it must not weigh on every call.
        let call = Call::new(&shared, questions);
        return Box::pin(call.go_on_after(index, probe, answer, notes)).await;
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
    /// Who is being asked, and since when.
    asking: Option<(usize, Instant)>,
}

/// An endpoint to ask, and the members to ask it about.
struct Stop<'a> {
    seat: usize,
    asked: SmallVec<[usize; 4]>,
    /// Held while a half-open endpoint is asked.
    probe: Option<Probe<'a>>,
}

/// What a member's answer says about its endpoint.
enum Verdict {
    Good,
    Bad(Fault),
    /// Nothing, or nothing yet.
    Open,
}

impl<'a> Call<'a> {
    fn new(shared: &'a Shared, questions: Questions) -> Self {
        let members = Members::new(questions);
        let routes = members.iter().map(|_| Route::default()).collect();
        Self { shared, members, routes, asking: None }
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
        probe: Option<Probe<'a>>,
        answer: Result<ResponsePacket, TransportError>,
        notes: Notes,
    ) -> Result<ResponsePacket, TransportError> {
        let asked: SmallVec<[usize; 4]> = (0..self.members.len()).collect();
        self.judge(seat, &asked, answer, &notes).await;
        drop(probe);
        self.settle().await;
        self.members.finish()
    }

    async fn settle(&mut self) {
        while let Some(Stop { seat: index, asked, probe }) = self.next_stop() {
            let seat = &self.shared.seats[index];
            let packet = self.members.packet(&asked);
            self.asking = Some((index, Instant::now()));
            let (answer, notes) = note::capture_at(seat.id.clone(), seat.send(packet)).await;
            self.asking = None;
            self.judge(index, &asked, answer, &notes).await;
            drop(probe);
        }
    }

    async fn settle_before(&mut self, deadline: Instant) {
        if timeout_at(deadline, self.settle()).await.is_ok() {
            return;
        }
        if let Some((index, since)) = self.asking
            && since.elapsed() >= LONG_ENOUGH
        {
            let seat = &self.shared.seats[index];
            seat.health.fail(Fault::Timeout, Effect::Failure, seat.requests());
        }
        for index in 0..self.members.len() {
            let member = &self.members[index];
            if member.is_open() {
                let error = DeadlineExceeded::new(member.note().attempts + 1, member.open_fault());
                self.members.give_up(index, error.into_transport_error());
            }
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
            let error = match self.routes[index].next(request, &self.shared.seats) {
                Next::Ask { seat, healthy, probe } if self.affords(index, healthy) => {
                    let asked = self.companions(index, seat, healthy);
                    return Some(Stop { seat, asked, probe });
                }
                Next::Ask { .. } | Next::Nobody => {
                    self.members[index].close();
                    continue;
                }
                Next::AllParked(left) => AllParked::new(left).into_transport_error(),
                Next::NoEndpoint(error) => error.into_transport_error(),
            };
            self.members.give_up(index, error);
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
    /// is buried. A `null` for what names no block, as a pending receipt that is polled, is most
    /// often the truth: having it confirmed is never free.
    fn affords(&self, index: usize, healthy: bool) -> bool {
        let (member, route) = (&self.members[index], &self.routes[index]);
        if route.null.is_some() {
            let block = member.question().request().map(BlockRef::of_request);
            return healthy && (block != Some(BlockRef::None) || self.shared.budget.withdraw());
        }
        route.asked.len() <= 1 || self.shared.budget.withdraw() || healthy
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
        let (mut good, mut bad) = (false, None);
        self.members.absorb(asked, answer, notes, self.shared.classifier.as_deref());
        for member in asked {
            if let Some(lookup) = send::resolve(&mut self.members[*member]) {
                let answer = seat.send(lookup.packet()).await;
                lookup.settle(&mut self.members[*member], answer);
            }
            match self.decide(*member, index, answered) {
                Verdict::Good => good = true,
                Verdict::Bad(fault) => bad = Some(fault),
                Verdict::Open => {}
            }
        }
        // However many members a packet has, it is one success or one failure.
        match bad {
            Some(fault) => seat.health.fail(fault, fault.health(), seat.requests()),
            None if good => seat.health.succeed(),
            None => {}
        }
    }

    /// Closes the member, or leaves it open for the next endpoint.
    fn decide(&mut self, index: usize, seat: usize, answered: bool) -> Verdict {
        self.routes[index].asked.push(seat);
        match self.members[index].outcome() {
            Some(Outcome::Fault(fault)) => self.decide_fault(index, seat, fault, answered),
            Some(Outcome::Null) if self.is_suspicious(index) => {
                self.routes[index].null = self.members[index].last_answer().cloned();
                Verdict::Good
            }
            _ => {
                self.members[index].close();
                self.convict(index);
                Verdict::Good
            }
        }
    }

    fn decide_fault(&mut self, index: usize, seat: usize, fault: Fault, answered: bool) -> Verdict {
        let options = self.members[index].question().options();
        let once = options.is_some_and(|o| o.no_retry || o.ignore_errors);
        let verdict = match options.is_some_and(|o| o.ignore_errors) {
            true => Verdict::Open,
            false => self.verdict(index, seat, fault, answered),
        };
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
        verdict
    }

    /// What the fault says about its endpoint.
    fn verdict(&mut self, index: usize, seat: usize, fault: Fault, answered: bool) -> Verdict {
        self.shared.seats[seat].count(fault);
        match fault.health() {
            Effect::Nothing => {
                if fault == (Fault::Unsupported { what: Unsupported::Method }) {
                    let method = self.members[index].question().name();
                    self.shared.seats[seat].remember_unsupported(method);
                }
                Verdict::Good
            }
            // An error member may be the request's own doing, whatever words it has: it counts
            // when another endpoint answers the same call.
            Effect::Failure if !answered || fault == Fault::Malformed => Verdict::Bad(fault),
            Effect::Failure | Effect::Suspect => {
                self.routes[index].suspects.push((seat, fault));
                Verdict::Open
            }
            _ => Verdict::Bad(fault),
        }
    }

    /// The member was answered well: who failed it before has failed indeed.
    fn convict(&mut self, index: usize) {
        for (seat, fault) in std::mem::take(&mut self.routes[index].suspects) {
            let others = || self.routes.iter().flat_map(|route| &route.suspects);
            // The last of the packet's members to be answered counts for all of them.
            if others().all(|(suspect, _)| *suspect != seat) {
                let seat = &self.shared.seats[seat];
                seat.health.fail(fault, Effect::Failure, seat.requests());
            }
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
