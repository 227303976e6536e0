//! What every layer and every service of a layer is: the compiler is the test.

use alclad::{
    BlockCache, BlockCacheLayer, ChainGuardLayer, Endpoint, HttpTransport, MetricsLayer,
    RateLimitLayer, RateLimiter, Report, RetryLayer, Rotation, RotationBuilder, TimeoutLayer,
    TransportLayers, TxGuardLayer,
    block_cache::BlockCacheService,
    chain_guard::{ChainGuard, TxGuard},
    core::{
        Budget, CallOptions, ChainBaseline, EndpointId, Foreign, UniqueIds, UniqueIdsLayer,
        Upstream,
    },
    metrics::Metrics,
    rate_limit::{CostTable, RateLimit},
    retry::{Backoff, Decision, Retry, RetryEvent},
    timeout::Timeout,
};
use alloy::{
    network::Ethereum,
    providers::{ProviderLayer, RootProvider},
    transports::{BoxTransport, IntoBoxTransport},
};
use std::fmt::Debug;
use tower::{Layer, layer::util::Identity};

fn shared<T: Send + Sync + Debug + 'static>() {}
fn upstream<T: Upstream>() {}
fn boxes<L>()
where
    L: Layer<BoxTransport, Service: IntoBoxTransport + Upstream + Debug>,
    L: Send + Sync + Debug + 'static,
{
}
fn stands_in_a_builder<L>()
where
    L: ProviderLayer<RootProvider, Ethereum, Provider = RootProvider> + Clone,
{
}

#[test]
fn every_layer_boxes_into_a_transport_and_is_shared_by_threads() {
    boxes::<BlockCacheLayer>();
    boxes::<RateLimitLayer>();
    boxes::<ChainGuardLayer>();
    boxes::<MetricsLayer>();
    boxes::<RetryLayer>();
    boxes::<RetryLayer<fn(RetryEvent) -> Decision>>();
    boxes::<TimeoutLayer>();
    boxes::<TxGuardLayer>();
    boxes::<UniqueIdsLayer>();
    boxes::<TransportLayers<Identity>>();
}

#[test]
fn every_layer_stands_in_alloys_provider_builder() {
    stands_in_a_builder::<BlockCacheLayer>();
    stands_in_a_builder::<RateLimitLayer>();
    stands_in_a_builder::<ChainGuardLayer>();
    stands_in_a_builder::<MetricsLayer>();
    stands_in_a_builder::<RetryLayer>();
    stands_in_a_builder::<TimeoutLayer>();
    stands_in_a_builder::<TxGuardLayer>();
    stands_in_a_builder::<TransportLayers<Identity>>();
}

#[test]
fn every_service_is_an_upstream_for_the_next_layer() {
    upstream::<BoxTransport>();
    upstream::<BlockCacheService<BoxTransport>>();
    upstream::<ChainGuard<BoxTransport>>();
    upstream::<Foreign<BoxTransport>>();
    upstream::<HttpTransport>();
    upstream::<Metrics<Rotation>>();
    upstream::<RateLimit<BoxTransport>>();
    upstream::<RateLimit<tower::limit::ConcurrencyLimit<BoxTransport>>>();
    upstream::<Retry<BoxTransport>>();
    upstream::<Retry<Timeout<Rotation>, Backoff>>();
    upstream::<Rotation>();
    upstream::<Timeout<BoxTransport>>();
    upstream::<Timeout<tower::limit::ConcurrencyLimit<BoxTransport>>>();
    upstream::<TxGuard<Rotation>>();
    upstream::<UniqueIds<BoxTransport>>();
}

#[test]
fn what_a_user_holds_is_shared_by_threads() {
    shared::<Budget>();
    shared::<CallOptions>();
    shared::<ChainBaseline>();
    shared::<Endpoint<BoxTransport>>();
    shared::<EndpointId>();
    shared::<HttpTransport>();
    shared::<CostTable>();
    shared::<BlockCache>();
    shared::<RateLimiter>();
    shared::<Report>();
    shared::<Rotation>();
    shared::<RotationBuilder>();
}
