use crate::{
    Role, Sends, Strategy,
    call::{Hedging, Route},
    changes::Changes,
    filters::Filters,
    freshness::{BLOCK_NUMBER, Freshness, Wanted},
    polling::{interval, look_at, question},
    seat::Seat,
};
use alclad_core::{Budget, Classify, EndpointId, Method, error::NoEndpoint};
use alloy_json_rpc::{RequestPacket, SerializedRequest};
use smallvec::SmallVec;
use std::{sync::Arc, time::Duration};
use tokio::runtime::Handle;

/// What all clones of a rotation share, whichever endpoints it has.
pub(crate) struct Shared {
    pub(crate) budget: Budget,
    /// For what is good to have: hedges, and answers that are confirmed though they are most
    /// often right.
    pub(crate) spare: Budget,
    pub(crate) classifier: Option<Arc<dyn Classify>>,
    pub(crate) strategy: Box<dyn Strategy>,
    pub(crate) hedging: Option<Hedging>,
    pub(crate) sends: Sends,
    pub(crate) freshness: Freshness,
    pub(crate) filters: Filters,
    pub(crate) changes: Changes,
}

impl Shared {
    pub(crate) fn deposit(&self, calls: usize) {
        self.budget.deposit(calls);
        self.spare.deposit(calls);
    }
}

/// The endpoints that there are now, the best tier first. A call keeps the roster with which it
/// began, so that none is lost when it changes.
#[derive(Clone)]
pub(crate) struct Roster {
    pub(crate) shared: Arc<Shared>,
    pub(crate) seats: Vec<Arc<Seat>>,
    /// The one to which the rotation was switched by hand.
    pub(crate) switched: Option<usize>,
    /// Some are there for nothing but transactions.
    pub(crate) has_writers: bool,
}

// === impl Roster ===

impl Roster {
    pub(crate) fn new(
        shared: Arc<Shared>,
        mut seats: Vec<Arc<Seat>>,
        switched: Option<&EndpointId>,
    ) -> Self {
        seats.sort_by_key(|seat| seat.tier);
        let switched = switched.and_then(|id| seats.iter().position(|seat| seat.id == *id));
        let has_writers = seats.iter().any(|seat| seat.role == Role::Write);
        Self { shared, seats, switched, has_writers }
    }

    pub(crate) fn position(&self, id: &EndpointId) -> Option<usize> {
        self.seats.iter().position(|seat| seat.id == *id)
    }

    pub(crate) fn block_time(&self) -> Duration {
        self.shared.freshness.heads.block_time()
    }

    pub(crate) fn wanted(&self, request: &SerializedRequest) -> Wanted {
        let wanted = Wanted::of(request, self);
        if !matches!(wanted, Wanted::Anything) {
            self.look_at_the_late();
        }
        wanted
    }

    /// An endpoint that lags is asked for little, so that nothing would tell when it has caught
    /// up: now and then it is asked for its head, and so are those that it is compared with, if
    /// they have not shown theirs.
    fn look_at_the_late(&self) {
        let late = || self.seats.iter().filter(|seat| seat.lookout.is_lagging());
        // Mostly nobody lags, and then nothing is locked.
        if late().next().is_none() {
            return;
        }
        let (interval, Ok(runtime)) = (interval(self), Handle::try_current()) else { return };
        if late().filter(|seat| seat.is_due(interval)).count() == 0 {
            return;
        }
        let silent = |seat: &&Arc<Seat>| seat.lookout.age().is_none_or(|age| age >= interval / 2);
        for seat in self.seats.iter().filter(|seat| seat.lookout.is_lagging() || silent(seat)) {
            let may_be_asked = seat.may_be_looked_at(&question(BLOCK_NUMBER)).is_some();
            if may_be_asked && self.shared.spare.withdraw() {
                runtime.spawn(look_at(Arc::clone(seat)));
            }
        }
    }

    /// Whether this endpoint is there for this method.
    #[inline]
    pub(crate) fn may_serve(&self, seat: &Seat, method: &Method) -> bool {
        seat.is_usable() && self.has_role_for(seat, method)
    }

    fn has_role_for(&self, seat: &Seat, method: &Method) -> bool {
        match (method.is_send(), seat.role) {
            (true, Role::Write) | (false, Role::Read | Role::ReadWrite) => true,
            (true, Role::ReadWrite) => !self.has_writers,
            (true, Role::Read) | (false, Role::Write) => false,
        }
    }

    /// Whether a call that is pinned to an endpoint goes to this one. Its role holds also then: a
    /// transaction for a private endpoint must not leak out to another.
    pub(crate) fn is_pinned_to(&self, seat: &Seat, endpoint: &EndpointId, method: &Method) -> bool {
        seat.id == *endpoint
            || self
                .position(endpoint)
                .is_some_and(|pinned| !self.has_role_for(&self.seats[pinned], method))
    }

    /// The endpoint for what lives in a connection, or was made before our time.
    pub(crate) fn first(&self, method: &Method) -> Option<usize> {
        self.seats.iter().position(|seat| self.may_serve(seat, method))
    }

    /// Why there is nobody to ask.
    pub(crate) fn missing(&self, pin: Option<&EndpointId>) -> NoEndpoint {
        match pin {
            Some(endpoint) if self.position(endpoint).is_none() => {
                NoEndpoint::Unknown(endpoint.clone())
            }
            _ if self.seats.is_empty() => NoEndpoint::Empty,
            _ => NoEndpoint::Unwilling,
        }
    }

    /// Whom to ask what became of a transaction: where it may have arrived, then those that were
    /// not asked, and the healthy ones first.
    pub(crate) fn readers(&self, packet: &RequestPacket, route: &Route) -> SmallVec<[usize; 4]> {
        let Some(request) = packet.requests().first() else { return SmallVec::new() };
        let method = Method::of(request.method());
        let may_read = |index: &usize| self.may_serve(&self.seats[*index], method);
        let mut readers: SmallVec<[usize; 4]> = (0..self.seats.len()).filter(may_read).collect();
        readers.sort_by_key(|index| {
            let is_closed = self.seats[*index].circuit.is_closed();
            (!route.arrived.contains(index), !is_closed, route.asked.contains(index))
        });
        readers
    }
}
