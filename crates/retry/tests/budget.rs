//! Endpoints in trouble are not buried under retries.

mod support;

use alclad_core::Budget;
use alclad_retry::RetryLayer;
use alclad_testkit::{Disruption, SimChain, SimNode, answer};
use std::time::Duration;
use support::{Conversation, exact, exact_backoff, http, read, reads};
use tokio::time::Instant;
use tower::{Layer, ServiceExt};

fn broken_node() -> SimNode {
    let node = SimNode::new(&SimChain::new(7));
    node.set(Disruption::http_status(503));
    node
}

#[tokio::test(start_paused = true)]
async fn a_dead_backend_gets_a_fifth_more_and_the_reserve() {
    let node = broken_node();
    let service = exact().layer(node.transport());
    let calls = (0..1_000).map(|_| service.clone().oneshot(read()));
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(Result::is_err));
    assert_eq!(node.total_calls(), 1_000 + 200 + 10);
}

#[tokio::test(start_paused = true)]
async fn one_call_after_the_other_it_gets_what_the_reserve_regains_too() {
    let node = broken_node();
    let service = exact().layer(node.transport());
    let start = Instant::now();
    for _ in 0..1_000 {
        assert!(service.clone().oneshot(read()).await.is_err());
    }
    let extra = node.total_calls() - 1_000;
    assert!((200..=210 + start.elapsed().as_secs()).contains(&extra), "{extra} extra");
}

#[tokio::test(start_paused = true)]
async fn batches_get_no_more_than_single_calls() {
    let node = broken_node();
    let service = exact().layer(node.transport());
    let calls = (0..100).map(|_| service.clone().oneshot(reads(1..=10)));
    futures::future::join_all(calls).await;
    let extra = node.total_calls() - 1_000;
    assert!((200..=210 + 10).contains(&extra), "{extra} extra");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_once_is_asked_again_as_a_whole() {
    let node = broken_node();
    node.set(Disruption::http_status(503).times(1));
    let packet = reads(1..=500);
    let answer = exact().layer(node.transport()).oneshot(packet).await.unwrap();
    assert_eq!(answer.responses().len(), 500);
    assert_eq!((node.packets(), node.total_calls()), (2, 1_000));
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_ends_a_call_with_what_it_has() {
    let layer = exact().with_budget(Budget::new(0.0, 1));
    let mut talk = Conversation::of(&layer, read());
    talk.hears_read(0).await.fail(http(500));
    talk.hears_read(100).await.fail(http(503));
    let error = talk.ends(100).await.unwrap_err();
    assert_eq!(error.as_transport_err().unwrap().as_http_error().unwrap().status, 503);
}

#[tokio::test(start_paused = true)]
async fn it_is_shared_by_all_who_are_given_it() {
    let budget = Budget::new(0.0, 1);
    let policy = exact_backoff().with_first(Duration::ZERO);
    let one = RetryLayer::with_policy(policy).with_budget(budget.clone());
    let other = exact().with_budget(budget.drawing());
    let mut talk = Conversation::of(&one, read());
    talk.hears_read(0).await.fail(http(500));
    talk.hears_read(0).await.answer(answer(1, "0x"));
    assert!(talk.ends(0).await.is_ok());
    let mut talk = Conversation::of(&other, read());
    talk.hears_read(0).await.fail(http(500));
    assert!(talk.ends(0).await.is_err());
}
