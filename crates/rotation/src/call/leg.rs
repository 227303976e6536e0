use crate::{
    Sends,
    call::{
        Call, Indices,
        exchange::{Exchange, PATIENCE},
        route::{Asked, Next, Standing},
    },
    seat::{Seat, circuit::Probe},
};
use alclad_core::{
    Fault, Health, Question,
    send::{Lookup, SEND_RAW_TRANSACTION},
};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// One packet in flight, and the members that it asks about.
pub(crate) struct Leg {
    pub(crate) exchange: Exchange,
    pub(crate) index: usize,
    pub(crate) members: Indices,
    /// Another endpoint was late with the same question.
    pub(crate) is_hedge: bool,
}

/// What there was of a leg once its answer has come.
pub(crate) struct Attempt {
    pub(crate) seat: Arc<Seat>,
    pub(crate) index: usize,
    pub(crate) members: Indices,
    /// The age of the endpoint's circuit when it was sent.
    pub(crate) age: u32,
    pub(crate) waited: Duration,
    pub(crate) is_hedge: bool,
    /// A half-open endpoint is not asked anew before its answer is judged.
    _probe: Option<Probe>,
}

// === impl Leg ===

impl Leg {
    pub(crate) fn end(mut self) -> Attempt {
        Attempt {
            seat: Arc::clone(&self.exchange.seat),
            index: self.index,
            members: self.members,
            age: self.exchange.age,
            waited: self.exchange.waited(),
            is_hedge: self.is_hedge,
            _probe: self.exchange.probe.take(),
        }
    }
}

// === impl Attempt ===

impl Attempt {
    /// Its endpoint has failed.
    pub(crate) fn fail(&self, fault: Fault, health: Health) {
        self.seat.fail(fault, health, self.age);
    }
}

impl Call {
    /// Sends a transaction to as many writers as the policy says, all at once.
    pub(crate) fn send_to_more_writers(&mut self, members: &[usize]) {
        let is_meant = |index: &usize| is_for_more_writers(self.members[*index].question());
        let Some(first) = members.iter().position(is_meant) else { return };
        let members = &members[first..];
        let most = match self.roster.shared.sends {
            Sends::One => 1,
            Sends::Some(count) => count.get(),
            Sends::All => self.roster.seats.len(),
        };
        for _ in 1..most {
            let Some(request) = self.members[members[0]].question().request() else { return };
            match self.routes[members[0]].next(&Asked::of(request), &self.roster) {
                Next::Ask(pick) if pick.standing != Standing::Trouble => {
                    let members = self.sends_that_go_to(members, pick.seat);
                    let leg = self.send(pick, members);
                    self.legs.push(leg);
                }
                _ => return,
            }
        }
    }

    /// Of these members the first, and the other sends that may go where it goes.
    fn sends_that_go_to(&self, members: &[usize], seat: usize) -> Indices {
        let may_go = |index: &usize| {
            let question = self.members[*index].question();
            let request = question.request().filter(|_| is_for_more_writers(question));
            request.is_some_and(|request| {
                self.routes[*index].goes_to(&Asked::of(request), &self.roster, seat)
            })
        };
        let others = members[1..].iter().copied().filter(may_go);
        std::iter::once(members[0]).chain(others).collect()
    }

    /// A transaction that no endpoint has said to accept may have arrived all the same, also where
    /// a later one rejected it: before it is given up it is looked up by its hash.
    pub(crate) async fn look_up_lost_sends(&mut self) {
        for index in 0..self.members.len() {
            let failed =
                self.members[index].outcome().is_some_and(|outcome| outcome.fault().is_some());
            if failed && !self.routes[index].arrived.is_empty() {
                self.look_up(index).await;
                self.routes[index].arrived.clear();
            }
        }
    }

    async fn look_up(&mut self, index: usize) {
        let Some(lookup) = Lookup::of(&self.members[index]) else { return };
        let roster = Arc::clone(&self.roster);
        let packet = lookup.packet();
        for reader in roster.readers(&packet, &self.routes[index]).into_iter().take(LOOK_UPS) {
            let asked = Exchange::begin(&roster.seats[reader], packet.clone(), None);
            let Ok((answer, _)) = timeout(PATIENCE, asked).await else { continue };
            if lookup.confirm(&mut self.members[index], answer) {
                roster.shared.freshness.has_seen(lookup.hash());
                return;
            }
        }
    }
}

/// Whether it is a transaction that may be sent to more than one.
fn is_for_more_writers(question: &Question) -> bool {
    question.name() == SEND_RAW_TRANSACTION
        && !question.options().is_some_and(|options| options.no_retry || options.ignore_errors)
}

/// So many endpoints are asked at most what became of a transaction.
const LOOK_UPS: usize = 3;
