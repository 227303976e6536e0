use crate::{
    Endpoint, EndpointSnapshot,
    call::ask_in_turn,
    seat::{Seat, Shared},
};
use alclad_core::{Budget, CallOptions, Classify, EndpointId, UniqueIds};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{Transport, TransportError, TransportFut};
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use tower::{Layer, Service};

/// One transport over many endpoints, and the handle to look at it.
///
/// See the [crate's documentation](crate) for what it does and where it stands. Clones are the
/// same rotation.
#[derive(Clone)]
pub struct Rotation {
    shared: Arc<Shared>,
    options: Option<Arc<CallOptions>>,
}

// === impl Rotation ===

impl Rotation {
    /// Starts with no endpoint.
    pub fn builder() -> RotationBuilder {
        RotationBuilder::default()
    }

    /// Who is healthy, and how often each was asked: in the order in which they are asked.
    pub fn snapshot(&self) -> Vec<EndpointSnapshot> {
        self.shared.seats.iter().map(Seat::snapshot).collect()
    }

    /// The pipeline's budget, into which the rotation pays for every call: for the retry layer
    /// above it to draw on.
    pub fn budget(&self) -> Budget {
        self.shared.budget.drawing()
    }

    /// The same rotation, whose calls all have these options, unless they say otherwise.
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        let options = match &self.options {
            Some(others) => options.or(others),
            None => options,
        };
        Self { shared: Arc::clone(&self.shared), options: Some(Arc::new(options)) }
    }

    /// The same rotation, whose calls all go to this endpoint.
    #[must_use]
    pub fn pinned(&self, endpoint: impl Into<EndpointId>) -> Self {
        self.with(CallOptions::new().pinned_to(endpoint))
    }
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
        Box::pin(ask_in_turn(Arc::clone(&self.shared), packet))
    }
}

impl fmt::Debug for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotation").field("endpoints", &self.snapshot()).finish_non_exhaustive()
    }
}

/// Puts a [`Rotation`] together.
#[derive(Default)]
pub struct RotationBuilder {
    seats: Vec<Seat>,
    budget: Budget,
    classifier: Option<Arc<dyn Classify>>,
}

// === impl RotationBuilder ===

impl RotationBuilder {
    /// Adds an endpoint. Within a tier they are asked in the order in which they were added.
    ///
    /// A label that is taken already gets a number: the second `own` is `own#2`.
    #[must_use]
    pub fn endpoint<T, L>(mut self, endpoint: Endpoint<T, L>) -> Self
    where
        T: Transport,
        L: Layer<UniqueIds<T>>,
        L::Service: Transport + Clone,
    {
        let (id, tier, target) = endpoint.into_parts();
        let id = self.unique(id);
        self.seats.push(Seat::new(id, tier, target));
        self
    }

    /// The budget on which failovers draw; see [`Rotation::budget`].
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Asks this classifier about every fault before alclad's own table.
    #[must_use]
    pub fn with_classifier(mut self, classifier: impl Classify + 'static) -> Self {
        self.classifier = Some(Arc::new(classifier));
        self
    }

    /// The rotation. Without any endpoint its every call ends in
    /// [`NoEndpoint`](alclad_core::error::NoEndpoint).
    pub fn build(mut self) -> Rotation {
        self.seats.sort_by_key(|seat| seat.tier);
        let Self { seats, budget, classifier } = self;
        Rotation { shared: Arc::new(Shared { seats, budget, classifier }), options: None }
    }

    fn unique(&self, id: EndpointId) -> EndpointId {
        let taken = |id: &EndpointId| self.seats.iter().any(|seat| seat.id == *id);
        let numbered = (2..).map(|number| EndpointId::from(format!("{id}#{number}")));
        let mut candidates = std::iter::once(id.clone()).chain(numbered);
        candidates.find(|id| !taken(id)).unwrap_or(id)
    }
}

impl fmt::Debug for RotationBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.seats.iter().map(|seat| &seat.id);
        f.debug_struct("RotationBuilder").field("endpoints", &ids.collect::<Vec<_>>()).finish()
    }
}
