//! The layers, as the configuration puts them together.

use crate::config::{Config, Strategy, Upstream};
use alclad::{
    BlockCache, BlockCacheLayer, ChainGuardLayer, Endpoint, EndpointId, HttpTransport,
    LeastLatency, MetricsLayer, Ordered, Report, RetryLayer, Rotation, RotationBuilder,
    TimeoutLayer, TxGuardLayer, WeightedRoundRobin,
    block_cache::BlockCacheService,
    chain_guard::TxGuard,
    core::{ChainBaseline, UniqueIds},
    metrics::Metrics,
    retry::{Backoff, Retry},
};
use alloy_transport::Transport;
use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tower::{Layer, ServiceBuilder, util::option_layer};

/// The client ring over the rotation.
pub type Client = Metrics<TxGuard<BlockCacheService<Retry<Rotation>>>>;

/// Everything that a reload replaces.
pub struct Stack {
    /// What it was made of.
    pub config: Config,
    /// What calls go through.
    pub client: Client,
    /// Who is asked.
    pub rotation: Rotation,
    /// What the layers counted.
    pub report: Report,
    baseline: ChainBaseline,
    urls: Mutex<HashMap<EndpointId, String>>,
}

impl Stack {
    /// Endpoints and layers as the configuration has them, over this store.
    pub fn new(config: Config, store: &BlockCache) -> Self {
        let baseline = config.chain_id.map_or_else(ChainBaseline::new, ChainBaseline::expecting);
        let report = Report::new();
        let mut builder = rotation(&config);
        for upstream in config.endpoints() {
            builder = builder.endpoint(endpoint(&config, &baseline, &report, upstream));
        }
        let rotation = builder.build();
        let mut cache = BlockCacheLayer::new()
            .with_store(store.clone())
            .with_baseline(baseline.clone())
            .with_heads(rotation.heads());
        if let Some(millis) = config.cache.pin_latest_ms {
            cache = cache.with_pinned_latest(Duration::from_millis(millis));
        }
        let backoff = Backoff::new().with_attempts(config.routing.attempts);
        let client = ServiceBuilder::new()
            .layer(MetricsLayer::new().with_report(&report))
            .layer(TxGuardLayer::learn(baseline.clone()))
            .layer(cache)
            .layer(RetryLayer::with_policy(backoff).with_budget(rotation.budget()))
            .service(rotation.clone());
        let urls = config.endpoints().map(|one| (one.id.as_str().into(), one.masked_url()));
        let urls = Mutex::new(urls.collect());
        Self { client, rotation, report, baseline, urls, config }
    }

    /// Adds an endpoint while calls run; not if its id is taken.
    pub fn add(&self, upstream: &Upstream) -> bool {
        let mut urls = self.urls();
        let id = EndpointId::from(upstream.id.as_str());
        let is_free = !urls.contains_key(&id);
        if is_free {
            let endpoint = endpoint(&self.config, &self.baseline, &self.report, upstream);
            urls.insert(self.rotation.add(endpoint), upstream.masked_url());
        }
        is_free
    }

    /// Takes an endpoint out.
    pub fn remove(&self, id: &EndpointId) -> bool {
        self.urls().remove(id).is_some() && self.rotation.remove(id)
    }

    /// What may be shown of an endpoint's URL.
    pub fn url(&self, id: &EndpointId) -> Option<String> {
        self.urls().get(id).cloned()
    }

    fn urls(&self) -> MutexGuard<'_, HashMap<EndpointId, String>> {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One endpoint and its ring.
fn endpoint(
    config: &Config,
    baseline: &ChainBaseline,
    report: &Report,
    upstream: &Upstream,
) -> Endpoint<HttpTransport, impl Layer<UniqueIds<HttpTransport>, Service: Transport + Clone>> {
    let millis = Duration::from_millis;
    let routing = &config.routing;
    let mut timeout = TimeoutLayer::new(millis(routing.timeout_ms));
    for (method, limit) in &routing.method_timeouts_ms {
        timeout = timeout.with_method(method, millis(*limit));
    }
    let id = upstream.id.as_str();
    Endpoint::http(id, upstream.url.clone())
        .with_tier(upstream.tier)
        .with_weight(upstream.weight)
        .with_role(upstream.role)
        .layer(ChainGuardLayer::learn(baseline.clone()))
        .layer(option_layer(upstream.limit.map(|limit| limit.layer())))
        .layer(MetricsLayer::for_endpoint(id).with_report(report))
        .layer(timeout)
}

fn rotation(config: &Config) -> RotationBuilder {
    let routing = &config.routing;
    let mut builder = Rotation::builder()
        .with_head_polling()
        .with_attempt_timeout(Duration::from_millis(routing.timeout_ms));
    builder = match routing.strategy {
        Strategy::LeastLatency => builder.with_strategy(LeastLatency::new()),
        Strategy::Weighted => builder.with_strategy(WeightedRoundRobin::new()),
        Strategy::Ordered => builder.with_strategy(Ordered::new()),
    };
    if let Some(millis) = routing.block_time_ms {
        builder = builder.with_block_time(Duration::from_millis(millis));
    }
    if routing.hedging { builder } else { builder.without_hedging() }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rotation.fmt(f)
    }
}
