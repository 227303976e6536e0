//! Random runs: no transaction is mined twice, and none that has arrived is reported lost.

mod nodes;
mod stage;

use alclad_rotation::Sends;
use alclad_testkit::{Disruption, SimNode};
use alloy::primitives::{B256, Bytes};
use fastrand::Rng;
use nodes::{Nodes, in_order, value};
use serde_json::json;
use stage::{ms, secs, three, transfer};
use tokio::time::sleep;

const SEND: &str = "eth_sendRawTransaction";
const RUNS: u64 = 1000;

fn trouble(dice: &mut Rng, lossy: bool) -> Option<Disruption> {
    let rejection = "insufficient funds for gas * price + value";
    let mut troubles = vec![
        Disruption::Dead,
        Disruption::http_status(503),
        Disruption::http_status(401),
        Disruption::too_many_requests(None),
        Disruption::rpc_error(-32005, "limit exceeded"),
        Disruption::SlowBy(ms(200)),
    ];
    if lossy {
        troubles.extend([Disruption::LoseAnswer, Disruption::Reset, Disruption::Html]);
        troubles.push(Disruption::rpc_error(-32000, rejection));
    }
    troubles.get(dice.usize(..troubles.len() + 3)).cloned()
}

/// Whether the caller was told the truth about one transaction.
async fn told_the_truth(nodes: &Nodes, (raw, hash): &(Bytes, B256), times: usize) -> bool {
    let mut told = false;
    for _ in 0..times {
        let answer = nodes.submit(raw).await;
        told = answer.is_ok_and(|answer| answer.is_success() && value(&answer) == json!(hash));
        if told {
            break;
        }
        sleep(ms(100)).await;
    }
    sleep(secs(1)).await;
    let arrived = nodes.chain.pending().contains(hash) || nodes.chain.inclusions(*hash) > 0;
    nodes.chain.mine(2);
    assert!(nodes.chain.inclusions(*hash) <= 1, "mined twice");
    assert!(arrived || !told, "told that it was sent, and it was not");
    told == arrived
}

async fn run(seed: u64, lossy: bool) -> Vec<u64> {
    let transfers: Vec<_> = (0..20).map(transfer).collect();
    let mut untold = Vec::new();
    for run in 0..RUNS / 20 {
        let mut dice = Rng::with_seed(seed ^ run << 32);
        let sends = [Sends::One, Sends::All][dice.usize(..2)];
        let nodes = three(in_order().with_sends(sends));
        for (nonce, transfer) in (0..).zip(&transfers) {
            for node in &nodes.nodes {
                node.clear();
                let share = [1.0, 0.5][dice.usize(..2)];
                let trouble = trouble(&mut dice, lossy);
                trouble.into_iter().for_each(|t| node.add(t.with_share(share).on(SEND)));
            }
            let times = dice.usize(1..=3);
            if !told_the_truth(&nodes, transfer, times).await {
                untold.push(run * 20 + nonce);
            }
            nodes.nodes.iter().for_each(SimNode::clear);
            // What did not arrive is sent again, so that the next nonce is due.
            let _ = nodes.submit(&transfer.0).await;
            nodes.chain.mine(1);
            sleep(secs(700)).await;
        }
    }
    untold
}

#[tokio::test(start_paused = true)]
async fn what_fails_without_a_trace_is_neither_lost_nor_sent_twice() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    assert_eq!(run(seed, false).await, [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_arrived_is_not_reported_lost_whatever_was_said_of_it() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let untold = run(seed, true).await;
    assert!(untold.is_empty(), "{} of {RUNS}: {untold:?}", untold.len());
}
