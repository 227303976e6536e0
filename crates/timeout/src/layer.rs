use crate::{Timeout, limits::Limits};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tower::Layer;

/// Gives every attempt a time in which it must have an answer.
///
/// See the [crate's documentation](crate) for what it does and where it stands.
#[derive(Clone, Debug)]
pub struct TimeoutLayer {
    limits: Arc<Limits>,
}

impl TimeoutLayer {
    /// Every attempt has this long.
    pub fn new(limit: Duration) -> Self {
        Self { limits: Arc::new(Limits { all: limit, methods: HashMap::new() }) }
    }

    /// Attempts of this method have this long instead: `eth_getLogs` or `debug_traceTransaction`
    /// need more, `eth_blockNumber` less.
    #[must_use]
    pub fn with_method(mut self, method: impl Into<String>, limit: Duration) -> Self {
        Arc::make_mut(&mut self.limits).methods.insert(method.into(), limit);
        self
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Timeout::new(inner, Arc::clone(&self.limits))
    }
}

#[cfg(feature = "provider")]
impl<N> alloy_provider::ProviderLayer<alloy_provider::RootProvider<N>, N> for TimeoutLayer
where
    N: alloy_network::Network,
{
    type Provider = alloy_provider::RootProvider<N>;

    fn layer(&self, root: alloy_provider::RootProvider<N>) -> Self::Provider {
        alclad_core::wrap_root(root, self)
    }
}
