//! A transaction is sent once, and its hash is the answer.

mod nodes;

use alclad_testkit::{Disruption, Transfer};
use alloy::primitives::{B256, Bytes};
use nodes::{Nodes, code, value};
use serde_json::json;

fn transfer(chain_id: u64, nonce: u64, value: u64) -> (Bytes, B256) {
    Transfer { chain_id, nonce, value, ..Transfer::default() }.signed()
}

impl Nodes {
    async fn submit(&self, raw: &Bytes) -> alloy_json_rpc::Response {
        self.ask("eth_sendRawTransaction", json!([raw])).await
    }

    fn sends(&self) -> [u64; 3] {
        [0, 1, 2].map(|node| self.nodes[node].calls("eth_sendRawTransaction"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_goes_to_one_endpoint() {
    let nodes = Nodes::new();
    let (raw, hash) = transfer(nodes.chain.chain_id(), 0, 1);
    assert_eq!(value(&nodes.submit(&raw).await), json!(hash));
    assert_eq!(nodes.sends(), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_send_whose_answer_was_lost_is_known_to_the_next_endpoint_and_mined_once() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::LoseAnswer.on("eth_sendRawTransaction"));
    let (raw, hash) = transfer(nodes.chain.chain_id(), 0, 1);
    assert_eq!(value(&nodes.submit(&raw).await), json!(hash));
    nodes.chain.mine(3);
    assert_eq!(nodes.chain.inclusions(hash), 1);
    assert_eq!(nodes.sends(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_our_own_transaction_used_up_is_its_hash() {
    let nodes = Nodes::new();
    let (raw, hash) = transfer(nodes.chain.chain_id(), 0, 1);
    nodes.submit(&raw).await;
    nodes.chain.mine(1);
    assert_eq!(value(&nodes.submit(&raw).await), json!(hash));
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_another_transaction_used_up_stays_an_error() {
    let nodes = Nodes::new();
    nodes.submit(&transfer(nodes.chain.chain_id(), 0, 1).0).await;
    nodes.chain.mine(1);
    let (other, _) = transfer(nodes.chain.chain_id(), 0, 2);
    let answer = nodes.submit(&other).await;
    let error = answer.payload.as_error().expect("the node's own error");
    assert!(error.message.contains("nonce too low"), "{}", error.message);
    assert_eq!(nodes.sends()[1..], [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_transaction_is_not_tried_elsewhere() {
    for refusal in ["insufficient funds for gas * price + value", "the flux capacitor is cold"] {
        let nodes = Nodes::new();
        nodes.nodes[0].set(Disruption::rpc_error(-32000, refusal));
        let (raw, _) = transfer(nodes.chain.chain_id(), 0, 1);
        assert_eq!(code(&nodes.submit(&raw).await), -32000);
        assert_eq!(nodes.sends(), [1, 0, 0], "{refusal}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_moves_on_only_after_faults_that_leave_its_fate_to_its_hash() {
    for trouble in [
        Disruption::Dead,
        Disruption::Reset,
        Disruption::http_status(503),
        Disruption::http_status(401),
        Disruption::too_many_requests(None),
    ] {
        let nodes = Nodes::new();
        nodes.nodes[0].set(trouble.clone());
        let (raw, hash) = transfer(nodes.chain.chain_id(), 0, 1);
        assert_eq!(value(&nodes.submit(&raw).await), json!(hash), "{trouble:?}");
        nodes.chain.mine(1);
        assert_eq!(nodes.chain.inclusions(hash), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn any_other_write_is_never_sent_twice() {
    for method in ["eth_sendTransaction", "eth_sendBundle", "evm_mine", "personal_sign"] {
        let nodes = Nodes::new();
        nodes.nodes[0].set(Disruption::http_status(503));
        let packet = alclad_testkit::single(alclad_testkit::request(1, method, json!([{}])));
        nodes.send(packet).await.expect_err("the first one's error");
        assert_eq!(nodes.calls(), [1, 0, 0], "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_method_is_sent_again_only_if_it_was_not_executed() {
    for (trouble, asked) in [(Disruption::Dead, 1), (Disruption::Reset, 0)] {
        let nodes = Nodes::new();
        nodes.nodes[0].set(trouble);
        let packet = alclad_testkit::single(alclad_testkit::request(1, "vendor_frobnicate", ()));
        let _ = nodes.send(packet).await;
        assert_eq!(nodes.nodes[1].total_calls(), asked);
    }
}
