mod doubt;
mod exchange;
mod hedge;
mod leg;
mod route;
mod survey;
mod verdict;

pub(crate) use exchange::{Answered, Exchange, PATIENCE};
pub(crate) use hedge::Hedging;
pub(crate) use leg::Leg;
pub(crate) use route::Route;

use crate::roster::Roster;
use alclad_core::{
    CallOptions, Fault, Health, Kind, Members, Outcome, Questions,
    error::{AllParked, DeadlineExceeded, TypedError},
    names,
};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportFut};
use arc_swap::Guard;
use exchange::Started;
use hedge::Alarm;
use leg::Attempt;
use route::{Asked, NOWHERE, Next, Pick, Standing};
use smallvec::SmallVec;
use std::{
    future::{Future, poll_fn, ready},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};
use survey::Survey;
use tokio::time::{Instant, timeout_at};

/// An endpoint that did not answer for so long before the caller's deadline has timed out, also
/// if no timeout of its own said so.
const LONG_ENOUGH: Duration = Duration::from_millis(250);

pub(crate) type Indices = SmallVec<[usize; 4]>;

/// Asks one endpoint, and for the members that it failed the next one.
pub(crate) fn ask(roster: Guard<Arc<Roster>>, packet: RequestPacket) -> TransportFut<'static> {
    let Some((index, is_plain)) = first_stop(&packet, &roster) else {
        return Box::pin(ask_carefully(Guard::into_inner(roster), packet));
    };
    let questions = match Questions::new(&packet, !is_plain || roster.seats.len() > 1) {
        Ok(questions) => questions,
        Err(error) => return Box::pin(ready(Err(error))),
    };
    roster.shared.deposit(questions.len());
    Box::pin(async move {
        let mut started = Started::begin(&roster.seats[index], packet);
        match started.look().await {
            Poll::Ready((answer, notes)) if is_plain && is_good(&questions, &answer) => {
                started.succeed();
                notes.pass_up();
                answer
            }
            // What follows waits, or is rare: it must not weigh on an answer that is at hand.
            answered => {
                let exchange = started.go_on(&roster.seats[index], None);
                let call = Call::new(Guard::into_inner(roster), questions);
                Box::pin(call.go_on(index, exchange, answered)).await
            }
        }
    })
}

fn is_good(questions: &Questions, answer: &Result<ResponsePacket, TransportError>) -> bool {
    answer.as_ref().is_ok_and(|answer| questions.are_answered_by(answer))
}

/// The endpoint to which all members go, if there is such a one, and whether their answers tell
/// nothing of its chain.
fn first_stop(packet: &RequestPacket, roster: &Roster) -> Option<(usize, bool)> {
    let (first, others) = packet.requests().split_first()?;
    let mut is_plain = true;
    let mut is_simple = |asked: &Asked<'_>| {
        is_plain &= !asked.method.shows_block;
        !matches!(asked.method.kind, Kind::Write | Kind::Filter)
            && CallOptions::of(asked.request).is_none_or(|options| options.deadline.is_none())
    };
    let route = &NOWHERE;
    let first = Asked { packet: packet.requests(), ..Asked::of(first) };
    if !is_simple(&first) {
        return None;
    }
    let survey = Survey::of(&first, route, roster);
    if survey.probe.is_some() {
        return None;
    }
    let seat = survey.chosen(&first, route, roster)?;
    let goes_along = |other| is_simple(&other) && route.goes_to(&other, roster, seat);
    let go_along = others.iter().map(Asked::of).all(goes_along);
    is_plain &= roster.seats[seat].methods.are_all_offered();
    go_along.then_some((seat, is_plain))
}

/// For what has a deadline, is a write, goes to more than one endpoint, or finds none.
async fn ask_carefully(
    roster: Arc<Roster>,
    mut packet: RequestPacket,
) -> Result<ResponsePacket, TransportError> {
    let deadline = CallOptions::deadline_of(&packet);
    roster.shared.filters.direct(&mut packet);
    let questions = Questions::new(&packet, true)?;
    if questions.is_empty() {
        return Ok(ResponsePacket::Batch(Vec::new()));
    }
    roster.shared.deposit(questions.len());
    let mut call = Call::new(roster, questions);
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
pub(crate) struct Call {
    pub(crate) roster: Arc<Roster>,
    pub(crate) members: Members,
    pub(crate) routes: SmallVec<[Route; 1]>,
    /// Endpoints that were found to have failed, each counted once per packet.
    pub(crate) convicted: SmallVec<[usize; 2]>,
    /// What is in flight.
    pub(crate) legs: SmallVec<[Leg; 2]>,
    alarm: Option<Alarm>,
}

/// An endpoint to ask, and the members to ask it about.
struct Stop {
    pick: Pick,
    members: Indices,
}

impl Call {
    fn new(roster: Arc<Roster>, questions: Questions) -> Self {
        let members = Members::new(questions);
        let routes = members.iter().map(|_| Route::default()).collect();
        let (convicted, legs) = (SmallVec::new(), SmallVec::new());
        Self { roster, members, routes, convicted, legs, alarm: None }
    }

    /// All members are being asked at one endpoint.
    async fn go_on(
        mut self,
        seat: usize,
        exchange: Exchange,
        answered: Poll<Answered>,
    ) -> Result<ResponsePacket, TransportError> {
        let members: Indices = (0..self.members.len()).collect();
        self.set_out(&members, seat);
        let leg = Leg { exchange, index: seat, members, is_hedge: false };
        match answered {
            Poll::Ready(answered) => self.judge(&leg.end(), answered),
            Poll::Pending => {
                self.set_alarm(&leg);
                self.legs.push(leg);
            }
        }
        self.settle().await;
        self.members.finish()
    }

    async fn settle(&mut self) {
        self.travel().await;
        while let Some(stop) = self.next_stop() {
            self.send_to(stop);
            self.travel().await;
        }
        self.look_up_lost_sends().await;
    }

    /// Until what is in flight has answered the members that it is about.
    async fn travel(&mut self) {
        while !self.legs.is_empty() {
            match self.next_answer().await {
                Some((attempt, answered)) => self.judge(&attempt, answered),
                None => self.hedge(),
            }
            if self.legs.iter().all(|leg| self.open(&leg.members).next().is_none()) {
                self.legs.drain(..).for_each(|leg| leg.exchange.finish_quietly());
            }
        }
        self.alarm = None;
        let rejected =
            |index: &usize| self.members[*index].is_open() && self.routes[*index].rejections > 0;
        let rejected: Indices = (0..self.members.len()).filter(rejected).collect();
        rejected.iter().for_each(|index| self.close(*index));
    }

    /// Nothing, if the alarm went off before.
    async fn next_answer(&mut self) -> Option<(Attempt, Answered)> {
        poll_fn(|cx| {
            for index in 0..self.legs.len() {
                if let Poll::Ready(answered) = Pin::new(&mut self.legs[index].exchange).poll(cx) {
                    let attempt = self.legs.remove(index).end();
                    return Poll::Ready(Some((attempt, answered)));
                }
            }
            match &mut self.alarm {
                Some(alarm) => alarm.poll(cx).map(|()| None),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Those of these members that have no answer yet.
    pub(crate) fn open<'a>(&'a self, members: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
        members.iter().copied().filter(|index| self.members[*index].is_open())
    }

    fn send_to(&mut self, Stop { pick, members }: Stop) {
        members.iter().for_each(|index| self.tell_of_failover(*index));
        let first = self.routes[members[0]].asked.is_empty();
        let leg = self.send(pick, members.clone());
        self.set_alarm(&leg);
        self.legs.push(leg);
        if first {
            self.send_to_more_writers(&members);
        }
    }

    pub(crate) fn send(&mut self, pick: Pick, members: Indices) -> Leg {
        self.set_out(&members, pick.seat);
        let packet = self.members.packet(&members);
        let exchange = Exchange::begin(&self.roster.seats[pick.seat], packet, pick.probe);
        Leg { exchange, index: pick.seat, members, is_hedge: false }
    }

    fn set_out(&mut self, members: &[usize], seat: usize) {
        members.iter().for_each(|index| self.routes[*index].asked.push(seat));
    }

    /// The deadline has passed: the members that have an answer keep it.
    ///
    /// But nobody is told that a transaction was rejected which may be under way.
    fn time_out(&mut self) {
        let lost: Indices = (0..self.members.len()).filter(|i| self.is_under_way(*i)).collect();
        lost.iter().for_each(|index| self.members[*index].discard_answer());
        for leg in std::mem::take(&mut self.legs) {
            if leg.exchange.waited() >= LONG_ENOUGH {
                leg.exchange.fail(Fault::Timeout, Health::Failure);
            }
            for index in &leg.members {
                self.members[*index].asked_in_vain(leg.exchange.seat.id.clone());
            }
        }
        for index in 0..self.members.len() {
            let member = &self.members[index];
            if member.is_open() || lost.contains(&index) {
                let error = DeadlineExceeded::new(member.note().attempts, member.open_fault());
                self.members.give_up(index, error.into_transport_error());
                self.settle_doubt(index);
            }
        }
    }

    /// Whether a transaction that was not accepted may be accepted all the same: another writer has
    /// not answered yet, or where it may have arrived is not known.
    fn is_under_way(&self, index: usize) -> bool {
        let member = &self.members[index];
        let is_failed = matches!(member.outcome(), Some(Outcome::Fault(_)));
        let is_in_flight = || self.legs.iter().any(|leg| leg.members.contains(&index));
        member.question().method().is_send()
            && is_failed
            && (is_in_flight() || !self.routes[index].arrived.is_empty())
    }

    /// The next endpoint to ask: for the first open member, and for those that have been to the
    /// same endpoints as it. Members for which there is none are closed.
    fn next_stop(&mut self) -> Option<Stop> {
        for index in 0..self.members.len() {
            if !self.members[index].is_open() {
                continue;
            }
            let request = self.members[index].question().request();
            match request.map(|request| self.routes[index].next(&Asked::of(request), &self.roster))
            {
                Some(Next::Ask(pick)) => {
                    let members = self.companions(index, pick.seat, pick.probe.is_some());
                    if self.affords(&members, &pick) {
                        return Some(Stop { pick, members });
                    }
                    members.iter().for_each(|index| self.close(*index));
                }
                Some(Next::AllParked(left)) => {
                    self.members.give_up(index, AllParked::new(left).into_transport_error());
                }
                Some(Next::NoEndpoint(error)) => {
                    self.members.give_up(index, error.into_transport_error());
                }
                Some(Next::Nobody(others)) => self.give_up(index, others),
                None => self.give_up(index, None),
            }
        }
        None
    }

    /// Nobody is left to ask about this member but those, if any, that are free so much later.
    fn give_up(&mut self, index: usize, others: Option<Duration>) {
        match self.parked_everywhere(index) {
            Some(left) => {
                let left = others.map_or(left, |others| others.min(left));
                self.members.give_up(index, AllParked::new(left).into_transport_error());
            }
            None => self.close(index),
        }
    }

    /// When the first endpoint that was asked is free, if each of them only wants to be left alone
    /// and none has given an answer.
    fn parked_everywhere(&self, index: usize) -> Option<Duration> {
        let (member, route) = (&self.members[index], &self.routes[index]);
        let left = |seat: &usize| {
            let circuit = &self.roster.seats[*seat].circuit;
            circuit.parked_for().max(route.over_limit_for(*seat))
        };
        let parked = || route.asked.iter().map(left);
        let is_limited = matches!(member.open_fault(), Some(Fault::RateLimited { .. }));
        let nothing_said = is_limited && member.last_answer().is_none() && route.doubt.is_none();
        parked().min().flatten().filter(|_| nothing_said && parked().all(|left| left.is_some()))
    }

    fn companions(&self, first: usize, stop: usize, is_probe: bool) -> Indices {
        let goes_along = |index: &usize| {
            let (member, route) = (&self.members[*index], &self.routes[*index]);
            let request = member.question().request();
            !is_probe
                && member.is_open()
                && route.has_been_where(&self.routes[first])
                && request
                    .is_some_and(|request| route.goes_to(&Asked::of(request), &self.roster, stop))
        };
        let others = (first + 1..self.members.len()).filter(goes_along);
        std::iter::once(first).chain(others).collect()
    }

    /// The first failover of a call is free. Further ones draw on the budget, without which only a
    /// healthy endpoint is asked: so the last one is always reached, and none that is in trouble
    /// is buried. An answer that is doubted is compared with those of good endpoints only, unless
    /// it denies what was seen: any healthy one may have that.
    fn affords(&self, members: &[usize], pick: &Pick) -> bool {
        let (route, shared, standing) =
            (&self.routes[members[0]], &self.roster.shared, pick.standing);
        match (&route.doubt, route.asked.len()) {
            (Some(doubt), _) if doubt.kind.is_unlikely() => {
                // A worse tier is not there for what is only good to have.
                let tier = |seat: usize| self.roster.seats[seat].tier;
                let is_near = route.asked.iter().all(|asked| tier(pick.seat) <= tier(*asked));
                standing == Standing::Good && is_near && shared.spare.withdraw_all(members.len())
            }
            (Some(doubt), _) if doubt.kind.denies_what_was_seen() => standing != Standing::Trouble,
            (Some(_), _) => standing == Standing::Good,
            (None, 0 | 1) => true,
            (None, _) => shared.budget.withdraw_all(members.len()) || standing != Standing::Trouble,
        }
    }

    /// Ends the member with what it has.
    pub(crate) fn close(&mut self, index: usize) {
        self.members[index].close();
        self.settle_doubt(index);
    }

    fn tell_of_failover(&self, index: usize) {
        let Some(last) = self.routes[index].asked.last() else { return };
        let endpoint = &self.roster.seats[*last].id;
        let fault = self.members[index].open_fault().map_or("doubt", |fault| fault.name());
        tracing::debug!(%endpoint, fault, "asking the next endpoint");
        let labels = [(names::ENDPOINT, endpoint.to_string()), (names::FAULT, fault.to_owned())];
        metrics::counter!(names::FAILOVERS, &labels).increment(1);
    }
}
