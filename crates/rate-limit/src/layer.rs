use crate::{CostModel, RateLimit, RateLimiter, RatePolicy, settings::Settings, shared::Shared};
use alclad_core::{Classify, headroom};
use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};
use tower::Layer;

/// Lets no more through than an endpoint allows.
///
/// All services that one layer, or a clone of it, is put on share one budget: give two pipelines
/// that use one key the same layer. The setters begin a new budget: configure first, then clone.
///
/// See the [crate's documentation](crate) for what it does and where it stands.
#[derive(Clone)]
pub struct RateLimitLayer {
    shared: Arc<Shared>,
}

impl RateLimitLayer {
    /// So many requests per second; a batch is as many as it has members.
    pub fn per_second(requests: NonZeroU32) -> Self {
        Self::of(Settings::new(requests, None))
    }

    /// So many units per second, of which each request costs what the model says: a
    /// [`CostTable`](crate::CostTable) or a closure.
    pub fn compute_units(units: NonZeroU32, costs: impl CostModel) -> Self {
        Self::of(Settings::new(units, Some(Arc::new(costs))))
    }

    /// How many units may pass at once when nothing has passed for a while. By default a twentieth
    /// of what passes in a second, at least one.
    ///
    /// An endpoint that is a token bucket bears as much as its own burst, less what the network
    /// may push together: half of it is a good choice.
    #[must_use]
    pub fn with_burst(self, units: NonZeroU32) -> Self {
        self.change(|settings| settings.burst = Some(units))
    }

    /// The endpoint counts in windows of this length, sliding or fixed: no window gets more than
    /// the rate times its length, as long as no packet is dearer than the burst, and the burst is no
    /// more than 48 % of that.
    ///
    /// The burst is taken off the rate, and another 1.5 % for packets that the network delays, and
    /// so pushes into a later window; but no more than half. By default the burst is then 1.5 % of
    /// what a window may have, at least one unit, so that 97 % of the rate is used, and less of a
    /// limit of a few calls. With a cost model it had better be what the dearest usual call costs.
    #[must_use]
    pub fn with_window(self, window: Duration) -> Self {
        let window = window.max(Duration::from_millis(1));
        self.change(|settings| settings.window = Some(window))
    }

    /// How long a packet may wait for its turn; zero: not at all. A call's deadline, if that is
    /// earlier, holds all the same.
    ///
    /// By default a minute; inside a rotation, which asks for headroom before it sends, zero.
    #[must_use]
    pub fn with_max_wait(self, max_wait: Duration) -> Self {
        self.change(|settings| settings.max_wait = Some(max_wait))
    }

    /// How many packets may wait, 10,000 by default; one more is refused at once.
    #[must_use]
    pub fn with_max_waiters(self, packets: usize) -> Self {
        self.change(|settings| settings.max_waiters = packets)
    }

    /// Follows the endpoint's limit where that is below the rate that was set, as this policy
    /// says: [`Aimd`](crate::Aimd), [`ErrorShare`](crate::ErrorShare) or a closure. By default
    /// the rate stays.
    #[must_use]
    pub fn with_policy(self, policy: impl RatePolicy) -> Self {
        self.change(|settings| settings.policy = Some(Arc::new(policy)))
    }

    /// Asks this classifier whether an error is the endpoint's rate limit, before alclad's own
    /// table.
    #[must_use]
    pub fn with_classifier(self, classifier: impl Classify + 'static) -> Self {
        self.change(|settings| settings.classifier = Some(Arc::new(classifier)))
    }

    /// A handle on the budget.
    pub fn limiter(&self) -> RateLimiter {
        RateLimiter::new(Arc::clone(&self.shared))
    }

    fn of(settings: Settings) -> Self {
        Self { shared: Arc::new(Shared::new(settings)) }
    }

    fn change(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.shared.settings.clone();
        change(&mut settings);
        Self::of(settings)
    }
}

impl fmt::Debug for RateLimitLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer").field("limiter", &self.limiter()).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let asked = headroom::register(self.shared.clone());
        RateLimit::new(inner, Arc::clone(&self.shared), asked)
    }
}

#[cfg(feature = "provider")]
impl<N> alloy_provider::ProviderLayer<alloy_provider::RootProvider<N>, N> for RateLimitLayer
where
    N: alloy_network::Network,
{
    type Provider = alloy_provider::RootProvider<N>;

    fn layer(&self, root: alloy_provider::RootProvider<N>) -> Self::Provider {
        alclad_core::wrap_root(root, self)
    }
}
