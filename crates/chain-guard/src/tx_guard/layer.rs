use super::{TxGuard, caps::Caps, service::Settings};
use alclad_core::ChainBaseline;
use std::sync::Arc;
use tower::Layer;

/// Refuses, before a byte leaves, what must not be sent to this chain: transactions that are
/// signed for another one or for any, and bytes that are no transaction.
///
/// See the [crate's documentation](crate) for what it does and where it stands.
#[derive(Clone, Debug)]
pub struct TxGuardLayer {
    baseline: ChainBaseline,
    caps: Caps,
}

impl TxGuardLayer {
    /// Transactions are sent to the chain with this id.
    pub fn expect(chain_id: u64) -> Self {
        Self::learn(ChainBaseline::expecting(chain_id))
    }

    /// Transactions are sent to this chain; if it is not known yet when the first one comes, the
    /// service below is asked for it.
    pub fn learn(baseline: ChainBaseline) -> Self {
        Self { baseline, caps: Caps::default() }
    }

    /// Lets legacy transactions pass that name no chain (from before EIP-155), as those that deploy
    /// a contract to the same address everywhere.
    #[must_use]
    pub const fn allowing_unprotected(mut self) -> Self {
        self.caps.unprotected = true;
        self
    }

    /// Lets envelopes pass whose type Ethereum does not know: other networks have some. Which
    /// chain they are for is not checked, nor what they cost.
    #[must_use]
    pub const fn allowing_unknown_types(mut self) -> Self {
        self.caps.unknown_types = true;
        self
    }

    /// Refuses what may pay more than this for one gas, in wei: `maxFeePerGas`, or a legacy
    /// transaction's gas price. By default nothing is too much.
    #[must_use]
    pub const fn with_fee_cap(mut self, wei: u128) -> Self {
        self.caps.fee_per_gas = Some(wei);
        self
    }

    /// Refuses what may pay more than this for all of its gas and blobs, in wei. What it transfers
    /// is not counted. By default nothing is too much.
    #[must_use]
    pub const fn with_total_fee_cap(mut self, wei: u128) -> Self {
        self.caps.total_fee = Some(wei);
        self
    }

    /// Refuses what may use more gas than this. By default nothing is too much.
    #[must_use]
    pub const fn with_gas_cap(mut self, gas: u64) -> Self {
        self.caps.gas = Some(gas);
        self
    }
}

impl<S> Layer<S> for TxGuardLayer {
    type Service = TxGuard<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { baseline, caps } = self.clone();
        TxGuard::new(inner, Arc::new(Settings { baseline, caps }))
    }
}

#[cfg(feature = "provider")]
impl<N> alloy_provider::ProviderLayer<alloy_provider::RootProvider<N>, N> for TxGuardLayer
where
    N: alloy_network::Network,
{
    type Provider = alloy_provider::RootProvider<N>;

    fn layer(&self, root: alloy_provider::RootProvider<N>) -> Self::Provider {
        alclad_core::wrap_root(root, self)
    }
}
