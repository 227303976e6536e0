//! How long an attempt may take, and what comes of one that takes longer.

use alclad_core::{
    Fault,
    error::{AttemptTimeout, cause},
    note,
};
use alclad_testkit::{Disruption, SimChain, SimNode, batch, request, single};
use alclad_timeout::TimeoutLayer;
use alloy_json_rpc::{RequestPacket, ResponsePacket, SerializedRequest};
use alloy_transport::TransportError;
use std::{future::Future, time::Duration};
use tokio::time::{Instant, timeout};
use tower::{Layer, ServiceExt};

fn layer() -> TimeoutLayer {
    TimeoutLayer::new(Duration::from_secs(5))
        .with_method("eth_getLogs", Duration::from_secs(30))
        .with_method("eth_blockNumber", Duration::from_secs(1))
}

/// A node that answers after so many milliseconds.
fn slow_by(millis: u64) -> SimNode {
    let node = SimNode::new(&SimChain::new(7));
    node.set(Disruption::SlowBy(Duration::from_millis(millis)));
    node
}

fn ask(node: &SimNode, packet: RequestPacket) -> impl Future<Output = Answer> + use<> {
    layer().layer(node.transport()).oneshot(packet)
}

type Answer = Result<ResponsePacket, TransportError>;

fn requests<const N: usize>(methods: [&'static str; N]) -> [SerializedRequest; N] {
    let mut ids = 1..;
    methods.map(|method| request(ids.next().expect("there are more"), method, ()))
}

/// The packet is cut off after exactly so long, and by that limit.
async fn is_cut_off_after(seconds: u64, packet: RequestPacket) {
    let start = Instant::now();
    let limit = Duration::from_secs(seconds);
    let error = ask(&slow_by(seconds * 1000 + 1), packet.clone()).await.unwrap_err();
    assert_eq!(start.elapsed(), limit);
    assert_eq!(cause::<AttemptTimeout>(&error).unwrap().after, Some(limit));
    assert!(ask(&slow_by(seconds * 1000 - 1), packet).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_attempt_has_the_time_of_its_method() {
    for (method, seconds) in [("eth_chainId", 5), ("eth_getLogs", 30), ("eth_blockNumber", 1)] {
        is_cut_off_after(seconds, single(request(1, method, ()))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_the_longest_time_of_its_members() {
    is_cut_off_after(1, batch(requests(["eth_blockNumber"; 2]))).await;
    is_cut_off_after(5, batch(requests(["eth_blockNumber", "eth_chainId"]))).await;
    let all = batch(requests(["eth_blockNumber", "eth_getLogs", "eth_chainId"]));
    is_cut_off_after(30, all).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_cut_off_is_a_timeout_to_everybody_above() {
    let error = ask(&slow_by(6_000), single(request(1, "eth_call", ()))).await.unwrap_err();
    for method in ["eth_call", "eth_sendRawTransaction", "acme_frobnicate"] {
        assert_eq!(Fault::of_error(method, &error), Fault::Timeout);
    }
    assert_eq!(
        error.to_string(),
        "no answer within 5s; give the attempt more time, or another endpoint"
    );
}

#[tokio::test(start_paused = true)]
async fn its_error_names_the_endpoint_where_that_is_known() {
    let call = ask(&slow_by(6_000), single(request(1, "eth_call", ())));
    let (answer, _) = note::capture_at("alchemy".into(), call).await;
    let error = answer.unwrap_err();
    let endpoint = cause::<AttemptTimeout>(&error).unwrap().endpoint.as_ref();
    assert_eq!(endpoint.map(|endpoint| endpoint.as_str()), Some("alchemy"));
    assert!(error.to_string().starts_with("endpoint alchemy: no answer within 5s;"));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_never_cut_off() {
    let year = Duration::from_secs(365 * 86_400);
    let mut marked = request(1, "acme_watch", ());
    marked.set_is_subscription();
    let node = SimNode::new(&SimChain::new(7));
    node.set(Disruption::BlackHole);
    for packet in [
        single(request(1, "eth_subscribe", ("newHeads",))),
        batch(requests(["eth_subscribe", "eth_call"])),
        single(marked),
    ] {
        assert!(timeout(year, ask(&node, packet)).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn no_limit_is_too_long_and_none_too_short() {
    let packet = || single(request(1, "eth_chainId", ()));
    let forever = TimeoutLayer::new(Duration::MAX).layer(slow_by(86_400_000).transport());
    assert!(forever.oneshot(packet()).await.is_ok());
    let at_once = || TimeoutLayer::new(Duration::ZERO);
    assert!(at_once().layer(slow_by(0).transport()).oneshot(packet()).await.is_ok());
    assert!(at_once().layer(slow_by(1).transport()).oneshot(packet()).await.is_err());
}
