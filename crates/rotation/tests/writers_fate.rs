//! Whatever the endpoints say of a transaction, one that has arrived is not reported lost.

mod nodes;
mod stage;

use alclad_core::{
    CallOptions,
    error::{DeadlineExceeded, cause},
};
use alclad_rotation::Sends;
use alclad_testkit::{Disruption, SimNode};
use nodes::{Nodes, code, in_order, value};
use serde_json::json;
use stage::{ms, secs, three, transfer};
use tokio::time::{Instant, timeout};

const SEND: &str = "eth_sendRawTransaction";
const LOOK_UP: &str = "eth_getTransactionByHash";

#[tokio::test(start_paused = true)]
async fn a_transaction_that_arrived_where_the_answer_was_lost_is_found_though_all_others_are_dead()
{
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::LoseAnswer.on(SEND));
    nodes.nodes[1].set(Disruption::Dead);
    nodes.nodes[2].set(Disruption::Dead);
    let (raw, hash) = transfer(0);
    let answer = nodes.submit(&raw).await.expect("it arrived at a");
    assert_eq!(value(&answer), json!(hash));
    assert_eq!(nodes.chain.submissions(hash), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_after_an_answer_that_was_lost_is_looked_up_before_it_is_believed() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::LoseAnswer.on(SEND));
    let refusal = Disruption::rpc_error(-32000, "insufficient funds for gas * price + value");
    nodes.nodes[1].set(refusal.on(SEND));
    let (raw, hash) = transfer(0);
    let answer = nodes.submit(&raw).await.expect("an answer");
    assert_eq!(value(&answer), json!(hash));
}

#[tokio::test(start_paused = true)]
async fn of_all_that_were_asked_two_may_reject_what_a_third_took_and_said_nothing() {
    let nodes = three(in_order().with_sends(Sends::All));
    nodes.nodes[0].set(Disruption::LoseAnswer.on(SEND));
    for node in &nodes.nodes[1..] {
        let refusal = Disruption::rpc_error(-32000, "insufficient funds for gas * price + value");
        node.set(refusal.on(SEND));
    }
    let (raw, hash) = transfer(0);
    let answer = nodes.submit(&raw).await.expect("an answer");
    assert_eq!(value(&answer), json!(hash));
}

#[tokio::test(start_paused = true)]
async fn a_look_up_does_not_keep_the_other_writers_from_accepting() {
    let nodes = three(in_order().with_sends(Sends::All));
    nodes.nodes[0].set(Disruption::rpc_error(-32000, "nonce too low").on(SEND));
    nodes.nodes[1].set(Disruption::BlackHole);
    nodes.nodes[2].set(Disruption::SlowBy(ms(100)));
    let (raw, hash) = transfer(0);
    let begun = Instant::now();
    let answer = timeout(secs(60), nodes.submit(&raw)).await.expect("c accepts it");
    assert_eq!(value(&answer.expect("an answer")), json!(hash));
    assert_eq!(begun.elapsed(), ms(100));
}

#[tokio::test(start_paused = true)]
async fn a_used_up_nonce_of_a_transaction_of_ours_is_its_hash_though_one_reader_lags() {
    let nodes = Nodes::new();
    let (raw, hash) = transfer(0);
    nodes.submit(&raw).await.expect("an answer");
    nodes.chain.mine(1);
    nodes.nodes[1].set(Disruption::NullAnswers.on(LOOK_UP));
    let answer = nodes.submit(&raw).await.expect("an answer");
    assert_eq!(value(&answer), json!(hash));
}

#[tokio::test(start_paused = true)]
async fn a_used_up_nonce_is_looked_up_at_a_reader() {
    let nodes = Nodes::new();
    let (raw, hash) = transfer(0);
    nodes.submit(&raw).await.expect("an answer");
    nodes.chain.mine(1);
    assert_eq!(value(&nodes.submit(&raw).await.expect("an answer")), json!(hash));
    assert_eq!((nodes.sends(), nodes.calls_of(LOOK_UP)), ([2, 0, 0], [1, 0, 0]));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_dies_during_the_look_up_is_not_the_last_word() {
    let nodes = Nodes::new();
    let (raw, hash) = transfer(0);
    nodes.submit(&raw).await.expect("an answer");
    nodes.chain.mine(1);
    nodes.nodes[1].set(Disruption::Dead);
    assert_eq!(value(&nodes.submit(&raw).await.expect("an answer")), json!(hash));
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_and_the_transaction_did_arrive_its_hash_is_the_answer() {
    for sends in [Sends::One, Sends::All] {
        let nodes = three(in_order().with_sends(sends));
        nodes.nodes.iter().for_each(|node| node.set(Disruption::LoseAnswer.on(SEND)));
        let (raw, hash) = transfer(0);
        assert_eq!(value(&nodes.submit(&raw).await.expect("an answer")), json!(hash));
        assert_eq!(nodes.calls_of(LOOK_UP).iter().sum::<u64>(), 1, "one last look-up");
        nodes.chain.mine(2);
        assert_eq!(nodes.chain.inclusions(hash), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_found_by_a_last_look_up_counts_as_sent_through_the_rotation() {
    let nodes = Nodes::new();
    nodes.nodes.iter().for_each(|node| node.set(Disruption::LoseAnswer.on(SEND)));
    let (raw, hash) = transfer(0);
    assert_eq!(value(&nodes.submit(&raw).await.expect("an answer")), json!(hash));
    nodes.nodes.iter().for_each(SimNode::clear);
    nodes.chain.mine(1);
    for unknown in 0..500 {
        let unknown = json!([format!("0x{unknown:064x}")]);
        nodes.ask("eth_getTransactionReceipt", unknown).await;
    }
    nodes.nodes[0].set(Disruption::NullReceipts);
    nodes.nodes[1].set(Disruption::NullReceipts);
    let receipt = nodes.result("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!(receipt["transactionHash"], json!(hash));
}

/// Sends with a deadline of a second, after which what became of it must be open.
async fn is_left_open(nodes: &Nodes) {
    let options = CallOptions::new().with_timeout(secs(1));
    let error = options.scope(nodes.submit(&transfer(0).0)).await.expect_err("it is not known");
    assert!(cause::<DeadlineExceeded>(&error).is_some(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_one_rejection_does_not_speak_for_the_writers_that_were_not_heard() {
    let nodes = three(in_order().with_sends(Sends::All));
    let refusal = Disruption::rpc_error(-32000, "insufficient funds for gas * price + value");
    nodes.nodes[0].set(refusal.on(SEND));
    nodes.nodes[1].set(Disruption::BlackHole);
    nodes.nodes[2].set(Disruption::BlackHole);
    is_left_open(&nodes).await;
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_a_nonce_that_was_not_looked_up_is_not_believed() {
    let nodes = Nodes::new();
    nodes.nodes[0].add(Disruption::rpc_error(-32000, "nonce too low").on(SEND));
    nodes.nodes.iter().for_each(|node| node.add(Disruption::BlackHole.on(LOOK_UP)));
    is_left_open(&nodes).await;
}

#[tokio::test(start_paused = true)]
async fn a_rejection_that_all_have_given_is_told_at_once_also_with_a_deadline() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::rpc_error(-32000, "nonce too high").on(SEND));
    let options = CallOptions::new().with_timeout(secs(1));
    let answer = options.scope(nodes.submit(&transfer(0).0)).await.expect("an answer");
    assert_eq!(code(&answer), -32000);
}
