//! First come, first served, whatever it costs.

mod support;

use alclad_rate_limit::{CostTable, RateLimitLayer};
use alclad_testkit::{request, single};
use alloy_json_rpc::SerializedRequest;
use support::{limit, ms, read, reads, send, settle, stack, units};
use tokio::time::sleep;
use tower::ServiceExt;

#[tokio::test(start_paused = true)]
async fn a_dear_call_at_the_head_is_not_starved_by_cheap_ones() {
    let (service, endpoint) = stack(&limit(10, 10));
    service.clone().oneshot(reads(0, 10)).await.unwrap();
    let dear = send(&service, reads(100, 10));
    // A cheap one comes every 100 ms, and would always find a token.
    let mut cheap = Vec::new();
    for id in 1..=15 {
        sleep(ms(100)).await;
        cheap.push(send(&service, read(id)));
    }
    dear.await.unwrap().unwrap();
    for call in cheap {
        call.await.unwrap().unwrap();
    }
    let seen = endpoint.seen();
    assert_eq!(seen[1], (100, 1000));
    let rest: Vec<_> = (1..=15).map(|id| (id, 1000 + id * 100)).collect();
    assert_eq!(seen[2..], rest);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_overtake_although_there_is_room_for_it() {
    let (service, endpoint) = stack(&limit(10, 10));
    service.clone().oneshot(reads(0, 8)).await.unwrap();
    let first = send(&service, reads(1, 5));
    settle().await;
    // Two tokens are there, and the first waits for three more.
    let second = send(&service, read(2));
    second.await.unwrap().unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(endpoint.seen(), [(0, 0), (1, 300), (2, 400)]);
}

#[tokio::test(start_paused = true)]
async fn what_costs_nothing_passes_at_once() {
    let layer = RateLimitLayer::compute_units(units(26), CostTable::alchemy()).with_burst(units(1));
    let (service, endpoint) = stack(&layer);
    service.clone().oneshot(read(0)).await.unwrap();
    let waiting = send(&service, read(1));
    settle().await;
    service.oneshot(single(request(2, "eth_chainId", ()))).await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(endpoint.seen(), [(0, 0), (2, 0), (1, 1000)]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_costs_what_its_members_cost_and_a_closure_says_how_much() {
    let by_id = |request: &SerializedRequest| request.id().as_number().unwrap_or(0) as u32;
    let layer = RateLimitLayer::compute_units(units(10), by_id).with_burst(units(6));
    let (service, endpoint) = stack(&layer);
    // 1 + 2 + 3
    service.clone().oneshot(reads(1, 3)).await.unwrap();
    assert_eq!(layer.limiter().tokens(), 0.0);
    service.oneshot(read(5)).await.unwrap();
    assert_eq!(endpoint.times(), [0, 500]);
}

#[tokio::test(start_paused = true)]
async fn what_is_dearer_than_the_burst_is_paid_off_afterwards() {
    let layer = limit(10, 5);
    let (service, endpoint) = stack(&layer);
    service.clone().oneshot(read(0)).await.unwrap();
    // At 100 ms the bucket is full again.
    service.clone().oneshot(reads(1, 25)).await.unwrap();
    assert_eq!(layer.limiter().tokens(), -20.0);
    service.oneshot(read(2)).await.unwrap();
    assert_eq!(endpoint.times(), [0, 100, 2200]);
}
