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

#[derive(Default)]
struct Board {
    flights: HashMap<Key, Entered, foldhash::fast::RandomState>,
    number: u64,
}

struct Entered {
    number: u64,
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
        self.board().join(key, wish)
    }

    /// How many flights have landed.
    pub(crate) fn landed(&self) -> u64 {
        self.0.landed.load(Acquire)
    }

    /// A number for a new flight.
    pub(crate) fn prepare(&self, keys: Keys) -> Departure {
        let mut board = self.board();
        board.number += 1;
        Departure { flights: self.clone(), keys, number: board.number }
    }

    /// Others may join, until it has landed or was given up.
    pub(crate) fn announce(&self, keys: Keys, number: u64, flight: &Flight, wish: Wish) {
        self.board().announce(keys, number, flight, wish);
    }

    /// The same for one question, unless somebody was faster: then a seat in that flight.
    pub(crate) fn announce_or_join(
        &self,
        keys: Keys,
        number: u64,
        flight: &Flight,
        wish: Wish,
    ) -> Option<Ticket> {
        let mut board = self.board();
        let faster = keys.first().and_then(|(key, _)| board.join(key, wish));
        if faster.is_none() {
            board.announce(keys, number, flight, wish);
        }
        faster
    }
}

impl Board {
    fn join(&self, key: &[u8], wish: Wish) -> Option<Ticket> {
        let Entered { flight, index, wish: theirs, .. } = self.flights.get(key)?;
        let is_long_enough =
            theirs.deadline.is_none_or(|ends| wish.deadline.is_some_and(|mine| mine <= ends));
        // What is taken is handed out: the last one of a flight, dropped here, would lock again.
        (is_long_enough && theirs.clears == wish.clears).then_some(())?;
        Some(Ticket { flight: flight.upgrade()?, index: *index })
    }

    fn announce(&mut self, keys: Keys, number: u64, flight: &Flight, wish: Wish) {
        for (key, index) in keys {
            let Some(flight) = flight.downgrade() else { return };
            self.flights.insert(key, Entered { number, flight, index, wish });
        }
    }
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
    pub(crate) number: u64,
}

impl Drop for Departure {
    fn drop(&mut self) {
        self.flights.0.landed.fetch_add(1, AcqRel);
        let mut board = self.flights.board();
        for (key, _) in &self.keys {
            if board.flights.get(key).is_some_and(|entered| entered.number == self.number) {
                board.flights.remove(key);
            }
        }
    }
}
