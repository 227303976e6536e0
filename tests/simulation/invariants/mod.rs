//! What must hold at every packet and at every answer.

pub(crate) mod answers;
mod budgets;
pub(crate) mod filters;
mod limits;
mod notes;
mod owed;
mod rest;
mod writes;

use crate::record::{Flight, Place, Record};
pub(crate) use budgets::{Budgets, Purse};
pub(crate) use limits::Limit;
pub(crate) use rest::{Held, at_rest, counted};
use std::{fmt, time::Duration};

/// The seven promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invariant {
    /// Every call ends once, in time, with a whole answer or an error that is true.
    I1Ends,
    /// A right answer is given if some endpoint could have given one.
    I2Answers,
    /// No answer is wrong.
    I3Right,
    /// No write reaches two endpoints, no member is replayed after it succeeded.
    I4Writes,
    /// No endpoint is sent more than its limiter allows.
    I5Limits,
    /// Extra requests stay inside their budgets.
    I6Budgets,
    /// Nothing is held when all is done.
    I7Rest,
}

#[derive(Clone)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) what: String,
    pub(crate) at: Duration,
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} after {:?}: {}", self.invariant, self.at, self.what)
    }
}

/// What is known of the stack, to check the packets against.
pub(crate) struct Checks {
    /// To how many endpoints a transaction goes at once.
    pub(crate) sends: usize,
    pub(crate) has_rotation: bool,
    /// Each endpoint's limiter, as it was promised to be.
    pub(crate) limits: Vec<Option<Limit>>,
    pub(crate) budgets: Budgets,
    /// Whose circuit is open.
    pub(crate) is_open: Box<dyn Fn(usize) -> bool + Send>,
}

pub(crate) type Finding = Option<(Invariant, String)>;

/// A packet is about to leave a place.
pub(crate) fn sent(record: &mut Record, flight: &Flight) -> Finding {
    match flight.place {
        Place::Joint => {
            budgets::passes(record, flight);
            None
        }
        Place::Door(endpoint) => {
            let broken =
                writes::replayed(record, flight).or_else(|| writes::spread(record, flight));
            let broken = broken.or_else(|| filters::strayed(record, flight, endpoint));
            let broken = broken.or_else(|| budgets::asked_twice(record, flight));
            budgets::goes_on(record, flight, endpoint);
            broken
        }
        Place::Wire(endpoint) => writes::on_the_wire(record, flight, endpoint)
            .or_else(|| limits::exceeded(record, flight, endpoint)),
    }
}

/// A packet has ended at a place.
pub(crate) fn ended(record: &mut Record, index: usize) -> Finding {
    limits::count(record, index);
    limits::heed(record, index);
    None
}

/// The run is over.
pub(crate) fn finish(record: &Record) -> Finding {
    record.checks.budgets.overdrawn()
}
