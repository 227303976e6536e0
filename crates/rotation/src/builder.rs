use crate::{
    Endpoint, LeastLatency, Rotation, Sends, Strategy,
    call::Hedging,
    changes::Changes,
    endpoint::Parts,
    filters::Filters,
    freshness::Freshness,
    polling::Polling,
    roster::{Roster, Shared},
    rotation::unique,
    seat::Seat,
};
use alclad_core::{Budget, Classify, Heads, UniqueIds, names};
use alloy_transport::Transport;
use std::{fmt, sync::Arc, time::Duration};
use tower::Layer;

/// What hedges and confirmations may add, as a share of all calls.
const SPARE_SHARE: f64 = 0.05;
/// What they may add at once, after a quiet time.
const SPARE_RESERVE: u32 = 20;
/// How long one attempt may take, if nobody says.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Puts a [`Rotation`] together.
pub struct RotationBuilder {
    endpoints: Vec<Parts>,
    strategy: Box<dyn Strategy>,
    sends: Sends,
    hedged: bool,
    attempt_timeout: Duration,
    heads: Heads,
    polled: bool,
    budget: Budget,
    classifier: Option<Arc<dyn Classify>>,
}

// === impl RotationBuilder ===

impl RotationBuilder {
    /// Adds an endpoint. Their order is that of an ordered strategy.
    ///
    /// A label that is taken already gets a number: the second `own` is `own#2`.
    #[must_use]
    pub fn endpoint<T, L>(mut self, endpoint: Endpoint<T, L>) -> Self
    where
        T: Transport,
        L: Layer<UniqueIds<T>>,
        L::Service: Transport + Clone,
    {
        let mut parts = endpoint.into_parts();
        parts.id = unique(parts.id, |id| self.endpoints.iter().any(|other| other.id == *id));
        self.endpoints.push(parts);
        self
    }

    /// Adds many endpoints.
    #[must_use]
    pub fn endpoints<T, L>(self, endpoints: impl IntoIterator<Item = Endpoint<T, L>>) -> Self
    where
        T: Transport,
        L: Layer<UniqueIds<T>>,
        L::Service: Transport + Clone,
    {
        endpoints.into_iter().fold(self, Self::endpoint)
    }

    /// Which of the endpoints of a tier is asked; by default [`LeastLatency`].
    #[must_use]
    pub fn with_strategy(mut self, strategy: impl Strategy + 'static) -> Self {
        self.strategy = Box::new(strategy);
        self
    }

    /// To how many endpoints a transaction is sent at once; by default to one.
    #[must_use]
    pub const fn with_sends(mut self, sends: Sends) -> Self {
        self.sends = sends;
        self
    }

    /// Never asks a second endpoint because the first is late.
    #[must_use]
    pub const fn without_hedging(mut self) -> Self {
        self.hedged = false;
        self
    }

    /// How long one attempt may take in the endpoints' rings; by default 10 s. Say here what your
    /// timeout layers say: a call that is hedged is hedged after half of it at the latest.
    #[must_use]
    pub const fn with_attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// The time between two blocks; by default it is learnt, and is 12 s until then.
    #[must_use]
    pub fn with_block_time(mut self, block_time: Duration) -> Self {
        self.heads = self.heads.with_block_time(block_time);
        self
    }

    /// Asks each endpoint for its head before the first call, and from then on about once per block
    /// time, unless its answers have told it anyway. So it is known from the beginning who lags,
    /// also of those that are not asked otherwise.
    ///
    /// The first calls wait for it, at most a second. The task that asks runs in the runtime of the
    /// first call, and ends with that or with the rotation.
    #[must_use]
    pub const fn with_head_polling(mut self) -> Self {
        self.polled = true;
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
    pub fn build(self) -> Rotation {
        let shared = Shared {
            budget: self.budget,
            spare: Budget::new(SPARE_SHARE, SPARE_RESERVE),
            classifier: self.classifier,
            strategy: self.strategy,
            hedging: self.hedged.then(|| Hedging::new(self.attempt_timeout)),
            sends: self.sends,
            freshness: Freshness::new(self.heads.clone()),
            filters: Filters::default(),
            changes: Changes::default(),
        };
        let seat = |(number, parts)| Arc::new(Seat::new(parts, number, &shared));
        let seats = self.endpoints.into_iter().enumerate().map(seat).collect();
        self.heads.on_reorg(|reorg| {
            let endpoint = reorg.endpoint.to_string();
            metrics::counter!(names::REORGS, names::ENDPOINT => endpoint).increment(1);
        });
        let shared = Arc::new(shared);
        let weak = Arc::downgrade(&shared);
        self.heads.on_distrust(move |_| {
            if let Some(shared) = weak.upgrade() {
                shared.freshness.distrust();
            }
        });
        let roster = Roster::new(shared, seats, None);
        Rotation::new(roster, self.polled.then(Polling::default))
    }
}

impl Default for RotationBuilder {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            strategy: Box::new(LeastLatency::new()),
            sends: Sends::One,
            hedged: true,
            attempt_timeout: ATTEMPT_TIMEOUT,
            heads: Heads::new(),
            polled: false,
            budget: Budget::default(),
            classifier: None,
        }
    }
}

impl fmt::Debug for RotationBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.endpoints.iter().map(|parts| &parts.id);
        f.debug_struct("RotationBuilder")
            .field("endpoints", &ids.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
