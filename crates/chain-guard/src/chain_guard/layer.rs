use super::{ChainGuard, gate::Gate};
use alclad_core::ChainBaseline;
use std::time::Duration;
use tower::Layer;

/// Lets nothing pass before the endpoint was seen to serve the right chain, and no answer of
/// another one.
///
/// Every service that it makes verifies its own endpoint; they share the baseline. See the
/// [crate's documentation](crate) for what it does and where it stands.
#[derive(Clone, Debug)]
pub struct ChainGuardLayer {
    pub(super) baseline: ChainBaseline,
    pub(super) settings: Settings,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// For how long a verification holds.
    pub(super) interval: Duration,
    /// How long after a mismatch it is asked again, at first and at most.
    pub(super) recheck: (Duration, Duration),
    pub(super) block_time: Option<Duration>,
    pub(super) answers_itself: bool,
}

impl ChainGuardLayer {
    /// The endpoint has to serve the chain with this id.
    pub fn expect(chain_id: u64) -> Self {
        Self::learn(ChainBaseline::expecting(chain_id))
    }

    /// The endpoint has to serve this chain; if it is not known yet, the first endpoint with this
    /// baseline that answers decides.
    pub const fn learn(baseline: ChainBaseline) -> Self {
        let settings = Settings {
            interval: Duration::from_secs(60),
            recheck: (Duration::from_secs(5), Duration::from_secs(300)),
            block_time: None,
            answers_itself: true,
        };
        Self { baseline, settings }
    }

    /// For how long a verification holds; by default a minute. The first call after that waits
    /// for the next one.
    #[must_use]
    pub const fn with_interval(mut self, interval: Duration) -> Self {
        self.settings.interval = interval;
        self
    }

    /// How long after a mismatch the endpoint is asked again: `first`, then twice as long each
    /// time, up to `most`. By default 5 s and 5 min.
    #[must_use]
    pub const fn with_recheck(mut self, first: Duration, most: Duration) -> Self {
        self.settings.recheck = (first, most);
        self
    }

    /// The time between two blocks, of which a minute's worth is a jump; by default it is learnt,
    /// and is 12 s until then.
    #[must_use]
    pub const fn with_block_time(mut self, block_time: Duration) -> Self {
        self.settings.block_time = Some(block_time);
        self
    }

    /// Lets the endpoint answer `eth_chainId` and `net_version`.
    ///
    /// An answer to `eth_chainId` that names another chain is a mismatch then, too.
    #[must_use]
    pub const fn without_local_answers(mut self) -> Self {
        self.settings.answers_itself = false;
        self
    }

    /// The chain that its endpoints have to serve.
    pub const fn baseline(&self) -> &ChainBaseline {
        &self.baseline
    }
}

impl<S> Layer<S> for ChainGuardLayer {
    type Service = ChainGuard<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ChainGuard::new(inner, Gate::new(self.baseline.clone(), self.settings))
    }
}

#[cfg(feature = "provider")]
impl<N> alloy_provider::ProviderLayer<alloy_provider::RootProvider<N>, N> for ChainGuardLayer
where
    N: alloy_network::Network,
{
    type Provider = alloy_provider::RootProvider<N>;

    fn layer(&self, root: alloy_provider::RootProvider<N>) -> Self::Provider {
        alclad_core::wrap_root(root, self)
    }
}
