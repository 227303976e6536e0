//! Every member of a batch is answered once, right, in order.

mod nodes;

use alclad_core::{Fault, Outcome, classify};
use alclad_rotation::EndpointState;
use alclad_testkit::{Disruption, assert_ids, batch, request};
use alloy_json_rpc::ResponsePacket;
use nodes::{Nodes, value};
use serde_json::{Value, json};

async fn ten_balances(nodes: &Nodes) -> (Vec<Value>, ResponsePacket) {
    let params = |block: u64| json!([nodes.chain.accounts()[0], format!("0x{block:x}")]);
    let truth = |block| nodes.chain.answer("eth_getBalance", params(block)).expect("the truth");
    let members = (1..=10).map(|block| request(block, "eth_getBalance", params(block)));
    let answer = nodes.send(batch(members)).await.expect("an answer");
    ((1..=10).map(truth).collect(), answer)
}

fn values(answer: &ResponsePacket) -> Vec<Value> {
    answer.responses().iter().map(value).collect()
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_members_are_dropped_doubled_or_shuffled_is_answered_in_full() {
    for trouble in [
        Disruption::MissingMembers,
        Disruption::ReorderedMembers,
        Disruption::DuplicatedMembers,
        Disruption::ForeignIds,
    ] {
        let nodes = Nodes::new();
        nodes.nodes[0].set(trouble.clone());
        for _ in 0..20 {
            let (truth, answer) = ten_balances(&nodes).await;
            assert_ids(&answer, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
            assert_eq!(values(&answer), truth, "{trouble:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_members_that_failed_go_on() {
    let nodes = Nodes::new();
    let trouble = Disruption::rpc_error(-32000, "missing trie node 12ab");
    nodes.nodes[0].set(trouble.with_share(0.5));
    let (truth, answer) = ten_balances(&nodes).await;
    assert_eq!(values(&answer), truth);
    let [first, second, third] = nodes.calls();
    assert_eq!((first, third), (10, 0));
    assert!((1..10).contains(&second), "{second} members went on");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_reverts_keeps_its_error_and_the_others_their_answers() {
    let nodes = Nodes::new();
    let revert = json!([{ "to": alclad_testkit::REVERTING }, "0x5"]);
    let members = [
        request(1, "eth_chainId", ()),
        request(2, "eth_call", revert),
        request(3, "eth_blockNumber", ()),
    ];
    let answer = nodes.send(batch(members)).await.expect("an answer");
    assert_ids(&answer, &[1, 2, 3]);
    assert_eq!(classify("eth_call", &answer.responses()[1]), Outcome::Fault(Fault::Reverted));
    assert_eq!(value(&answer.responses()[2]), json!("0x14"));
    assert_eq!(nodes.calls(), [3, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_member_without_an_answer_gets_an_error_that_says_who_failed_it() {
    let nodes = Nodes::new();
    let lost = Disruption::rpc_error(-32000, "missing trie node 12ab").on("eth_getBalance");
    nodes.nodes[0].set(lost);
    nodes.nodes[1].set(Disruption::Dead);
    nodes.nodes[2].set(Disruption::Dead);
    let params = json!([nodes.chain.accounts()[0], "0x5"]);
    let members = [request(1, "eth_chainId", ()), request(2, "eth_getBalance", params)];
    let answer = nodes.send(batch(members)).await.expect("one member has an answer");
    assert_eq!(value(&answer.responses()[0]), json!("0x1"));
    let fault = classify("eth_getBalance", &answer.responses()[1]);
    assert_eq!(fault, Outcome::Fault(Fault::MissingData), "the last real answer comes back");

    // And where there is no real answer, one is made, which means the same fault.
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::MissingMembers);
    nodes.nodes[1].set(Disruption::Dead);
    nodes.nodes[2].set(Disruption::Dead);
    let answer = ten_balances(&nodes).await.1;
    let refused = Outcome::Fault(Fault::Connection { maybe_sent: false });
    let made: Vec<_> =
        answer.responses().iter().filter(|a| classify("eth_getBalance", a) == refused).collect();
    assert!(!made.is_empty());
    let error = made[0].payload.as_error().expect("an error");
    assert_eq!(error.code, -32603);
    assert!(error.message.starts_with("endpoint c: Connection"), "{}", error.message);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_nobody_answers_ends_in_the_last_error_unchanged() {
    let nodes = Nodes::new();
    nodes.nodes.iter().for_each(|node| node.set(Disruption::http_status(503)));
    let members = [request(1, "eth_chainId", ()), request(2, "eth_blockNumber", ())];
    let error = nodes.send(batch(members)).await.unwrap_err();
    let http = error.as_transport_err().and_then(|kind| kind.as_http_error()).expect("as it was");
    assert_eq!(http.status, 503);
}

#[tokio::test(start_paused = true)]
async fn duplicate_ids_are_refused_before_anybody_is_asked() {
    use alclad_core::error::{DuplicateId, cause};
    let nodes = Nodes::new();
    let members = [request(7, "eth_chainId", ()), request(7, "eth_blockNumber", ())];
    let error = nodes.send(batch(members)).await.unwrap_err();
    assert!(cause::<DuplicateId>(&error).is_some(), "{error}");
    assert_eq!(nodes.calls(), [0, 0, 0]);
    assert_eq!(nodes.state(0), EndpointState::Closed);
}

#[tokio::test(start_paused = true)]
async fn filters_stay_with_the_endpoint_that_made_them() {
    let nodes = Nodes::new();
    let filter = value(&nodes.ask("eth_newBlockFilter", json!([])).await);
    let members =
        [request(1, "eth_chainId", ()), request(2, "eth_getFilterChanges", json!([filter]))];
    nodes.nodes[0].set(Disruption::rpc_error(-32603, "Internal error").on("eth_chainId"));
    let answer = nodes.send(batch(members)).await.expect("answers");
    assert_eq!(value(&answer.responses()[1]), json!([]));
    assert_eq!(nodes.nodes[1].calls("eth_getFilterChanges"), 0);
}
