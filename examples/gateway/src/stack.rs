//! The layers, as the configuration puts them together.

use crate::config::{Config, Limit, Strategy, Upstream};
use alclad::core::{ChainBaseline, UniqueIds};
use alclad::retry::{Backoff, Retry};
use alclad::{
    BlockCache, BlockCacheLayer, ChainGuardLayer, Endpoint, HttpTransport, LeastLatency,
    MetricsLayer, Ordered, Report, RetryLayer, Rotation, RotationBuilder, TimeoutLayer,
    TxGuardLayer, WeightedRoundRobin,
};
use alclad::{block_cache::BlockCacheService, chain_guard::TxGuard, metrics::Metrics};
use alloy_json_rpc::{Id, Request, RequestPacket};
use alloy_transport::Transport;
use std::{num::NonZeroU32, time::Duration};
use tokio::time::timeout;
use tower::util::option_layer;
use tower::{Layer, ServiceBuilder, ServiceExt};

/// A reload waits at most so long for the new endpoints.
const PATIENCE: Duration = Duration::from_secs(1);

/// The client ring, over the rotation.
pub(crate) type Client = Metrics<TxGuard<BlockCacheService<Retry<Rotation>>>>;

/// Everything that a reload replaces.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) config: Config,
    pub(crate) client: Client,
    pub(crate) rotation: Rotation,
    pub(crate) report: Report,
    baseline: ChainBaseline,
}

impl Stack {
    pub(crate) fn new(config: Config, store: &BlockCache) -> Self {
        let baseline = config.chain_id.map_or_else(ChainBaseline::new, ChainBaseline::expecting);
        let report = Report::new();
        let ring = |upstream| ring(&config, &baseline, &report, upstream);
        let rotation = builder(&config).endpoints(config.endpoints().map(ring)).build();
        let mut cache = BlockCacheLayer::new()
            .with_store(store.clone())
            .with_baseline(baseline.clone())
            .with_heads(rotation.heads());
        if let Some(age) = config.pin_latest_ms {
            cache = cache.with_pinned_latest(Duration::from_millis(age));
        }
        let backoff = Backoff::new().with_attempts(config.attempts);
        let client = ServiceBuilder::new()
            .layer(MetricsLayer::new().with_report(&report))
            .layer(TxGuardLayer::learn(baseline.clone()))
            .layer(cache)
            .layer(RetryLayer::with_policy(backoff).with_budget(rotation.budget()))
            .service(rotation.clone());
        Self { client, rotation, report, baseline, config }
    }

    /// Adds an endpoint while calls run, unless its id is taken.
    pub(crate) fn add(&self, upstream: &Upstream) -> bool {
        let added = self.rotation.add(ring(&self.config, &self.baseline, &self.report, upstream));
        let was_free = added.as_str() == upstream.id.0;
        was_free || !self.rotation.remove(&added)
    }

    /// Asks the endpoints where they are, so that the first call need not.
    pub(crate) async fn look(&self) {
        let question = Request::new("eth_blockNumber", Id::Number(0), ()).serialize();
        let packet = RequestPacket::Single(question.expect("no params are JSON"));
        let _ = timeout(PATIENCE, self.client.clone().oneshot(packet)).await;
    }
}

/// One endpoint and its ring.
fn ring(
    config: &Config,
    baseline: &ChainBaseline,
    report: &Report,
    upstream: &Upstream,
) -> Endpoint<HttpTransport, impl Layer<UniqueIds<HttpTransport>, Service: Transport + Clone>> {
    let millis = Duration::from_millis;
    let methods = config.method_timeouts_ms.iter();
    let timeout = methods
        .fold(TimeoutLayer::new(millis(config.timeout_ms)), |all, (name, time)| {
            all.with_method(name, millis(*time))
        });
    let id = upstream.id.0.as_str();
    Endpoint::http(id, upstream.url.0.clone().with_timeout(config.longest()))
        .with_tier(upstream.tier)
        .with_weight(upstream.weight.unwrap_or(NonZeroU32::MIN))
        .with_role(upstream.role)
        .layer(ChainGuardLayer::learn(baseline.clone()))
        .layer(option_layer(upstream.limit.as_ref().map(Limit::layer)))
        .layer(MetricsLayer::for_endpoint(id).with_report(report))
        .layer(timeout)
}

fn builder(config: &Config) -> RotationBuilder {
    let timeout = Duration::from_millis(config.timeout_ms);
    let builder = Rotation::builder().with_head_polling().with_attempt_timeout(timeout);
    match config.strategy {
        Strategy::LeastLatency => builder.with_strategy(LeastLatency::new()),
        Strategy::Weighted => builder.with_strategy(WeightedRoundRobin::new()),
        Strategy::Ordered => builder.with_strategy(Ordered::new()),
    }
}
