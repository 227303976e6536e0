//! Which of the endpoints that could serve a call is asked.

mod least_latency;
pub use least_latency::LeastLatency;

mod ordered;
pub use ordered::Ordered;

mod weighted;
pub use weighted::WeightedRoundRobin;

use crate::{Event, changes::Changes, seat::Seat};
use alclad_core::EndpointId;
use std::{fmt, ops::Deref, sync::Arc, time::Duration};

/// Which of the endpoints that could serve a call is asked.
///
/// A closure is a strategy, and so is an [`Arc`] of one. It is asked on every call and for every
/// failover, so it should neither wait nor allocate.
///
/// ```
/// use alclad_rotation::{Candidates, Strategy};
///
/// /// The one with the least in flight.
/// fn least_busy(candidates: &Candidates<'_>) -> usize {
///     let all = candidates.iter().enumerate();
///     all.min_by_key(|(_, candidate)| candidate.in_flight()).map_or(0, |(index, _)| index)
/// }
///
/// let strategy: Box<dyn Strategy> = Box::new(least_busy);
/// # drop(strategy);
/// ```
pub trait Strategy: Send + Sync {
    /// The index of the candidate to ask. One that is out of range counts as 0, the first.
    fn choose(&self, candidates: &Candidates<'_>) -> usize;

    /// Forgets what it has learnt, and goes back to the first endpoint.
    fn reset(&self) {}
}

impl<F> Strategy for F
where
    F: Fn(&Candidates<'_>) -> usize + Send + Sync,
{
    fn choose(&self, candidates: &Candidates<'_>) -> usize {
        self(candidates)
    }
}

impl<S: Strategy + ?Sized> Strategy for Arc<S> {
    fn choose(&self, candidates: &Candidates<'_>) -> usize {
        (**self).choose(candidates)
    }

    fn reset(&self) {
        (**self).reset();
    }
}

/// Who can serve a call: healthy, fresh and not asked yet, all of one tier, in the rotation's
/// order. There is at least one.
pub struct Candidates<'a> {
    candidates: &'a [Candidate<'a>],
    method: &'a str,
    is_detour: bool,
    changes: Option<&'a Changes>,
}

// === impl Candidates ===

impl<'a> Candidates<'a> {
    pub(crate) const fn new(
        candidates: &'a [Candidate<'a>],
        method: &'a str,
        is_detour: bool,
    ) -> Self {
        Self { candidates, method, is_detour, changes: None }
    }

    pub(crate) const fn with_changes(mut self, changes: &'a Changes) -> Self {
        self.changes = Some(changes);
        self
    }

    /// From now on the calls go to this one.
    fn tell_of_move(&self, to: &Candidate<'_>) {
        tracing::info!(endpoint = %to.id(), "the calls go to another endpoint");
        if let Some(changes) = self.changes {
            changes.add(to.id(), Event::MovedTo);
        }
    }

    /// A healthy endpoint is left out, because of this one call: it was already asked, without
    /// success, or does not have what is asked for. So it says nothing about where others go.
    pub const fn is_detour(&self) -> bool {
        self.is_detour
    }

    /// The JSON-RPC method of the call; of a batch, that of its first member.
    pub const fn method(&self) -> &str {
        self.method
    }

    /// The one that the strategy chooses.
    pub(crate) fn chosen_by(&self, strategy: &dyn Strategy) -> Option<&Candidate<'a>> {
        self.candidates.get(strategy.choose(self)).or(self.candidates.first())
    }
}

impl<'a> Deref for Candidates<'a> {
    type Target = [Candidate<'a>];

    fn deref(&self) -> &Self::Target {
        self.candidates
    }
}

impl fmt::Debug for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidates")
            .field("candidates", &self.candidates)
            .field("method", &self.method)
            .field("is_detour", &self.is_detour)
            .finish()
    }
}

/// One endpoint that could serve a call now.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    seat: &'a Seat,
    /// Its index in the roster.
    pub(crate) index: usize,
}

// === impl Candidate ===

impl<'a> Candidate<'a> {
    pub(crate) const fn new(seat: &'a Seat, index: usize) -> Self {
        Self { seat, index }
    }

    /// Its name.
    pub const fn id(&self) -> &'a EndpointId {
        &self.seat.id
    }

    /// Its place in the rotation, from 0.
    pub const fn order(&self) -> usize {
        self.seat.number
    }

    /// Its weight; 1 unless set.
    pub fn weight(&self) -> u32 {
        self.seat.weight()
    }

    /// How many requests it has not yet answered.
    pub fn in_flight(&self) -> u64 {
        self.seat.load.in_flight()
    }

    /// How long its answers take: a moving average that follows a slow one at once and forgets it
    /// in the course of 10 seconds. None before the first answer.
    pub fn latency(&self) -> Option<Duration> {
        self.seat.load.average()
    }

    /// How long its circuit has been closed. This looks at the clock.
    pub fn healthy_for(&self) -> Duration {
        self.seat.circuit.healthy_for()
    }

    /// See [`Load::burden`].
    fn burden(&self) -> u64 {
        self.seat.load.burden()
    }
}

impl fmt::Debug for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate")
            .field("id", self.id())
            .field("order", &self.order())
            .field("weight", &self.weight())
            .field("in_flight", &self.in_flight())
            .field("latency", &self.latency())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Endpoint, Rotation, roster::Roster, seat::Load};
    use alclad_testkit::{SimChain, SimNode};
    use tokio::time::advance;

    /// Endpoints `a`, `b`, `c` and so on, to be looked at by a strategy.
    pub(super) struct Field(Arc<Roster>);

    impl Field {
        pub(super) fn of(weights: &[u32]) -> Self {
            let transport = SimNode::new(&SimChain::new(1)).transport();
            let name = |index| char::from(b'a' + index as u8).to_string();
            let endpoints = (0..weights.len()).map(|i| Endpoint::new(name(i), transport.clone()));
            let rotation = Rotation::builder().endpoints(endpoints).build();
            let field = Self(rotation.shared.roster.load_full());
            weights.iter().enumerate().for_each(|(order, weight)| field.weigh(order, *weight));
            field
        }

        /// Alike, and healthy for ten minutes.
        pub(super) async fn of_healthy(count: usize) -> Self {
            let field = Self::of(&vec![1; count]);
            advance(Duration::from_secs(600)).await;
            field
        }

        fn seat(&self, order: usize) -> &Seat {
            &self.0.seats[order]
        }

        pub(super) fn load(&self, order: usize) -> &Load {
            &self.seat(order).load
        }

        pub(super) fn weigh(&self, order: usize, weight: u32) {
            self.seat(order).set_weight(weight);
        }

        /// From now on it has been healthy for so long.
        pub(super) fn heal(&self, order: usize, ago: Duration) {
            self.seat(order).circuit.set_healthy_for(ago);
        }

        /// Lets each endpoint have answered once, in so many milliseconds.
        pub(super) fn answering_in(self, millis: &[u64]) -> Self {
            let latencies = millis.iter().map(|millis| Duration::from_millis(*millis));
            latencies.enumerate().for_each(|(order, latency)| self.load(order).observe(latency));
            self
        }

        fn ask(&self, strategy: &dyn Strategy, who: &str, is_detour: bool) -> char {
            let orders = who.bytes().map(|name| usize::from(name - b'a'));
            let candidate = |order| Candidate::new(self.seat(order), order);
            let candidates = Vec::from_iter(orders.map(candidate));
            let candidates = Candidates::new(&candidates, "eth_call", is_detour);
            let chosen = candidates.chosen_by(strategy).expect("there are some");
            char::from(b'a' + chosen.index as u8)
        }

        /// Whom the strategy takes for a call among these.
        pub(super) fn first(&self, strategy: &dyn Strategy, who: &str) -> char {
            self.ask(strategy, who, false)
        }

        /// Whom it takes for a failover.
        pub(super) fn next(&self, strategy: &dyn Strategy, who: &str) -> char {
            self.ask(strategy, who, true)
        }

        /// Whom it takes for so many calls, one after the other.
        pub(super) fn row(&self, strategy: &dyn Strategy, who: &str, calls: usize) -> String {
            (0..calls).map(|_| self.first(strategy, who)).collect()
        }
    }

    pub(super) fn count(row: &str, name: char) -> usize {
        row.chars().filter(|who| *who == name).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_closure_is_a_strategy_and_sees_the_candidates() {
        let field = Field::of_healthy(2).await.answering_in(&[20, 30]);
        field.weigh(1, 7);
        field.heal(1, Duration::from_secs(9));
        field.load(1).begin();
        let strategy = |candidates: &Candidates<'_>| {
            let last = candidates.last().unwrap();
            assert_eq!((last.id().as_str(), last.order(), last.weight()), ("b", 1, 7));
            assert_eq!((last.in_flight(), last.latency()), (1, Some(Duration::from_millis(30))));
            assert_eq!(last.healthy_for(), Duration::from_secs(9));
            assert_eq!((candidates.method(), candidates.is_detour()), ("eth_call", true));
            assert!(format!("{candidates:?}").contains("\"b\""));
            candidates.len() - 1
        };
        assert_eq!(field.next(&strategy, "ab"), 'b');
        strategy.reset();
    }

    #[test]
    fn an_index_out_of_range_is_the_first() {
        let field = Field::of(&[1, 1]);
        let strategy = |_: &Candidates<'_>| usize::MAX;
        assert_eq!(field.first(&strategy, "ab"), 'a');
        assert_eq!(field.first(&strategy, "b"), 'b');
    }

    #[test]
    fn a_shared_strategy_can_be_reset_from_outside() {
        let field = Field::of(&[1, 1]);
        let strategy = Arc::new(Ordered::new());
        let in_use: Box<dyn Strategy> = Box::new(Arc::clone(&strategy));
        assert_eq!(field.first(&*in_use, "b"), 'b');
        assert_eq!(field.first(&*in_use, "ab"), 'b');
        Strategy::reset(&strategy);
        assert_eq!(field.first(&*in_use, "ab"), 'a');
    }
}
