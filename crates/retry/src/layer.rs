use crate::{Backoff, Retry, RetryPolicy, service::Settings};
use alclad_core::{Budget, Classify};
use std::{fmt, sync::Arc};
use tower::Layer;

/// Asks again for the members of a packet that failed and may be replayed.
///
/// See the [crate's documentation](crate) for what it does and where it stands.
pub struct RetryLayer<P = Backoff> {
    settings: Arc<Settings<P>>,
}

impl RetryLayer {
    /// Retries with the default [`Backoff`].
    pub fn new() -> Self {
        Self::with_policy(Backoff::new())
    }
}

impl<P> RetryLayer<P> {
    /// Retries as this policy decides. A closure is a policy.
    pub fn with_policy(policy: P) -> Self {
        let (policy, budget) = (Arc::new(policy), Budget::default());
        Self { settings: Arc::new(Settings { policy, budget, classifier: None }) }
    }

    /// Draws on this budget; give it the rotation's, so that the whole pipeline has one.
    #[must_use]
    pub fn with_budget(self, budget: Budget) -> Self {
        self.change(|settings| settings.budget = budget)
    }

    /// Asks this classifier about every fault before alclad's own table.
    #[must_use]
    pub fn with_classifier(self, classifier: impl Classify + 'static) -> Self {
        self.change(|settings| settings.classifier = Some(Arc::new(classifier)))
    }

    fn change(mut self, change: impl FnOnce(&mut Settings<P>)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl<P> Clone for RetryLayer<P> {
    fn clone(&self) -> Self {
        Self { settings: Arc::clone(&self.settings) }
    }
}

impl Default for RetryLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> fmt::Debug for RetryLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryLayer").field("budget", &self.settings.budget).finish_non_exhaustive()
    }
}

impl<S, P: RetryPolicy> Layer<S> for RetryLayer<P> {
    type Service = Retry<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Retry::new(inner, Arc::clone(&self.settings))
    }
}

#[cfg(feature = "provider")]
impl<N, P> alloy_provider::ProviderLayer<alloy_provider::RootProvider<N>, N> for RetryLayer<P>
where
    N: alloy_network::Network,
    P: RetryPolicy,
{
    type Provider = alloy_provider::RootProvider<N>;

    fn layer(&self, root: alloy_provider::RootProvider<N>) -> Self::Provider {
        alclad_core::wrap_root(root, self)
    }
}
