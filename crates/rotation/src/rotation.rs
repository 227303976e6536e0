use crate::{
    Change, Endpoint, EndpointSnapshot, Event, RotationBuilder, call::ask, polling::Polling,
    roster::Roster, seat::Seat,
};
use alclad_core::{Budget, CallOptions, EndpointId, Heads, UniqueIds};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{Transport, TransportError, TransportFut};
use arc_swap::ArcSwap;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tokio::time::timeout_at;
use tower::{Layer, Service};

/// One transport over many endpoints, and the handle to look at it and to change it.
///
/// See the [crate's documentation](crate) for what it does and where it stands. Clones are the
/// same rotation.
#[derive(Clone)]
pub struct Rotation {
    // All in one, for a call clones the rotation.
    pub(crate) shared: Arc<Clones>,
    options: Option<Arc<CallOptions>>,
}

/// What the clones of a rotation share.
pub(crate) struct Clones {
    pub(crate) roster: ArcSwap<Roster>,
    polling: Option<Arc<Polling>>,
    /// Held while an endpoint is added: two must not get one label.
    changing: Mutex<()>,
}

// === impl Rotation ===

impl Rotation {
    /// Starts with no endpoint.
    pub fn builder() -> RotationBuilder {
        RotationBuilder::default()
    }

    pub(crate) fn new(roster: Roster, polling: Option<Polling>) -> Self {
        let roster = ArcSwap::from_pointee(roster);
        let (polling, changing) = (polling.map(Arc::new), Mutex::default());
        Self { shared: Arc::new(Clones { roster, polling, changing }), options: None }
    }

    /// Who is healthy, how fast, how far behind, and how often each was asked: the best tier
    /// first.
    pub fn snapshot(&self) -> Vec<EndpointSnapshot> {
        self.shared.roster.load().seats.iter().map(|seat| seat.snapshot()).collect()
    }

    /// What has changed at the endpoints lately, and why: the newest first, at most 64.
    pub fn changes(&self) -> Vec<Change> {
        self.shared.roster.load().shared.changes.list()
    }

    /// What has been seen of the chain's head, at each endpoint and in all.
    pub fn heads(&self) -> Heads {
        self.shared.roster.load().shared.freshness.heads.clone()
    }

    /// The pipeline's budget, into which the rotation pays for every call: for the retry layer
    /// above it to draw on.
    pub fn budget(&self) -> Budget {
        self.shared.roster.load().shared.budget.drawing()
    }

    /// The same rotation, whose calls all have these options, unless they say otherwise.
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        let options = match &self.options {
            Some(others) => options.or(others),
            None => options,
        };
        Self { options: Some(Arc::new(options)), ..self.clone() }
    }

    /// The same rotation, whose calls all go to this endpoint: for an operation that must see one
    /// state of the chain from its first call to its last.
    ///
    /// Roles hold also here: where some endpoints are there for nothing but transactions, those go
    /// to them.
    #[must_use]
    pub fn pinned(&self, endpoint: impl Into<EndpointId>) -> Self {
        self.with(CallOptions::new().pinned_to(endpoint))
    }

    /// Adds an endpoint while the rotation runs, and returns its label, which has got a number if
    /// it was taken.
    pub fn add<T, L>(&self, endpoint: Endpoint<T, L>) -> EndpointId
    where
        T: Transport,
        L: Layer<UniqueIds<T>>,
        L::Service: Transport + Clone,
    {
        let mut parts = endpoint.into_parts();
        let one_at_a_time = self.shared.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let roster = self.shared.roster.load();
        parts.id = unique(parts.id, |id| roster.position(id).is_some());
        let number = roster.seats.iter().map(|seat| seat.number + 1).max();
        let seat = Arc::new(Seat::new(parts, number.unwrap_or_default(), &roster.shared));
        self.change(|seats| seats.push(Arc::clone(&seat)));
        drop(one_at_a_time);
        tracing::info!(endpoint = %seat.id, "endpoint added");
        roster.shared.changes.add(&seat.id, Event::Added);
        seat.id.clone()
    }

    /// Takes an endpoint out; its calls in flight go on to their end. Returns whether there was
    /// such a one.
    pub fn remove(&self, endpoint: &EndpointId) -> bool {
        let Some(seat) = self.seat(endpoint) else { return false };
        tracing::info!(%endpoint, "endpoint removed");
        // Nor does a call go on to it that began before.
        seat.leave();
        self.shared.roster.load().shared.changes.add(endpoint, Event::Removed);
        self.change(|seats| seats.retain(|other| other.id != *endpoint));
        true
    }

    /// Switches an endpoint on that was switched off. Returns whether there is such a one.
    pub fn enable(&self, endpoint: &EndpointId) -> bool {
        self.seat(endpoint).map(|seat| seat.enable(true)).is_some()
    }

    /// Asks an endpoint nothing more until it is [enabled](Self::enable) again; its calls in flight
    /// go on to their end. Returns whether there is such a one.
    pub fn disable(&self, endpoint: &EndpointId) -> bool {
        self.seat(endpoint).map(|seat| seat.enable(false)).is_some()
    }

    /// Closes an endpoint's circuit: whatever it failed with, it is asked again as usual. Returns
    /// whether there is such a one.
    pub fn close(&self, endpoint: &EndpointId) -> bool {
        self.seat(endpoint).map(|seat| seat.circuit.reset()).is_some()
    }

    /// Sets an endpoint's share of the calls. Returns whether there is such a one.
    pub fn set_weight(&self, endpoint: &EndpointId, weight: u32) -> bool {
        self.seat(endpoint).map(|seat| seat.set_weight(weight)).is_some()
    }

    /// From now on this endpoint is asked first, whatever tier and strategy say, as long as it is
    /// healthy, and until [`reset`](Self::reset). Returns whether there is such a one.
    pub fn switch_to(&self, endpoint: &EndpointId) -> bool {
        let known = self.seat(endpoint).is_some();
        if known {
            tracing::info!(%endpoint, "switched by hand");
            self.shared.roster.load().shared.changes.add(endpoint, Event::SwitchedTo);
            self.switch(Some(endpoint));
        }
        known
    }

    /// Back to the beginning: no endpoint is preferred by hand, all circuits are closed, and an
    /// ordered strategy begins with its first endpoint.
    pub fn reset(&self) {
        tracing::info!("reset by hand");
        self.switch(None);
        let roster = self.shared.roster.load();
        roster.seats.iter().for_each(|seat| seat.circuit.reset());
        roster.shared.strategy.reset();
    }

    fn seat(&self, endpoint: &EndpointId) -> Option<Arc<Seat>> {
        let roster = self.shared.roster.load();
        roster.position(endpoint).map(|index| Arc::clone(&roster.seats[index]))
    }

    fn switch(&self, endpoint: Option<&EndpointId>) {
        self.shared
            .roster
            .rcu(|old| Roster::new(Arc::clone(&old.shared), old.seats.clone(), endpoint));
    }

    fn change(&self, change: impl Fn(&mut Vec<Arc<Seat>>)) {
        self.shared.roster.rcu(|old| {
            let mut seats = old.seats.clone();
            change(&mut seats);
            let switched = old.switched.map(|index| &old.seats[index].id);
            Roster::new(Arc::clone(&old.shared), seats, switched)
        });
    }
}

/// The label, with a number if it is taken.
pub(crate) fn unique(id: EndpointId, is_taken: impl Fn(&EndpointId) -> bool) -> EndpointId {
    let numbered = (2..).map(|number| EndpointId::from(format!("{id}#{number}")));
    let mut candidates = std::iter::once(id.clone()).chain(numbered);
    candidates.find(|id| !is_taken(id)).unwrap_or(id)
}

impl Service<RequestPacket> for Rotation {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        // Which endpoint must be ready is known only with the call.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut packet: RequestPacket) -> Self::Future {
        CallOptions::adopt(&mut packet);
        if let Some(options) = &self.options {
            options.fill(&mut packet);
        }
        match &self.shared.polling {
            Some(polling) if !polling.has_looked() => {
                let (polling, shared) = (Arc::clone(polling), Arc::clone(&self.shared));
                let deadline = CallOptions::deadline_of(&packet);
                Box::pin(async move {
                    match deadline {
                        Some(deadline) => drop(timeout_at(deadline, polling.look(&shared)).await),
                        None => polling.look(&shared).await,
                    }
                    ask(shared.roster.load(), packet).await
                })
            }
            _ => ask(self.shared.roster.load(), packet),
        }
    }
}

impl fmt::Debug for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotation").field("endpoints", &self.snapshot()).finish_non_exhaustive()
    }
}
