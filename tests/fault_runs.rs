//! 2,000 calls at concurrency 16 over three HTTP nodes, the first of which fails in one way: every
//! answer is right, and the cost stays under 1.1 upstream calls per call.

use alclad::{RetryLayer, Rotation, TimeoutLayer};
use alclad_testkit::{Disruption, RetryAfter, Rule, SimNode};
use alclad_trial::Stage;
use alloy::rpc::client::RpcClient;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::time::Duration;

const CALLS: u64 = 2000;
const CONCURRENCY: usize = 16;

struct Run {
    stage: Stage,
    rotation: Rotation,
    client: RpcClient,
}

impl Run {
    async fn start() -> Self {
        let stage = Stage::new(7).await;
        let limit = || TimeoutLayer::new(Duration::from_millis(750));
        let endpoints = stage.endpoints().map(|endpoint| endpoint.layer(limit()));
        let rotation = Rotation::builder().endpoints(endpoints).build();
        let retry = RetryLayer::new().with_budget(rotation.budget());
        let client = RpcClient::builder().layer(retry).transport(rotation.clone(), true);
        Self { stage, rotation, client }
    }

    /// The `index`-th call, and what it must be answered.
    fn call(&self, index: u64) -> (&'static str, Value, Value) {
        let block = format!("0x{:x}", index % 60 + 1);
        let account = self.stage.chain.accounts()[index as usize % 4];
        let (method, params) = match index % 5 {
            0 => ("eth_getBlockByNumber", json!([block, false])),
            1 => ("eth_getBalance", json!([account, block])),
            2 => ("eth_getLogs", json!([{ "fromBlock": block, "toBlock": block }])),
            3 => ("eth_call", json!([{ "to": account, "data": "0x1234" }, block])),
            _ => ("eth_getBlockReceipts", json!([block])),
        };
        let truth = self.stage.chain.answer(method, params.clone()).expect("the truth");
        (method, params, truth)
    }

    async fn is_answered_right(&self, index: u64) -> bool {
        let (method, params, truth) = self.call(index);
        matches!(self.client.request::<_, Value>(method, params).await, Ok(value) if value == truth)
    }

    /// Right answers, and upstream requests per call.
    async fn measure(&self) -> (usize, f64) {
        let calls = stream::iter(0..CALLS).map(|index| self.is_answered_right(index));
        let right = calls.buffer_unordered(CONCURRENCY).filter(|right| std::future::ready(*right));
        let right = right.count().await;
        // What the rotation sent: a dead node does not see the calls that find it dead.
        let sent: u64 = self.rotation.snapshot().iter().map(|endpoint| endpoint.requests).sum();
        let seen: u64 = self.stage.nodes.iter().map(SimNode::total_calls).sum();
        assert!(seen <= sent, "{seen} seen, {sent} sent");
        (right, sent as f64 / CALLS as f64)
    }
}

async fn first_endpoint_suffers(trouble: impl Into<Rule>) {
    let run = Run::start().await;
    run.stage.nodes[0].set(trouble);
    let (right, cost) = run.measure().await;
    assert_eq!(right as u64, CALLS);
    assert!(cost <= 1.1, "{cost} upstream calls per call");
    println!("{right} right, {cost:.4} upstream calls per call");
}

#[tokio::test]
async fn dead_from_the_start() {
    first_endpoint_suffers(Disruption::Dead).await;
}

#[tokio::test]
async fn dying_midway() {
    first_endpoint_suffers(Disruption::Dead.after(1000)).await;
}

#[tokio::test]
async fn a_black_hole_from_the_start() {
    first_endpoint_suffers(Disruption::BlackHole).await;
}

#[tokio::test]
async fn a_black_hole_midway() {
    first_endpoint_suffers(Disruption::BlackHole.after(1000)).await;
}

#[tokio::test]
async fn answering_429() {
    first_endpoint_suffers(Disruption::too_many_requests(None)).await;
}

#[tokio::test]
async fn answering_429_with_a_hint() {
    first_endpoint_suffers(Disruption::too_many_requests(Some(RetryAfter::Seconds(1)))).await;
}

#[tokio::test]
async fn answering_32005_inside_a_200() {
    first_endpoint_suffers(Disruption::rpc_error(-32005, "limit exceeded")).await;
}

#[tokio::test]
async fn failing_a_fifth_with_500() {
    first_endpoint_suffers(Disruption::http_status(500).with_share(0.2)).await;
}

#[tokio::test]
async fn failing_a_fifth_with_503() {
    first_endpoint_suffers(Disruption::http_status(503).with_share(0.2)).await;
}

#[tokio::test]
async fn failing_a_fifth_with_error_members() {
    let trouble = Disruption::rpc_error(-32603, "Internal error").with_share(0.2);
    first_endpoint_suffers(trouble).await;
}

#[tokio::test]
async fn resetting_connections() {
    first_endpoint_suffers(Disruption::Reset).await;
}

#[tokio::test]
async fn sending_html() {
    first_endpoint_suffers(Disruption::Html).await;
}

#[tokio::test]
async fn sending_truncated_json() {
    first_endpoint_suffers(Disruption::TruncatedJson).await;
}

#[tokio::test]
async fn sending_answers_that_never_end() {
    first_endpoint_suffers(Disruption::EndlessBody).await;
}

#[tokio::test]
async fn lagging_by_five_blocks() {
    let run = Run::start().await;
    run.stage.nodes[0].set_lag(5);
    let (right, cost) = run.measure().await;
    assert_eq!(right as u64, CALLS);
    println!("{right} right, {cost:.4} upstream calls per call");
}
