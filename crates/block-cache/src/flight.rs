//! Questions that are being asked, and what came of them.

use crate::{entry::Entry, question::Key};
use alclad_core::{AnswerNote, error::SharedError};
use alloy_json_rpc::{Id, Response, ResponsePayload};
use alloy_transport::TransportError;
use futures::future::{BoxFuture, Shared, WeakShared};
use smallvec::SmallVec;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Acquire},
        },
    },
};
use tokio::time::Instant;

/// A packet that is being asked, for all that wait for an answer of it. As long as one of them is
/// there it goes on.
pub(crate) type Flight = Shared<BoxFuture<'static, Arc<Landed>>>;

/// What came back, in the order of the packet.
pub(crate) type Landed = SmallVec<[Parcel; 1]>;

/// What came back for one member.
#[derive(Clone)]
pub(crate) struct Parcel {
    pub(crate) content: Result<Content, SharedError>,
    pub(crate) note: AnswerNote,
}

#[derive(Clone)]
pub(crate) enum Content {
    Kept(Arc<Entry>),
    Loose(ResponsePayload),
}

impl Parcel {
    /// The answer for the caller with this id.
    pub(crate) fn response(self, id: Id) -> Result<Response, TransportError> {
        let payload = match self.content.map_err(|error| error.to_error())? {
            Content::Kept(entry) => ResponsePayload::Success(entry.answer.clone()),
            Content::Loose(payload) => payload,
        };
        Ok(Response { id, payload })
    }
}

/// A seat in a flight.
pub(crate) struct Ticket {
    pub(crate) flight: Flight,
    pub(crate) index: usize,
}

/// What is asked in a flight, and where its answer will be.
pub(crate) type Keys = SmallVec<[(Key, usize); 1]>;

/// The flights of one pipeline, by what they ask.
#[derive(Clone, Default)]
pub(crate) struct Flights(Arc<Tower>);

#[derive(Default)]
struct Tower {
    board: Mutex<Board>,
    landed: AtomicU64,
}

type Board = HashMap<Key, Entered, foldhash::fast::RandomState>;

struct Entered {
    flight: WeakShared<BoxFuture<'static, Arc<Landed>>>,
    index: usize,
    wish: Wish,
}

impl Flights {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat in the flight that asks this, if it goes on until then and began after this.
    pub(crate) fn join(&self, key: &[u8], wish: Wish) -> Option<Ticket> {
        join(&self.board(), key, wish)
    }

    /// How many flights have landed.
    pub(crate) fn landed(&self) -> u64 {
        self.0.landed.load(Acquire)
    }

    /// To be held by the flight that asks these.
    pub(crate) fn departure(&self, keys: &Keys) -> Departure {
        Departure { flights: self.clone(), keys: keys.clone() }
    }

    /// Others may join, until it has landed or was given up.
    pub(crate) fn announce(&self, keys: Keys, flight: &Flight, wish: Wish) {
        announce(&mut self.board(), keys, flight, wish);
    }

    /// The same for one question, unless somebody was faster since so many flights had landed.
    pub(crate) fn announce_first(
        &self,
        keys: &Keys,
        flight: &Flight,
        wish: Wish,
        landed: u64,
    ) -> Announced {
        let mut board = self.board();
        if let Some(ticket) = keys.first().and_then(|(key, _)| join(&board, key, wish)) {
            return Announced::Joined(ticket);
        }
        // Before a flight is off the board it counts as landed.
        let by_now = self.landed();
        if by_now != landed {
            return Announced::Late(by_now);
        }
        announce(&mut board, keys.clone(), flight, wish);
        Announced::First
    }
}

fn join(board: &Board, key: &[u8], wish: Wish) -> Option<Ticket> {
    let Entered { flight, index, wish: theirs } = board.get(key)?;
    let is_long_enough =
        theirs.deadline.is_none_or(|ends| wish.deadline.is_some_and(|mine| mine <= ends));
    // What is taken is handed out: the last one of a flight, dropped here, would lock again.
    (is_long_enough && theirs.clears == wish.clears).then_some(())?;
    Some(Ticket { flight: flight.upgrade()?, index: *index })
}

fn announce(board: &mut Board, keys: Keys, flight: &Flight, wish: Wish) {
    for (key, index) in keys {
        let Some(flight) = flight.downgrade() else { return };
        // With the key of the earlier one, if there is any, that one would take it off the board.
        board.remove(&key);
        board.insert(key, Entered { flight, index, wish });
    }
}

/// What became of a new flight.
pub(crate) enum Announced {
    First,
    /// There is one already.
    Joined(Ticket),
    /// So many have landed by now, one of which may have had the answer.
    Late(u64),
}

/// What a caller wants of a flight.
#[derive(Clone, Copy)]
pub(crate) struct Wish {
    /// When it no longer wants an answer.
    pub(crate) deadline: Option<Instant>,
    /// How often the store had been cleared when it asked.
    pub(crate) clears: u64,
}

/// Takes a flight off the board when it is dropped.
pub(crate) struct Departure {
    flights: Flights,
    keys: Keys,
}

impl Drop for Departure {
    fn drop(&mut self) {
        self.flights.0.landed.fetch_add(1, AcqRel);
        let mut board = self.flights.board();
        for (key, _) in &self.keys {
            // A later flight has entered a key of its own.
            if board.get_key_value(key).is_some_and(|(entered, _)| Key::ptr_eq(entered, key)) {
                board.remove(key);
            }
        }
    }
}
