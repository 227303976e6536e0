//! The scenarios of web3-ethereum-defi's fallback provider that need the retry layer too, and what
//! else it and the rotation do together. In process, on the paused clock.

use alclad::{
    Endpoint, Ordered, RetryLayer, Rotation, RotationBuilder,
    core::{Headroom, UniqueIds, headroom},
    retry::Backoff,
};
use alclad_testkit::{Disruption, RetryAfter, SimChain, SimNode, SimTransport};
use alloy::{
    rpc::client::RpcClient,
    transports::{RpcError, TransportErrorKind},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};
use tower::Layer;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `a` and `b` in this order, over twenty blocks.
fn two() -> (SimChain, [SimNode; 2], RotationBuilder) {
    let chain = SimChain::new(7);
    chain.mine(20);
    let nodes = [(); 2].map(|()| SimNode::new(&chain));
    let endpoints = ["a", "b"].into_iter().zip(&nodes);
    let endpoints = endpoints.map(|(label, node)| Endpoint::new(label, node.transport()));
    let builder = Rotation::builder().with_strategy(Ordered::strict()).endpoints(endpoints);
    (chain, nodes, builder)
}

fn client(rotation: &Rotation, retry: RetryLayer) -> RpcClient {
    let retry = retry.with_budget(rotation.budget());
    RpcClient::builder().layer(retry).transport(rotation.clone(), true)
}

type Answer = Result<Value, RpcError<TransportErrorKind>>;

async fn block(client: &RpcClient, block: &str) -> Answer {
    client.request("eth_getBlockByNumber", json!([block, false])).await
}

/// S3: the original error, after exactly as many rounds as were asked for.
#[tokio::test(start_paused = true)]
async fn when_all_fail_the_original_error_comes_back_after_the_given_rounds() {
    let (_, nodes, builder) = two();
    nodes.iter().for_each(|node| node.set(Disruption::http_status(502)));
    let retry = RetryLayer::with_policy(Backoff::default().with_attempts(3));
    let error = client(&builder.build(), retry).request_noparams::<Value>("eth_blockNumber").await;
    let error = error.expect_err("all fail");
    let http = error.as_transport_err().and_then(|kind| kind.as_http_error());
    assert_eq!(http.map(|http| http.status), Some(502));
    assert_eq!(nodes.each_ref().map(SimNode::total_calls), [3, 3]);
}

/// S4.
#[tokio::test(start_paused = true)]
async fn both_fail_twice_and_then_recover() {
    let (_, nodes, builder) = two();
    nodes.iter().for_each(|node| node.set(Disruption::http_status(503).times(2)));
    let client = client(&builder.build(), RetryLayer::new());
    let head: Answer = client.request_noparams("eth_blockNumber").await;
    assert_eq!(head.expect("the third round"), json!("0x14"));
    assert_eq!(nodes.each_ref().map(SimNode::total_calls), [3, 2]);
}

/// S13.
#[tokio::test(start_paused = true)]
async fn all_lag_and_then_catch_up() {
    let (_, nodes, builder) = two();
    let client = client(&builder.build(), RetryLayer::new());
    assert_eq!(block(&client, "latest").await.expect("a block")["number"], "0x14");
    nodes.iter().for_each(|node| node.set_lag(3));
    let catch_up = async {
        sleep(secs(5)).await;
        nodes.iter().for_each(|node| node.set_lag(0));
    };
    let (found, ()) = futures::join!(block(&client, "latest"), catch_up);
    assert_eq!(found.expect("it waits for a block")["number"], "0x14");
}

/// S34: what is given beats the defaults.
#[tokio::test(start_paused = true)]
async fn given_retries_beat_the_defaults() {
    for attempts in [1, 2, 7] {
        let (_, nodes, builder) = two();
        nodes.iter().for_each(|node| node.set(Disruption::http_status(502)));
        let retry = RetryLayer::with_policy(Backoff::default().with_attempts(attempts));
        let client = client(&builder.build(), retry);
        client.request_noparams::<Value>("eth_chainId").await.expect_err("all fail");
        let calls: u64 = nodes.iter().map(SimNode::total_calls).sum();
        assert!(calls >= u64::from(attempts) && calls <= 2 * u64::from(attempts), "{calls}");
    }
}

/// How long a call takes whose endpoints say that they are free in so many seconds.
async fn throttled_for(hints: [u64; 2]) -> (Duration, [u64; 2]) {
    let (_, nodes, builder) = two();
    for (node, seconds) in nodes.iter().zip(hints) {
        let hint = Some(RetryAfter::Seconds(seconds));
        node.set(Disruption::too_many_requests(hint).times(1));
    }
    let client = client(&builder.build(), RetryLayer::new());
    let begun = Instant::now();
    let id: Answer = client.request_noparams("eth_chainId").await;
    assert_eq!(id.expect("one is free at last"), json!("0x1"));
    (begun.elapsed(), nodes.each_ref().map(SimNode::total_calls))
}

#[tokio::test(start_paused = true)]
async fn when_all_are_throttled_the_retry_waits_for_the_first() {
    let (waited, calls) = throttled_for([9, 4]).await;
    assert!((secs(4)..=secs(4) + secs(4) / 10).contains(&waited), "{waited:?}");
    assert_eq!(calls, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn when_all_are_throttled_the_retry_waits_for_the_first_whoever_said_it() {
    let (waited, calls) = throttled_for([4, 9]).await;
    assert!((secs(4)..=secs(4) + secs(4) / 10).contains(&waited), "{waited:?}");
    assert_eq!(calls, [2, 1]);
}

/// Free at this time.
#[derive(Clone, Copy)]
struct FreeAt(Instant);

impl Headroom for FreeAt {
    fn free_in(&self, _: &[alloy::rpc::json_rpc::SerializedRequest]) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

impl Layer<UniqueIds<SimTransport>> for FreeAt {
    type Service = UniqueIds<SimTransport>;

    fn layer(&self, inner: UniqueIds<SimTransport>) -> Self::Service {
        assert!(headroom::register(Arc::new(*self)));
        inner
    }
}

#[tokio::test(start_paused = true)]
async fn when_no_limiter_is_free_the_retry_waits_exactly_for_the_first() {
    let chain = SimChain::new(7);
    let nodes = [(); 2].map(|()| SimNode::new(&chain));
    let begun = Instant::now();
    let endpoint = |label, node: &SimNode, wait| {
        Endpoint::new(label, node.transport()).layer(FreeAt(begun + wait))
    };
    let rotation = Rotation::builder()
        .endpoint(endpoint("a", &nodes[0], secs(7)))
        .endpoint(endpoint("b", &nodes[1], secs(3)))
        .build();
    let client = client(&rotation, RetryLayer::new());
    let id: Answer = client.request_noparams("eth_chainId").await;
    assert_eq!(id.expect("b is free first"), json!("0x1"));
    let waited = begun.elapsed();
    assert!((secs(3)..secs(3) + Duration::from_millis(50)).contains(&waited), "{waited:?}");
    assert_eq!(nodes.each_ref().map(SimNode::total_calls), [0, 1]);
    assert!(rotation.snapshot().iter().all(|endpoint| endpoint.faults.is_empty()));
}
