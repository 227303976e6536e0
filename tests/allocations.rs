//! What a call through the door costs: allocations grow with the number of layers, not with its
//! square.

use alclad::{MetricsLayer, RateLimitLayer, Report, RetryLayer, TimeoutLayer, TxGuardLayer};
use alclad_bench::{Instant, boxed, call, guarded, prometheus, request, runtime};
use alloy::{
    network::Ethereum,
    providers::{Provider, ProviderLayer, RootProvider},
    rpc::client::RpcClient,
    transports::BoxTransport,
};
use std::{num::NonZeroU32, time::Duration};
use tower::Layer;

fn timeout() -> TimeoutLayer {
    TimeoutLayer::new(Duration::from_secs(10))
}

fn rate_limit() -> RateLimitLayer {
    RateLimitLayer::per_second(NonZeroU32::MAX)
}

/// The transport of a provider with so many layers, as `ProviderBuilder` puts them there.
fn through_the_door<L>(layer: &L, layers: usize) -> BoxTransport
where
    L: ProviderLayer<RootProvider, Ethereum, Provider = RootProvider>,
{
    let root = RootProvider::new(RpcClient::new(Instant::new(), true));
    let root = (0..layers).fold(root, |root, _| layer.layer(root));
    root.client().transport().clone()
}

/// Of one call.
fn allocations(transport: &BoxTransport) -> u64 {
    let once = || {
        let packet = request();
        allocation_counter::measure(|| drop(call(transport, packet))).count_total
    };
    // What is made on the first call is made once.
    once();
    once()
}

#[test]
fn layers_through_the_door_cost_as_much_as_one_of_them_costs_each() {
    let _runtime = runtime();
    let of = |layers| {
        let timeouts = allocations(&through_the_door(&timeout(), layers));
        (timeouts, allocations(&through_the_door(&RetryLayer::new(), layers)))
    };
    let [none, one, two, four] = [0, 1, 2, 4].map(of);
    println!("timeouts and retries: none {none:?}, one {one:?}, two {two:?}, four {four:?}");
    let grows_linearly = |none: u64, one: u64, two: u64, four: u64| {
        two - none <= 2 * (one - none) && four - none <= 4 * (one - none)
    };
    assert!(grows_linearly(none.0, one.0, two.0, four.0), "{none:?} {one:?} {two:?} {four:?}");
    assert!(grows_linearly(none.1, one.1, two.1, four.1), "{none:?} {one:?} {two:?} {four:?}");
    // Its future, and the clone of the boxed transport below it.
    assert!(one.0 - none.0 <= 2, "{none:?} {one:?}");
    // And the copy of the request, without which there is no second attempt.
    assert!(one.1 - none.1 <= 3, "{none:?} {one:?}");
}

#[test]
fn a_layer_on_a_transport_that_is_not_boxed_costs_two() {
    let _runtime = runtime();
    let none = allocations(&boxed(Instant::new()));
    assert!(allocations(&boxed(Layer::layer(&timeout(), Instant::new()))) - none <= 2);
    assert!(allocations(&boxed(Layer::layer(&RetryLayer::new(), Instant::new()))) - none <= 2);
    assert!(allocations(&boxed(Layer::layer(&rate_limit(), Instant::new()))) - none <= 1);
}

#[test]
fn metrics_cost_one_also_while_they_are_recorded_and_reported() {
    let _runtime = runtime();
    let none = allocations(&boxed(Instant::new()));
    let metrics = || boxed(Layer::layer(&MetricsLayer::new(), Instant::new()));
    assert_eq!(allocations(&metrics()), none + 1);
    let reported = MetricsLayer::new().with_report(&Report::new());
    assert_eq!(allocations(&boxed(Layer::layer(&reported, Instant::new()))), none + 1);
    let recorder = prometheus();
    metrics::with_local_recorder(&recorder, || assert!(allocations(&metrics()) <= none + 2));
}

#[test]
fn a_verified_guard_adds_its_box_and_nothing_else() {
    let _runtime = runtime();
    assert_eq!(allocations(&guarded()), allocations(&boxed(Instant::new())) + 1);
    let sends = boxed(Layer::layer(&TxGuardLayer::expect(1), Instant::new()));
    assert_eq!(allocations(&sends), allocations(&boxed(Instant::new())) + 1);
}
