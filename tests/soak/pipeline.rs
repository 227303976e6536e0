//! Every layer there is, in its place.

use alclad::{
    BlockCache, BlockCacheLayer, ChainGuardLayer, Endpoint, MetricsLayer, RateLimitLayer, Report,
    RetryLayer, Rotation, TimeoutLayer, TxGuardLayer, metrics::prometheus_builder,
    rotation::EndpointState,
};
use alloy::{
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::client::RpcClient,
};
use anyhow::Result;
use metrics_exporter_prometheus::PrometheusHandle;
use std::{num::NonZeroU32, time::Duration};
use url::Url;

/// The chain that the nodes serve.
pub(crate) const CHAIN_ID: u64 = 1;
/// How long an attempt may take.
const ATTEMPT: Duration = Duration::from_millis(500);
/// More than comes, so that the limiter works and refuses little.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(20_000).unwrap();
/// Little, so that the cache is full when the first round is over.
const CACHE: u64 = 2 << 20;

/// An application's way to its endpoints.
pub(crate) struct Pipeline {
    pub(crate) provider: DynProvider,
    cache: BlockCache,
    rotation: Rotation,
}

impl Pipeline {
    pub(crate) fn build(urls: &[Url]) -> Self {
        let report = Report::new();
        let endpoints = ["first", "second", "third"].into_iter().zip(urls).map(|(label, url)| {
            Endpoint::http(label, url.clone())
                .layer(ChainGuardLayer::expect(CHAIN_ID))
                .layer(RateLimitLayer::per_second(PER_SECOND))
                .layer(MetricsLayer::for_endpoint(label).with_report(&report))
                .layer(TimeoutLayer::new(ATTEMPT))
        });
        let rotation = Rotation::builder().endpoints(endpoints).with_head_polling().build();
        let cache = BlockCacheLayer::new().with_max_bytes(CACHE).with_heads(rotation.heads());
        let store = cache.store();
        let client = RpcClient::builder()
            .layer(MetricsLayer::new().with_report(&report))
            .layer(TxGuardLayer::expect(CHAIN_ID))
            .layer(cache)
            .layer(RetryLayer::new().with_budget(rotation.budget()))
            .transport(rotation.clone(), true);
        let provider = ProviderBuilder::new().connect_client(client).erased();
        Self { provider, cache: store, rotation }
    }

    /// Lets every endpoint be asked again, so that the next round is like this one.
    pub(crate) fn forgive(&self) {
        self.rotation.reset();
    }

    /// How the cache and the endpoints are doing.
    pub(crate) fn condition(&self) -> String {
        let hit_rate = 100.0 * self.cache.statistics().total.hit_rate();
        let endpoints = self.rotation.snapshot();
        let states = endpoints.iter().map(|endpoint| match endpoint.state {
            EndpointState::Closed => format!("{} healthy", endpoint.id),
            state => format!("{} {state:.0?}", endpoint.id),
        });
        format!("{hit_rate:.0} % from the cache; {}", states.collect::<Vec<_>>().join(", "))
    }
}

/// The exporter's recorder, with the buckets of the table of names: a summary's samples would grow.
pub(crate) fn install_recorder() -> Result<PrometheusHandle> {
    Ok(prometheus_builder(&[]).install_recorder()?)
}
