//! What `cargo xtask matrix` does not vary: strategies, how transactions are sent, how often answers
//! are late, and a rotation that does not know the heads beforehand.

use alclad::{ChainGuardLayer, Ordered, Rotation, RotationBuilder, Sends, TimeoutLayer};
use alclad_testkit::Disruption;
use alclad_tests::transfer;
use alclad_trial::{Miss, Pace, Score, Sent, Stage, draw_at_the_head, over_alclad, run};
use alloy::{primitives::B256, rpc::client::RpcClient};
use fastrand::Rng;
use indicatif::ProgressBar;
use std::{num::NonZeroUsize, time::Duration};

const CALLS: u64 = 1000;
const SEED: u64 = 7;
const LAG: u64 = 5;
const TAIL: Disruption = Disruption::SlowBy(Duration::from_millis(500));

/// The nodes, and what is sent to them.
struct Run {
    stage: Stage,
    sent: Sent,
}

impl Run {
    async fn start() -> Self {
        Self { stage: Stage::new(SEED).await, sent: Sent::default() }
    }

    /// Every endpoint is guarded.
    fn rotation(&self) -> RotationBuilder {
        let guard = ChainGuardLayer::expect(self.stage.chain.chain_id());
        let endpoints = self.stage.endpoints().map(|endpoint| {
            let limit = TimeoutLayer::new(Duration::from_secs(2));
            endpoint.layer(guard.clone()).layer(limit).layer(self.sent.layer())
        });
        Rotation::builder().endpoints(endpoints)
    }

    /// What came of the calls, and upstream calls per call.
    async fn score(&self, name: &str, rotation: RotationBuilder) -> (Score, f64) {
        let concurrency = NonZeroUsize::new(16).expect("not zero");
        let pace = Pace { turns: CALLS, concurrency, interval: Duration::ZERO };
        let block = |depth| {
            let number = self.stage.chain.block_number() - depth;
            self.stage.chain.block(number).expect("it is not above the head")
        };
        let draw = |turn| {
            let mut rng = Rng::with_seed(SEED.wrapping_add(turn));
            let (fresh, settled) = (block(rng.u64(..LAG)), block(rng.u64(LAG..4 * LAG)));
            self.stage.note(draw_at_the_head(&mut rng, &fresh, &settled))
        };
        let judge = |ask: &_, answer| self.stage.judge(ask, answer);
        let before = self.sent.calls();
        let provider = over_alclad(rotation.build());
        let score = run(pace, &provider, &ProgressBar::hidden(), draw, judge).await;
        let cost = (self.sent.calls() - before) as f64 / score.calls() as f64;
        let p99 = score.latency(0.99);
        println!("{name}: cost {cost:.4}, p99 {p99:.1?}, {:.200?}", score.first_miss);
        (score, cost)
    }

    /// Only right answers, at little cost.
    async fn all_right(&self, name: &str, rotation: RotationBuilder) {
        let (score, cost) = self.score(name, rotation).await;
        assert_eq!(score.first_miss, None, "{name}");
        assert!(cost <= 1.07, "{name}: {cost}");
    }
}

#[tokio::test]
async fn a_tail_costs_no_more_than_the_budget_for_hedges() {
    for (nodes, share) in [(1, 0.05), (3, 0.01), (3, 0.05), (3, 0.09)] {
        let run = Run::start().await;
        run.stage.nodes[..nodes].iter().for_each(|node| node.set(TAIL.with_share(share)));
        run.all_right(&format!("tail of {share} at {nodes}"), run.rotation()).await;
    }
}

#[tokio::test]
async fn a_lagging_endpoint_is_found_out_without_polling() {
    let run = Run::start().await;
    run.stage.nodes[0].set_lag(LAG);
    // Of the first calls, which find all endpoints unknown, a few may go wrong.
    let (score, cost) = run.score("lags", run.rotation()).await;
    assert_eq!(score.missed(Miss::Failed), 0);
    assert!(score.right + 10 >= score.calls() && cost <= 1.05);
}

#[tokio::test]
async fn an_endpoint_without_receipts_is_found_out_where_it_is_asked_first() {
    let run = Run::start().await;
    run.stage.nodes[0].set(Disruption::NullReceipts);
    run.all_right("no receipts", run.rotation().with_strategy(Ordered::new())).await;
}

#[tokio::test]
async fn an_endpoint_of_another_chain_is_not_heard_where_it_is_asked_first() {
    let run = Run::start().await;
    let node = &run.stage.nodes[0];
    node.set(Disruption::WrongChain(run.stage.chain.twin(1337)));
    run.all_right("another chain", run.rotation().with_strategy(Ordered::new())).await;
    assert_eq!(node.total_calls(), node.calls("eth_chainId"));
}

#[tokio::test]
async fn a_transaction_that_others_know_already_is_its_hash() {
    const SENDS: u64 = 100;
    for sends in [Sends::One, Sends::All] {
        let run = Run::start().await;
        run.stage.nodes[0].set(Disruption::SlowBy(Duration::from_millis(50)));
        let known = Disruption::rpc_error(-32000, "already known");
        for node in &run.stage.nodes[1..] {
            node.set(known.clone().on("eth_sendRawTransaction"));
        }
        let rotation = run.rotation().with_strategy(Ordered::new()).with_sends(sends).build();
        let client = RpcClient::new(rotation, true);
        for nonce in 0..SENDS {
            let (raw, hash) = transfer(1, nonce);
            let answer = client.request::<_, B256>("eth_sendRawTransaction", [raw]).await;
            assert_eq!(answer.expect("it is accepted"), hash);
        }
    }
}
