use crate::{
    Sends,
    call::{
        Call, Indices,
        exchange::Exchange,
        route::{Asked, Next, Standing},
    },
    seat::{Seat, circuit::Probe},
};
use alclad_core::{
    Fault, Health, note,
    send::{Lookup, SEND_RAW_TRANSACTION},
};
use std::{sync::Arc, time::Duration};

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
        self.seat.circuit.fail(fault, health, self.age, self.seat.load.requests());
    }
}

impl Call {
    /// Sends a transaction to as many writers as the policy says, all at once.
    pub(crate) fn send_to_more_writers(&mut self, members: &[usize]) {
        let question = self.members[members[0]].question();
        if question.name() != SEND_RAW_TRANSACTION || question.options().is_some_and(|o| o.no_retry)
        {
            return;
        }
        let most = match self.roster.shared.sends {
            Sends::One => 1,
            Sends::Some(count) => count.get(),
            Sends::All => self.roster.seats.len(),
        };
        let members: Indices = members
            .iter()
            .copied()
            .filter(|index| self.members[*index].question().name() == SEND_RAW_TRANSACTION)
            .collect();
        for _ in 1..most {
            let Some(request) = self.members[members[0]].question().request() else { return };
            match self.routes[members[0]].next(&Asked::of(request), &self.roster) {
                Next::Ask(pick) if pick.standing != Standing::Trouble => {
                    let leg = self.send(pick, members.clone());
                    self.legs.push(leg);
                }
                _ => return,
            }
        }
    }

    /// A transaction that no endpoint has said to accept may have arrived all the same: before it
    /// is given up it is looked up by its hash, once.
    pub(crate) async fn look_up_lost_sends(&mut self) {
        for index in 0..self.members.len() {
            let fault = self.members[index].outcome().and_then(|outcome| outcome.fault());
            let Some(lookup) =
                fault.filter(may_have_arrived).and_then(|_| Lookup::of(&self.members[index]))
            else {
                continue;
            };
            let last = self.routes[index].asked.last().copied();
            let Some(reader) = self.roster.reader(&lookup.packet(), last.unwrap_or_default())
            else {
                continue;
            };
            let seat = &self.roster.seats[reader];
            let (answer, _) = note::capture_at(seat.id.clone(), seat.send(lookup.packet())).await;
            lookup.confirm(&mut self.members[index], answer);
        }
    }
}

const fn may_have_arrived(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::NonceTooLow
            | Fault::Timeout
            | Fault::ServerError
            | Fault::Malformed
            | Fault::Connection { maybe_sent: true }
    )
}
