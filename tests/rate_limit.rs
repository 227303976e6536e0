//! Against an HTTP node that enforces its limit, as a token bucket and as a sliding window: nearly
//! all of it is used, and next to nothing is turned away; also after it was halved in the middle.

use alclad::{
    Endpoint, HttpTransport, RateLimitLayer, RateLimiter, RetryLayer, Rotation, rate_limit::Aimd,
};
use alclad_testkit::{RateLimit, SimChain, SimNode, SimServer};
use alloy::rpc::client::RpcClient;
use futures::{StreamExt, future::join_all, stream};
use std::{num::NonZeroU32, time::Duration};
use tokio::time::{Instant, sleep};

const CALLS: u64 = 5000;
const CONCURRENCY: usize = 50;
/// What the node allows in a second.
const LIMIT: u32 = 200;
const BURST: u32 = 20;
const HINT: Duration = Duration::from_millis(100);

const fn calls(calls: u32) -> NonZeroU32 {
    NonZeroU32::new(calls).expect("some")
}

/// A node with a token bucket, and the layer as its documentation advises for one: half the burst.
fn bucket(per_second: u32) -> RateLimit {
    RateLimit::per_second(calls(per_second)).with_burst(calls(BURST)).with_hint(HINT)
}

fn for_bucket() -> RateLimitLayer {
    RateLimitLayer::per_second(calls(LIMIT)).with_burst(calls(BURST / 2))
}

/// A node with a sliding window, and the layer as its documentation advises for one.
fn window(per_second: u32) -> RateLimit {
    RateLimit::in_any_second(calls(per_second)).with_hint(HINT)
}

fn for_window() -> RateLimitLayer {
    RateLimitLayer::per_second(calls(LIMIT)).with_window(Duration::from_secs(1))
}

struct Run {
    node: SimNode,
    client: RpcClient,
    limiter: RateLimiter,
    _server: Option<SimServer>,
}

impl Run {
    async fn start(limit: RateLimit, layer: RateLimitLayer) -> Self {
        let node = SimNode::new(&SimChain::new(7));
        node.set_rate_limit(limit);
        let server = node.serve_http().await;
        let limiter = layer.limiter();
        let transport = HttpTransport::new(server.url());
        let client = RpcClient::builder().layer(layer).transport(transport, true);
        Self { node, client, limiter, _server: Some(server) }
    }

    /// In this process, where nothing is late.
    fn without_a_network(limit: RateLimit, layer: RateLimitLayer) -> Self {
        let node = SimNode::new(&SimChain::new(7));
        node.set_rate_limit(limit);
        let limiter = layer.limiter();
        let client = RpcClient::builder().layer(layer).transport(node.transport(), true);
        Self { node, client, limiter, _server: None }
    }

    async fn call(&self) -> bool {
        self.client.request_noparams::<String>("eth_blockNumber").await.is_ok()
    }

    /// Calls without end, so many at a time.
    async fn load(&self) {
        let caller = || async {
            loop {
                self.call().await;
            }
        };
        join_all((0..CONCURRENCY).map(|_| caller())).await;
    }
}

/// How many were turned away, and which share of what the node allows was used.
async fn all_calls(name: &str, run: &Run) -> (u64, f64) {
    let start = Instant::now();
    let calls = stream::iter(0..CALLS).map(|_| run.call());
    let answered = calls.buffer_unordered(CONCURRENCY).filter(|ok| std::future::ready(*ok)).count();
    let answered = answered.await;
    let used = answered as f64 / start.elapsed().as_secs_f64() / f64::from(LIMIT);
    let throttled = run.node.throttled();
    println!("{name}: {throttled} of {CALLS} throttled, {:.1} % of the limit used", used * 100.0);
    assert_eq!(answered as u64, CALLS - throttled);
    assert_eq!(run.limiter.throttled(), throttled);
    (throttled, used)
}

/// What a busy machine keeps waiting is not used, and arrives together: of three runs one tells.
async fn uses_the_limit_and_stays_below_it(
    name: &str,
    limit: RateLimit,
    layer: impl Fn() -> RateLimitLayer,
) {
    for _ in 0..3 {
        let (throttled, used) = all_calls(name, &Run::start(limit, layer()).await).await;
        if throttled <= CALLS / 2000 && used >= 0.95 {
            return;
        }
    }
    panic!("{name}: too much was turned away, or too little used, in every run");
}

/// `changed` is half the limit.
async fn settles(name: &str, limit: RateLimit, changed: RateLimit, layer: RateLimitLayer) {
    let run = Run::start(limit, layer.with_policy(Aimd::new())).await;
    let watch = async {
        sleep(Duration::from_secs(4)).await;
        run.node.set_rate_limit(changed);
        sleep(Duration::from_secs(5)).await;
        run.node.reset_counters();
        let start = Instant::now();
        sleep(Duration::from_secs(15)).await;
        (run.node.answered() as f64, run.node.throttled() as f64, start.elapsed().as_secs_f64())
    };
    let (answered, throttled, seconds) = tokio::select! {
        seen = watch => seen,
        () = run.load() => unreachable!("it has no end"),
    };
    let used = answered / seconds / f64::from(LIMIT / 2);
    let share = throttled / (answered + throttled);
    let rate = run.limiter.rate();
    println!(
        "{name}, halved: {:.1} % of the limit used, {:.2} % throttled, rate {rate:.1}",
        used * 100.0,
        share * 100.0
    );
    assert!(used >= 0.85, "{name}: {used}");
    assert!(share < 0.02, "{name}: {share}");
}

#[tokio::test]
async fn the_limit_is_used_and_next_to_nothing_is_turned_away() {
    tokio::join!(
        uses_the_limit_and_stays_below_it("token bucket", bucket(LIMIT), for_bucket),
        uses_the_limit_and_stays_below_it("sliding window", window(LIMIT), for_window),
    );
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_late_nothing_is_turned_away() {
    for (name, limit, layer) in [
        ("token bucket", bucket(LIMIT), for_bucket()),
        ("sliding window", window(LIMIT), for_window()),
    ] {
        let (throttled, used) = all_calls(name, &Run::without_a_network(limit, layer)).await;
        assert!(throttled == 0 && (0.95..=1.01).contains(&used), "{name}: {throttled}, {used}");
    }
}

#[tokio::test]
async fn a_limit_that_was_halved_is_found_within_five_seconds() {
    tokio::join!(
        settles("token bucket", bucket(LIMIT), bucket(LIMIT / 2), for_bucket()),
        settles("sliding window", window(LIMIT), window(LIMIT / 2), for_window()),
    );
}

/// Three endpoints behind one rotation, each with a limit of its own, in process.
fn limited_to(limits: [u32; 3]) -> ([SimNode; 3], Rotation) {
    let chain = SimChain::new(7);
    let nodes = [(); 3].map(|()| SimNode::new(&chain));
    let endpoint = |((label, node), limit): ((&str, &SimNode), u32)| {
        let limit = RateLimitLayer::per_second(calls(limit)).with_burst(calls(1));
        Endpoint::new(label, node.transport()).layer(limit)
    };
    let endpoints = ["a", "b", "c"].into_iter().zip(&nodes).zip(limits).map(endpoint);
    let rotation = Rotation::builder().endpoints(endpoints).build();
    (nodes, rotation)
}

#[tokio::test(start_paused = true)]
async fn three_limited_endpoints_together_allow_the_sum_of_their_limits() {
    let (nodes, rotation) = limited_to([50, 100, 150]);
    let retry = RetryLayer::new().with_budget(alclad::core::Budget::unlimited());
    let client = RpcClient::builder().layer(retry).transport(rotation.clone(), true);
    let start = Instant::now();
    let call = |_| async { client.request_noparams::<String>("eth_blockNumber").await.is_ok() };
    let answered = stream::iter(0..3000).map(call).buffer_unordered(CONCURRENCY);
    let answered = answered.filter(|ok| std::future::ready(*ok)).count().await;
    let rate = answered as f64 / start.elapsed().as_secs_f64();
    let served = nodes.each_ref().map(SimNode::total_calls);
    println!("{answered} answered, {rate:.1} per second, served by {served:?}");
    assert_eq!(answered, 3000);
    assert!((285.0..=303.0).contains(&rate), "{rate}");
    // Our own limits are no fault of the endpoints.
    for endpoint in rotation.snapshot() {
        assert_eq!((endpoint.throttles, endpoint.lagging), (0, false), "{endpoint:?}");
        assert_eq!(endpoint.state, alclad::rotation::EndpointState::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn without_room_anywhere_the_soonest_time_comes_back() {
    let (nodes, rotation) = limited_to([1, 2, 4]);
    let client = RpcClient::new(rotation, true);
    for _ in 0..3 {
        let answer = client.request_noparams::<String>("eth_blockNumber").await;
        assert!(answer.is_ok(), "{answer:?}");
    }
    let refused = client.request_noparams::<String>("eth_blockNumber").await.expect_err("no room");
    let fault = alclad::Fault::of_error("eth_blockNumber", &refused);
    let alclad::Fault::RateLimited { retry_after: Some(wait), .. } = fault else {
        panic!("{fault}")
    };
    assert_eq!(wait, Duration::from_millis(250));
    sleep(wait).await;
    assert!(client.request_noparams::<String>("eth_blockNumber").await.is_ok());
    assert_eq!(nodes.each_ref().map(SimNode::total_calls), [1, 1, 2]);
}
