//! An endpoint whose own limiter is empty is passed over, and that is nobody's fault.

mod nodes;
mod stage;

use alclad_core::{
    Fault, Headroom, Limiter, UniqueIds,
    error::{AllParked, OverLimit, TypedError, cause},
    headroom,
};
use alclad_rotation::{Endpoint, EndpointState, Rotation};
use alclad_testkit::{Disruption, SimChain, SimNode, SimTransport, batch, request, single};
use alloy_json_rpc::{RequestPacket, SerializedRequest};
use alloy_transport::TransportError;
use nodes::in_order;
use stage::secs;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tower::{Layer, ServiceExt};

/// A limiter whose wait the test sets, in milliseconds; it counts how often it was asked.
#[derive(Clone, Default)]
struct Gauge {
    wait: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
}

impl Gauge {
    fn set(&self, wait: Duration) {
        self.wait.store(wait.as_millis() as u64, Relaxed);
    }
}

impl Headroom for Gauge {
    fn free_in(&self, _: &[SerializedRequest]) -> Duration {
        self.asked.fetch_add(1, Relaxed);
        Duration::from_millis(self.wait.load(Relaxed))
    }
}

/// A layer that only makes the limiter known.
#[derive(Clone)]
struct Limit(Arc<dyn Headroom>);

impl Layer<UniqueIds<SimTransport>> for Limit {
    type Service = UniqueIds<SimTransport>;

    fn layer(&self, inner: UniqueIds<SimTransport>) -> Self::Service {
        assert!(headroom::register(Arc::clone(&self.0)));
        inner
    }
}

struct Limited {
    nodes: [SimNode; 3],
    gauges: [Gauge; 3],
    rotation: Rotation,
}

impl Limited {
    fn new() -> Self {
        let chain = SimChain::new(7);
        chain.mine(20);
        let nodes = [(); 3].map(|()| SimNode::new(&chain));
        let gauges = [(); 3].map(|()| Gauge::default());
        let endpoints = ["a", "b", "c"].into_iter().zip(&nodes).zip(&gauges);
        let endpoints = endpoints.map(|((label, node), gauge)| {
            Endpoint::new(label, node.transport()).layer(Limit(Arc::new(gauge.clone())))
        });
        let rotation = in_order().endpoints(endpoints).build();
        Self { nodes, gauges, rotation }
    }

    fn wait(&self, seconds: [u64; 3]) {
        self.gauges.iter().zip(seconds).for_each(|(gauge, seconds)| gauge.set(secs(seconds)));
    }

    async fn ask(&self) -> Result<(), TransportError> {
        self.send(single(request(1, "eth_chainId", ()))).await
    }

    async fn send(&self, packet: RequestPacket) -> Result<(), TransportError> {
        self.rotation.clone().oneshot(packet).await.map(drop)
    }

    fn calls(&self) -> [u64; 3] {
        [0, 1, 2].map(|node| self.nodes[node].total_calls())
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_endpoint_is_passed_over_without_entering_its_queue() {
    let limited = Limited::new();
    limited.ask().await.expect("an answer");
    limited.wait([5, 0, 0]);
    for _ in 0..10 {
        limited.ask().await.expect("an answer");
    }
    limited.wait([5, 5, 0]);
    limited.ask().await.expect("an answer");
    assert_eq!(limited.calls(), [1, 10, 1]);
    limited.wait([0, 0, 0]);
    limited.ask().await.expect("an answer");
    assert_eq!(limited.calls(), [2, 10, 1]);
}

#[tokio::test(start_paused = true)]
async fn when_none_is_free_the_soonest_time_comes_back_at_once() {
    let limited = Limited::new();
    limited.wait([9, 4, 7]);
    let error = limited.ask().await.expect_err("none is free");
    let parked = cause::<AllParked>(&error).expect("nobody was asked");
    assert_eq!(parked.retry_after, secs(4));
    let fault = Fault::of_error("eth_chainId", &error);
    assert!(
        matches!(fault, Fault::RateLimited { retry_after: Some(after), .. } if after == secs(4))
    );
    assert_eq!(limited.calls(), [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_held_against_an_endpoint_whose_limiter_is_empty() {
    let limited = Limited::new();
    limited.wait([9, 4, 7]);
    for _ in 0..100 {
        limited.ask().await.expect_err("none is free");
    }
    for endpoint in limited.rotation.snapshot() {
        assert_eq!((endpoint.state, endpoint.throttles), (EndpointState::Closed, 0));
        assert!(endpoint.faults.is_empty() && endpoint.requests == 0, "{endpoint:?}");
    }
    limited.wait([0, 0, 0]);
    limited.ask().await.expect("an answer");
    assert_eq!(limited.calls(), [1, 0, 0], "at once, when it is free again");
}

#[tokio::test(start_paused = true)]
async fn a_failover_passes_over_an_empty_endpoint_too() {
    let limited = Limited::new();
    limited.nodes[0].set(Disruption::http_status(503));
    limited.wait([0, 5, 0]);
    limited.ask().await.expect("c answers");
    assert_eq!(limited.calls(), [1, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn the_last_real_answer_comes_back_when_the_others_are_empty() {
    let limited = Limited::new();
    limited.nodes[0].set(Disruption::http_status(503));
    limited.wait([0, 5, 5]);
    let error = limited.ask().await.expect_err("a fails, and nobody else is free");
    assert_eq!(Fault::of_error("eth_chainId", &error), Fault::ServerError);
    assert_eq!(limited.calls(), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_own_limit_and_a_vendors_hint_are_one_time() {
    let limited = Limited::new();
    let hint = alclad_testkit::RetryAfter::Seconds(3);
    limited.nodes[0].set(Disruption::too_many_requests(Some(hint)));
    limited.wait([0, 8, 8]);
    limited.ask().await.expect_err("a is throttled");
    let error = limited.ask().await.expect_err("none is free");
    assert_eq!(cause::<AllParked>(&error).map(|parked| parked.retry_after), Some(secs(3)));
}

#[tokio::test(start_paused = true)]
async fn a_long_hint_of_one_does_not_hide_that_another_is_free_sooner() {
    let limited = Limited::new();
    let hint = alclad_testkit::RetryAfter::Seconds(30);
    limited.nodes[0].set(Disruption::too_many_requests(Some(hint)));
    limited.wait([0, 2, 8]);
    let error = limited.ask().await.expect_err("a is throttled, and nobody else is free");
    assert_eq!(cause::<AllParked>(&error).map(|parked| parked.retry_after), Some(secs(2)));
}

#[tokio::test(start_paused = true)]
async fn of_limiters_that_had_no_room_after_all_the_soonest_counts() {
    let refusing = |seconds| {
        tower::service_fn(move |_: RequestPacket| -> alloy_transport::TransportFut<'static> {
            Box::pin(async move { Err(OverLimit::new(secs(seconds)).into_transport_error()) })
        })
    };
    let endpoints = [("a", 9), ("b", 3), ("c", 7)];
    let endpoint = |(label, seconds)| Endpoint::new(label, refusing(seconds));
    let rotation = in_order().endpoints(endpoints.map(endpoint)).build();
    let error = rotation.oneshot(single(request(1, "eth_chainId", ()))).await;
    let fault = Fault::of_error("eth_chainId", &error.expect_err("none has room"));
    let soonest = Fault::RateLimited { retry_after: Some(secs(3)), by: Limiter::Local };
    assert_eq!(fault, soonest);
}

#[tokio::test(start_paused = true)]
async fn a_limiter_is_asked_about_as_often_as_it_is_needed() {
    let limited = Limited::new();
    for _ in 0..100 {
        limited.ask().await.expect("an answer");
    }
    let asked = limited.gauges[0].asked.load(Relaxed);
    assert!(asked <= 200, "{asked} looks at a limiter for 100 calls");
}

#[tokio::test(start_paused = true)]
async fn of_two_limiters_in_a_ring_the_slower_one_counts() {
    let chain = SimChain::new(7);
    let node = SimNode::new(&chain);
    let gauges = [(); 2].map(|()| Gauge::default());
    let put_on = |gauge: &Gauge| Limit(Arc::new(gauge.clone()));
    let endpoint = Endpoint::new("a", node.transport()).layer(put_on(&gauges[0]));
    let rotation = in_order().endpoint(endpoint.layer(put_on(&gauges[1]))).build();
    gauges[0].set(secs(2));
    gauges[1].set(secs(6));
    let error = rotation.oneshot(single(request(1, "eth_chainId", ()))).await;
    let error = error.expect_err("it is not free");
    assert_eq!(cause::<AllParked>(&error).map(|parked| parked.retry_after), Some(secs(6)));
}

/// Lets packets of up to five members pass.
fn five_at_once(requests: &[SerializedRequest]) -> Duration {
    if requests.len() > 5 { secs(3) } else { Duration::ZERO }
}

#[tokio::test(start_paused = true)]
async fn a_batch_for_which_there_is_not_enough_left_goes_elsewhere() {
    let chain = SimChain::new(7);
    let [a, b] = [(); 2].map(|()| SimNode::new(&chain));
    let limiter: Arc<dyn Headroom> = Arc::new(five_at_once);
    let rotation = in_order()
        .endpoint(Endpoint::new("a", a.transport()).layer(Limit(limiter)))
        .endpoint(Endpoint::new("b", b.transport()))
        .build();
    let members = (0..10).map(|id| request(id, "eth_chainId", ()));
    rotation.oneshot(batch(members)).await.expect("answers");
    assert_eq!([a.packets(), b.packets()], [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn an_own_limit_that_comes_up_from_below_harms_nobody_and_moves_on() {
    let chain = SimChain::new(7);
    let node = SimNode::new(&chain);
    let refusing =
        tower::service_fn(|_: RequestPacket| -> alloy_transport::TransportFut<'static> {
            Box::pin(async { Err(AllParked::new(secs(3)).into_transport_error()) })
        });
    let rotation = in_order()
        .endpoint(Endpoint::new("a", refusing))
        .endpoint(Endpoint::new("b", node.transport()))
        .build();
    for _ in 0..50 {
        let packet = single(request(1, "eth_chainId", ()));
        rotation.clone().oneshot(packet).await.expect("b answers");
    }
    let first = rotation.snapshot().swap_remove(0);
    assert_eq!((first.state, first.throttles), (EndpointState::Closed, 0));
    assert!(first.faults.is_empty(), "{first:?}");
    let local = Fault::RateLimited { retry_after: Some(secs(3)), by: Limiter::Local };
    assert_eq!(
        Fault::of_error("eth_chainId", &AllParked::new(secs(3)).into_transport_error()),
        local
    );
}

#[tokio::test(start_paused = true)]
async fn while_the_others_are_out_of_room_for_a_moment_one_that_lags_is_not_asked_for_the_head() {
    let limited = Limited::new();
    limited.nodes[0].set_lag(5);
    for label in ["a", "b", "c"] {
        let packet = single(request(1, "eth_blockNumber", ()));
        limited.rotation.pinned(label).oneshot(packet).await.expect("an answer");
    }
    let account = alloy::primitives::Address::ZERO;
    let balance = || single(request(1, "eth_getBalance", (account, "latest")));
    let before = limited.calls()[0];
    limited.wait([0, 1, 2]);
    let error = limited.send(balance()).await.expect_err("who is there is not free");
    assert_eq!(cause::<AllParked>(&error).expect("nobody was asked").retry_after, secs(1));
    assert_eq!(limited.calls()[0], before);
    limited.wait([0, 60, 60]);
    limited.send(balance()).await.expect("too long to wait for");
    assert_eq!(limited.calls()[0], before + 1);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_is_not_tried_out_without_room() {
    let limited = Limited::new();
    limited.nodes[0].set(Disruption::Reset);
    for _ in 0..5 {
        limited.ask().await.expect("an answer");
    }
    limited.nodes[0].clear();
    tokio::time::sleep(secs(2)).await;
    let before = limited.calls()[0];
    limited.wait([1, 0, 0]);
    limited.ask().await.expect("an answer");
    assert_eq!(limited.calls()[0], before);
    limited.wait([0, 0, 0]);
    limited.ask().await.expect("an answer");
    assert_eq!(limited.calls()[0], before + 1);
}
