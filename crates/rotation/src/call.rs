use crate::{
    circuit::Probe,
    route::{Next, Route},
    seat::Shared,
    verdict::Attempt,
};
use alclad_core::{
    CallOptions, Fault, Health, Members, Notes, Questions,
    error::{AllParked, DeadlineExceeded, TypedError},
    names, note,
};
use alloy_json_rpc::{RequestPacket, ResponsePacket, SerializedRequest};
use alloy_transport::TransportError;
use smallvec::SmallVec;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// An endpoint that did not answer for so long before the caller's deadline has timed out, also
/// if no timeout of its own said so.
const LONG_ENOUGH: Duration = Duration::from_millis(250);

pub(crate) type Indices = SmallVec<[usize; 4]>;

/// Asks one endpoint, and for the members that it failed the next one.
pub(crate) async fn ask_in_turn(
    shared: Arc<Shared>,
    packet: RequestPacket,
) -> Result<ResponsePacket, TransportError> {
    let deadline = CallOptions::deadline_of(&packet);
    let stop = if deadline.is_none() { first_stop(packet.requests(), &shared) } else { None };
    let Some((seat, probe)) = stop else {
        return Box::pin(ask_carefully(&shared, packet, deadline)).await;
    };
    let questions = Questions::new(&packet, shared.seats.len() > 1)?;
    shared.budget.deposit(questions.len());
    let attempt = Attempt { seat, age: shared.seats[seat].circuit.age() };
    let sent = shared.seats[seat].send(packet);
    let (answer, notes) = note::capture_at(shared.seats[seat].id.clone(), sent).await;
    if answer.as_ref().is_ok_and(|answer| questions.are_answered_by(answer)) {
        shared.seats[seat].circuit.succeed(attempt.age);
        notes.pass_up();
        return answer;
    }
    // What follows is rare, and large: it must not weigh on every call.
    Box::pin(Call::new(&shared, questions).go_on_after(attempt, probe, answer, notes)).await
}

/// The endpoint to which all members go first, if there is such a one.
fn first_stop<'a>(
    requests: &[SerializedRequest],
    shared: &'a Shared,
) -> Option<(usize, Option<Probe<'a>>)> {
    let (first, others) = requests.split_first()?;
    let route = Route::default();
    let Next::Ask { seat, probe, .. } = route.next(first, &shared.seats) else { return None };
    let go_along = others.iter().all(|other| route.goes_to(other, &shared.seats, seat));
    (go_along && (probe.is_none() || others.is_empty())).then_some((seat, probe))
}

/// For what has a deadline, goes to more than one endpoint, or finds none.
async fn ask_carefully(
    shared: &Shared,
    packet: RequestPacket,
    deadline: Option<Instant>,
) -> Result<ResponsePacket, TransportError> {
    let questions = Questions::new(&packet, true)?;
    if questions.is_empty() {
        return Ok(ResponsePacket::Batch(Vec::new()));
    }
    shared.budget.deposit(questions.len());
    let mut call = Call::new(shared, questions);
    match deadline {
        None => call.settle().await,
        Some(deadline) if deadline <= Instant::now() => call.time_out(),
        Some(deadline) => {
            if timeout_at(deadline, call.settle()).await.is_err() {
                call.time_out();
            }
        }
    }
    call.members.finish()
}

/// One packet on its way through the rotation.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) members: Members,
    pub(crate) routes: SmallVec<[Route; 1]>,
    /// Endpoints that were found to have failed, each counted once per packet.
    pub(crate) convicted: SmallVec<[usize; 2]>,
    asking: Option<Asking>,
}

/// What is in flight.
struct Asking {
    attempt: Attempt,
    members: Indices,
    since: Instant,
}

/// An endpoint to ask, and the members to ask it about.
struct Stop<'a> {
    seat: usize,
    members: Indices,
    /// Held while a half-open endpoint is asked.
    probe: Option<Probe<'a>>,
}

impl<'a> Call<'a> {
    fn new(shared: &'a Shared, questions: Questions) -> Self {
        let members = Members::new(questions);
        let routes = members.iter().map(|_| Route::default()).collect();
        Self { shared, members, routes, convicted: SmallVec::new(), asking: None }
    }

    /// All members were asked at one endpoint, and not all had a good answer.
    async fn go_on_after(
        mut self,
        attempt: Attempt,
        probe: Option<Probe<'a>>,
        answer: Result<ResponsePacket, TransportError>,
        notes: Notes,
    ) -> Result<ResponsePacket, TransportError> {
        let members: Indices = (0..self.members.len()).collect();
        self.judge(attempt, &members, answer, &notes).await;
        drop(probe);
        self.settle().await;
        self.members.finish()
    }

    async fn settle(&mut self) {
        while let Some(Stop { seat: index, members, probe }) = self.next_stop() {
            let seat = &self.shared.seats[index];
            let attempt = Attempt { seat: index, age: seat.circuit.age() };
            let packet = self.members.packet(&members);
            let since = Instant::now();
            self.asking = Some(Asking { attempt, members: members.clone(), since });
            let (answer, notes) = note::capture_at(seat.id.clone(), seat.send(packet)).await;
            self.judge(attempt, &members, answer, &notes).await;
            self.asking = None;
            drop(probe);
        }
    }

    /// The deadline has passed: the members that have an answer keep it.
    fn time_out(&mut self) {
        if let Some(Asking { attempt, members, since }) = self.asking.take() {
            let seat = &self.shared.seats[attempt.seat];
            if since.elapsed() >= LONG_ENOUGH {
                let (fault, requests) = (Fault::Timeout, seat.requests());
                seat.circuit.fail(fault, Health::Failure, attempt.age, requests);
            }
            members.iter().for_each(|index| self.members[*index].asked_in_vain(seat.id.clone()));
        }
        for index in 0..self.members.len() {
            let member = &self.members[index];
            if member.is_open() {
                let error = DeadlineExceeded::new(member.note().attempts, member.open_fault());
                self.members.give_up(index, error.into_transport_error());
                self.restore_null(index);
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
            let request = self.members[index].question().request();
            match request.map(|request| self.routes[index].next(request, &self.shared.seats)) {
                Some(Next::Ask { seat, healthy, probe }) => {
                    let members = self.companions(index, seat, probe.is_some());
                    if self.affords(&members, healthy) {
                        members.iter().for_each(|index| self.tell_of_failover(*index));
                        return Some(Stop { seat, members, probe });
                    }
                    members.iter().for_each(|index| self.close(*index));
                }
                Some(Next::AllParked(left)) => {
                    self.members.give_up(index, AllParked::new(left).into_transport_error());
                }
                Some(Next::NoEndpoint(error)) => {
                    self.members.give_up(index, error.into_transport_error());
                }
                Some(Next::Nobody) | None => self.close(index),
            }
        }
        None
    }

    fn companions(&self, first: usize, stop: usize, is_probe: bool) -> Indices {
        let goes_along = |index: &usize| {
            let (member, route) = (&self.members[*index], &self.routes[*index]);
            let request = member.question().request();
            !is_probe
                && member.is_open()
                && route.has_been_where(&self.routes[first])
                && request.is_some_and(|request| route.goes_to(request, &self.shared.seats, stop))
        };
        let others = (first + 1..self.members.len()).filter(goes_along);
        std::iter::once(first).chain(others).collect()
    }

    /// The first failover of a call is free. Further ones draw on the budget, without which only a
    /// healthy endpoint is asked: so the last one is always reached, and none that is in trouble
    /// is buried. A `null` is confirmed by healthy endpoints only.
    fn affords(&self, members: &[usize], healthy: bool) -> bool {
        let (route, budget) = (&self.routes[members[0]], &self.shared.budget);
        match (&route.null, route.asked.len()) {
            (Some(_), _) if route.null_is_likely => healthy && budget.withdraw_spare(members.len()),
            (Some(_), _) => healthy,
            (None, 0 | 1) => true,
            (None, _) => budget.withdraw_all(members.len()) || healthy,
        }
    }

    /// Ends the member with what it has.
    pub(crate) fn close(&mut self, index: usize) {
        self.members[index].close();
        self.restore_null(index);
    }

    /// A `null` that nobody could confirm or refute is the answer.
    fn restore_null(&mut self, index: usize) {
        if let Some(null) = self.routes[index].null.take() {
            self.members[index].answer(null);
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
}
