//! What a client has been told of the head is not taken back, and one voice alone does not move it.

mod nodes;
mod stage;

use alclad_core::{
    Fault,
    error::{ChainMismatch, StaleHead, TypedError, cause},
};
use alclad_rotation::{Endpoint, LeastLatency, Rotation};
use alclad_testkit::{Disruption, SimChain, answer, batch, request, single};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::TransportFut;
use nodes::{Nodes, in_order, value};
use serde_json::json;
use stage::{number, secs, three};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use tokio::time::{advance, sleep};
use tower::{ServiceExt, service_fn};

const LATEST: &str = "eth_getBlockByNumber";

async fn latest(nodes: &Nodes) -> Option<u64> {
    match nodes.try_ask(LATEST, json!(["latest", false])).await {
        Ok(block) => Some(number(&value(&block)["number"])),
        Err(error) => {
            assert!(cause::<StaleHead>(&error).is_some(), "{error}");
            None
        }
    }
}

fn far_chain() -> SimChain {
    let far = SimChain::new(8);
    far.mine(500);
    far
}

#[tokio::test(start_paused = true)]
async fn the_head_never_goes_back_though_every_endpoint_jumps_back_and_forth() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let nodes = three(Rotation::builder().with_strategy(LeastLatency::new().with_seed(seed)));
    nodes
        .nodes
        .iter()
        .zip([5, 3, 1])
        .for_each(|(n, lag)| n.set(Disruption::Lag(lag).with_share(0.5)));
    let mut newest = 0;
    for step in 0..1000 {
        match dice.u8(..8) {
            0 => nodes.chain.mine(1),
            1 => advance(secs(dice.u64(..4))).await,
            _ => {}
        }
        let head = match dice.u8(..3) {
            0 => Some(nodes.head().await),
            1 => latest(&nodes).await,
            _ => both_in_a_batch(&nodes).await,
        };
        let Some(head) = head else { continue };
        assert!(head >= newest, "step {step}: {head} after {newest}");
        assert!(head <= nodes.chain.block_number(), "step {step}: {head} is not there yet");
        newest = head;
    }
}

/// The lower of the two heads that a batch gives, if both are given.
async fn both_in_a_batch(nodes: &Nodes) -> Option<u64> {
    let answer = nodes.send(both()).await.expect("the first always has an answer");
    let [head, block] = answer.responses() else { panic!("two answers") };
    let head = number(&value(head));
    block.is_success().then(|| head.min(number(&value(block)["number"])))
}

fn both() -> RequestPacket {
    batch([request(1, "eth_blockNumber", ()), request(2, LATEST, json!(["latest", false]))])
}

#[tokio::test(start_paused = true)]
async fn a_latest_that_nobody_has_yet_is_missing_data() {
    let nodes = Nodes::new();
    assert_eq!(nodes.head().await, 20);
    nodes.nodes.iter().for_each(|node| node.set_lag(2));
    let error = nodes.try_ask(LATEST, json!(["latest", false])).await.expect_err("all are behind");
    assert!(cause::<StaleHead>(&error).is_some(), "{error}");
    assert_eq!(Fault::of_error(LATEST, &error), Fault::MissingData);
    let answer = nodes.send(both()).await.expect("the first has an answer");
    let fault = alclad_core::classify(LATEST, &answer.responses()[1]).fault();
    assert_eq!(fault, Some(Fault::MissingData));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_older_than_the_last_one_is_asked_for_elsewhere() {
    let nodes = Nodes::new();
    assert_eq!(nodes.head().await, 20);
    nodes.nodes[0].set_lag(1);
    assert_eq!((nodes.head().await, latest(&nodes).await), (20, Some(20)));
    assert_eq!(nodes.calls()[2], 0, "one other endpoint was enough");
}

#[tokio::test(start_paused = true)]
async fn when_everybody_is_behind_the_number_stands_and_the_block_is_missing() {
    let nodes = Nodes::new();
    assert_eq!(nodes.head().await, 20);
    nodes.nodes.iter().for_each(|node| node.set_lag(2));
    assert_eq!((nodes.head().await, latest(&nodes).await), (20, None));
    nodes.nodes[2].set_lag(0);
    assert_eq!(latest(&nodes).await, Some(20));
}

#[tokio::test(start_paused = true)]
async fn the_floor_falls_when_a_majority_was_below_it_for_a_minute() {
    let nodes = Nodes::new();
    assert_eq!(nodes.head().await, 20);
    nodes.nodes.iter().for_each(|node| node.set_lag(4));
    for _ in 0..60 {
        assert_eq!(nodes.head().await, 20);
        sleep(secs(1)).await;
    }
    sleep(secs(1)).await;
    assert_eq!((nodes.head().await, latest(&nodes).await), (16, Some(16)));
}

#[tokio::test(start_paused = true)]
async fn a_majority_that_comes_back_within_the_minute_begins_it_anew() {
    let nodes = Nodes::new();
    assert_eq!(nodes.head().await, 20);
    for _ in 0..4 {
        nodes.nodes.iter().for_each(|node| node.set_lag(4));
        for _ in 0..40 {
            assert_eq!(nodes.head().await, 20);
            sleep(secs(1)).await;
        }
        nodes.nodes.iter().for_each(|node| node.set_lag(0));
        assert_eq!(nodes.head().await, 20);
    }
}

#[tokio::test(start_paused = true)]
async fn the_floor_falls_when_the_chain_is_verified_anew() {
    let nodes = Nodes::new();
    assert_eq!(nodes.head().await, 20);
    nodes.nodes.iter().for_each(|node| node.set_lag(4));
    assert_eq!(nodes.head().await, 20);
    nodes.rotation.verify().await;
    assert_eq!((nodes.head().await, latest(&nodes).await), (16, Some(16)));
}

#[tokio::test(start_paused = true)]
async fn a_far_claim_of_one_endpoint_moves_nothing() {
    let nodes = Nodes::new();
    nodes.show_heads().await;
    nodes.nodes[0].set(Disruption::WrongChain(far_chain()));
    for _ in 0..20 {
        assert_eq!((nodes.head().await, latest(&nodes).await), (20, Some(20)));
    }
    assert_eq!(nodes.rotation.heads().latest(), Some(20));
}

#[tokio::test(start_paused = true)]
async fn a_far_claim_is_not_believed_when_nobody_else_is_left() {
    let nodes = Nodes::new();
    nodes.show_heads().await;
    nodes.nodes[0].set(Disruption::WrongChain(far_chain()));
    nodes.nodes[1].set(Disruption::Dead);
    nodes.nodes[2].set(Disruption::Dead);
    assert_eq!((nodes.head().await, latest(&nodes).await), (20, None));
}

#[tokio::test(start_paused = true)]
async fn a_far_head_that_others_show_too_is_the_head() {
    let nodes = Nodes::new();
    nodes.show_heads().await;
    nodes.chain.mine(1000);
    nodes.nodes[2].set_lag(1000);
    assert_eq!(nodes.head().await, 1020);
}

#[tokio::test(start_paused = true)]
async fn a_far_claim_to_a_pinned_call_moves_nothing_for_the_others() {
    let nodes = Nodes::new();
    nodes.show_heads().await;
    nodes.nodes[0].set(Disruption::WrongChain(far_chain()));
    let pinned = nodes.rotation.pinned("a").oneshot(single(request(1, "eth_blockNumber", ())));
    assert_eq!(value(&pinned.await.expect("an answer").responses()[0]), json!("0x1f4"));
    assert_eq!((nodes.head().await, latest(&nodes).await), (20, Some(20)));
}

#[tokio::test(start_paused = true)]
async fn a_far_claim_that_came_first_falls_as_soon_as_a_majority_contradicts_it() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::WrongChain(far_chain()));
    nodes.head().await;
    nodes.nodes[0].set(Disruption::Dead);
    let _ = latest(&nodes).await;
    assert_eq!(nodes.rotation.heads().latest(), Some(20));
    assert_eq!((nodes.head().await, latest(&nodes).await), (20, Some(20)));
}

#[tokio::test(start_paused = true)]
async fn a_single_endpoint_that_goes_back_is_believed_after_a_minute() {
    let chain = SimChain::new(7);
    chain.mine(20);
    let node = alclad_testkit::SimNode::new(&chain);
    let rotation =
        in_order().endpoint(alclad_rotation::Endpoint::new("a", node.transport())).build();
    let head = async || {
        let packet = single(request(1, "eth_blockNumber", ()));
        number(&value(&rotation.clone().oneshot(packet).await.expect("a head").responses()[0]))
    };
    assert_eq!(head().await, 20);
    node.set_lag(3);
    assert_eq!(head().await, 20);
    sleep(secs(61)).await;
    assert_eq!(head().await, 17);
}

#[tokio::test(start_paused = true)]
async fn a_head_beyond_all_heads_is_not_believed() {
    let nodes = Nodes::new();
    nodes.show_heads().await;
    let nonsense = alclad_testkit::answer(1, "0xffffffffffffffff");
    let (transport, mut upstream) = alclad_testkit::mock();
    let endpoint = alclad_rotation::Endpoint::new("nonsense", transport).with_tier(0);
    let rotation = in_order()
        .endpoint(endpoint)
        .endpoint(alclad_rotation::Endpoint::new("b", nodes.nodes[1].transport()))
        .build();
    let asked = rotation.clone().oneshot(single(request(1, "eth_blockNumber", ())));
    let asked = tokio::spawn(asked);
    upstream.expect(&[(1, "eth_blockNumber")]).await.answer(nonsense);
    let answer = asked.await.expect("no panic").expect("b has a head");
    assert_eq!(value(&answer.responses()[0]), json!("0x14"));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_given_in_place_of_an_older_one_is_not_gone_back_from() {
    let nodes = three(in_order().with_block_time(secs(2)));
    assert_eq!(nodes.head().await, 20);
    nodes.chain.mine(1);
    for label in ["b", "c"] {
        let packet = single(request(1, "eth_getBlockByNumber", json!(["0x15", false])));
        nodes.rotation.pinned(label).oneshot(packet).await.unwrap();
    }
    nodes.nodes[0].set_lag(2);
    assert_eq!(nodes.head().await, 21);
    nodes.nodes[0].set_lag(1);
    advance(secs(2)).await;
    assert_eq!(nodes.head().await, 21);
}

/// Says that it is at 25, and then that it is on another chain.
fn stranger() -> impl Fn(RequestPacket) -> TransportFut<'static> + Clone + Send + Sync {
    let calls = Arc::new(AtomicU64::new(0));
    move |_| {
        let is_first = calls.fetch_add(1, Relaxed) == 0;
        Box::pin(async move {
            match is_first {
                true => Ok(ResponsePacket::Single(answer(1, "0x19"))),
                false => Err(ChainMismatch::new(1, 2).into_transport_error()),
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn the_head_of_another_chain_is_no_floor_once_that_is_found_out() {
    let nodes = three(in_order());
    nodes.show_heads().await;
    let stranger = nodes.rotation.add(Endpoint::new("d", service_fn(stranger())));
    let packet = single(request(1, "eth_blockNumber", json!([])));
    let told = nodes.rotation.pinned(stranger).oneshot(packet).await;
    assert_eq!(number(&value(told.unwrap().as_single().unwrap())), 25);
    // It is asked again, as the only one that is so far, and found out.
    assert_eq!(nodes.head().await, 20);
    assert_eq!(latest(&nodes).await, Some(20));
}
