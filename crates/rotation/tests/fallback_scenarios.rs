//! The scenarios of web3-ethereum-defi's fallback provider, S1 to S52, as they are here.
//!
//! Those without a test below:
//!
//! | scenario | why, or where |
//! |---|---|
//! | S4, S13, S34 | the rotation asks each endpoint once and waits for nobody; rounds and waits are the retry layer's: `tests/fallback_retries.rs` |
//! | S6 | defect 6: the same bytes cannot get another nonce, so nothing is sent again: `fallback_defects.rs` |
//! | S7 | the reply check is defect 4 and 5; that a missing block is asked for elsewhere is in `nulls.rs` |
//! | S14, S15 | nonces of one account are not compared over all nodes: an operation that must see one state is pinned, and a lagging node is not asked (S11) |
//! | S16 | batches of transactions are made above alloy's provider |
//! | S17 | there is no diagnosis over all nodes but `verify()`: `verification.rs` |
//! | S23 | a pin is not a switch; what a call says that is pinned to a dead endpoint is in `failover.rs` |
//! | S25, S28 | an expected chain is given to the chain guard, a layer of every endpoint, which asks each once: `crates/chain-guard/tests/verification.rs` |
//! | S26 | a guard cannot be told not to ask: there is no form in which it trusts an endpoint unseen |
//! | S29, S30, S31 | `crates/rotation/src/endpoint/endpoints/tests.rs` |
//! | S37 | every endpoint has a name here |
//! | S38 to S41, S46, S50 | the classifier's table: `crates/core` |
//! | S42, S44 | the rotation is no proxy; an answer and an error pass unchanged: `failover.rs` |
//! | S48 | an endpoint of another chain is put away by `verify()`: `verification.rs` |
//! | S51 | waiting for receipts is alloy's; a receipt that one endpoint lacks is in `nulls.rs` |

mod nodes;
mod stage;

use alclad_core::{Classify, Evidence, Fault, classify};
use alclad_rotation::{Disagreement, Endpoint, EndpointState, Ordered, Role, Rotation, Sends};
use alclad_rotation::{Unverified, WeightedRoundRobin};
use alclad_testkit::{Disruption, SimChain, SimNode, batch, request, single};
use nodes::{Nodes, in_order, value};
use serde_json::json;
use stage::{dressed, three, transfer};
use tower::ServiceExt;

/// S1.
#[tokio::test(start_paused = true)]
async fn the_first_provider_serves_all() {
    let nodes = Nodes::new();
    nodes.head().await;
    assert_eq!(nodes.calls(), [1, 0, 0]);
    assert_eq!([nodes.seat(0).requests, nodes.seat(1).requests], [1, 0]);
}

/// S2, S43.
#[tokio::test(start_paused = true)]
async fn a_dead_provider_is_replaced_and_its_failure_counted() {
    let nodes = three(Rotation::builder().with_strategy(Ordered::new()));
    nodes.nodes[0].set(Disruption::Dead);
    for _ in 0..10 {
        assert_eq!(nodes.head().await, 20);
    }
    assert_eq!(nodes.seat(0).faults.get("Connection"), Some(&5));
    nodes.nodes[0].clear();
    nodes.head().await;
    assert_eq!(nodes.calls(), [0, 11, 0], "the second is the one in use");
}

/// S3: the error of the endpoints themselves, after each was asked once.
#[tokio::test(start_paused = true)]
async fn when_all_fail_the_error_is_theirs() {
    let nodes = Nodes::new();
    nodes.nodes.iter().for_each(|node| node.set(Disruption::http_status(502)));
    let error = nodes.try_ask("eth_blockNumber", json!([])).await.expect_err("all fail");
    let http = error.as_transport_err().and_then(|kind| kind.as_http_error());
    assert_eq!(http.map(|http| http.status), Some(502));
    assert_eq!(nodes.calls(), [1, 1, 1]);
}

/// S5: two endpoints that say the same unknown thing are believed, and nobody is blamed.
#[tokio::test(start_paused = true)]
async fn an_error_that_nobody_knows_is_not_retried_for_ever() {
    let nodes = Nodes::new();
    let odd = || Disruption::rpc_error(-32099, "the flux capacitor is cold");
    nodes.nodes.iter().for_each(|node| node.set(odd()));
    let answer = nodes.ask("eth_blockNumber", json!([])).await;
    assert_eq!(classify("eth_blockNumber", &answer).fault(), Some(Fault::Unknown));
    assert_eq!(nodes.calls(), [1, 1, 0]);
}

/// S8.
#[tokio::test(start_paused = true)]
async fn a_broadcast_to_several_nodes_is_one_transaction() {
    let nodes = three(in_order().with_sends(Sends::All));
    let (raw, hash) = transfer(0);
    assert_eq!(value(&nodes.submit(&raw).await.expect("an answer")), json!(hash));
    tokio::time::sleep(stage::secs(1)).await;
    nodes.chain.mine(3);
    assert_eq!((nodes.sends(), nodes.chain.inclusions(hash)), ([1, 1, 1], 1));
}

/// S9.
#[tokio::test(start_paused = true)]
async fn a_broadcast_whose_nonce_is_used_up_by_another_is_an_error() {
    let nodes = three(in_order().with_sends(Sends::All));
    let (raw, hash) = transfer(0);
    nodes.submit(&raw).await.expect("an answer");
    nodes.chain.mine(1);
    assert_eq!(value(&nodes.submit(&raw).await.expect("an answer")), json!(hash), "our own");
    for node in &nodes.nodes {
        node.set(Disruption::rpc_error(-32000, "nonce too low").on("eth_sendRawTransaction"));
    }
    let answer = nodes.submit(&transfer(7).0).await.expect("an answer");
    assert_eq!(
        classify("eth_sendRawTransaction", &answer).fault(),
        Some(Fault::NonceTooLow),
        "and not found anywhere"
    );
}

/// S10.
#[tokio::test(start_paused = true)]
async fn a_broadcast_whose_nonce_is_too_high_is_rejected_at_once() {
    let nodes = three(in_order().with_sends(Sends::All));
    for node in &nodes.nodes {
        node.set(Disruption::rpc_error(-32000, "nonce too high"));
    }
    let answer = nodes.submit(&transfer(9).0).await.expect("an answer");
    let fault = classify("eth_sendRawTransaction", &answer).fault();
    assert_eq!(fault, Some(Fault::TxRejected));
    assert!(nodes.sends().iter().all(|sends| *sends <= 1));
}

/// S11: a node that is known to lag is not asked for the nonce.
#[tokio::test(start_paused = true)]
async fn the_nonce_of_a_lagging_node_is_not_taken() {
    let nodes = Nodes::new();
    for nonce in 0..3 {
        nodes.submit(&transfer(nonce).0).await.expect("an answer");
        nodes.chain.mine(1);
    }
    nodes.nodes[0].set_lag(3);
    nodes.show_heads().await;
    let account = nodes
        .chain
        .block(21)
        .expect("a block")
        .transactions
        .txns()
        .next()
        .map(|t| t.inner.signer());
    let params = json!([account.expect("our transfer"), "latest"]);
    let truth = nodes.chain.answer("eth_getTransactionCount", params.clone()).expect("the truth");
    assert_eq!(nodes.result("eth_getTransactionCount", params).await, truth);
}

/// S12.
#[tokio::test(start_paused = true)]
async fn a_happy_read_is_one_read() {
    let nodes = three(Rotation::builder());
    for _ in 0..100 {
        nodes.read_well().await;
    }
    assert_eq!(nodes.calls().iter().sum::<u64>(), 100);
}

/// S18, S27: they agree, and each was asked once.
#[tokio::test(start_paused = true)]
async fn endpoints_of_one_chain_agree() {
    let nodes = Nodes::new();
    assert_eq!(nodes.rotation.verify().await.chain_id(), Ok(1));
    assert_eq!(nodes.calls_of("eth_chainId"), [1, 1, 1]);
}

/// S19.
#[tokio::test(start_paused = true)]
async fn endpoints_of_two_chains_are_both_named() {
    let nodes = Nodes::new();
    nodes.nodes[2].set(Disruption::WrongChain(nodes.chain.twin(56)));
    let error = nodes.rotation.verify().await.chain_id().expect_err("two chains").to_string();
    assert!(error.contains("1 (a, b)") && error.contains("56 (c)"), "{error}");
}

/// S20.
#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_reached_is_borne() {
    let nodes = Nodes::new();
    nodes.nodes[1].set(Disruption::Dead);
    let table = nodes.rotation.verify().await;
    assert_eq!((table.chain_id(), table.unverified().count()), (Ok(1), 1));
    assert_eq!(nodes.rotation.snapshot().len(), 3, "it may come back");
}

/// S21.
#[tokio::test(start_paused = true)]
async fn when_none_can_be_reached_that_is_an_error() {
    let nodes = Nodes::new();
    nodes.nodes.iter().for_each(|node| node.set(Disruption::Dead));
    let table = nodes.rotation.verify().await;
    assert_eq!(table.chain_id(), Err(Disagreement::Silence));
    assert!(table.unverified().all(|(_, why)| matches!(why, Unverified::NoAnswer(_))));
}

/// S22: without a probe, the call itself is what skips the unreachable.
#[tokio::test(start_paused = true)]
async fn a_switch_skips_an_unreachable_endpoint() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::http_status(503));
    nodes.nodes[1].set(Disruption::http_status(504));
    assert_eq!(nodes.head().await, 20);
    assert_eq!(nodes.calls(), [1, 1, 1]);
    assert_eq!(nodes.calls_of("eth_chainId"), [0, 0, 0]);
}

/// S24: nothing is asked that nobody asked for.
#[tokio::test(start_paused = true)]
async fn building_a_rotation_asks_nobody() {
    let chain = SimChain::new(7);
    let node = SimNode::new(&chain);
    let rotation = Rotation::builder().endpoint(Endpoint::new("a", node.transport())).build();
    assert_eq!(node.total_calls(), 0);
    rotation.oneshot(single(request(1, "eth_blockNumber", ()))).await.expect("a head");
    assert_eq!(node.total_calls(), 1);
}

/// S32, S52.
#[tokio::test(start_paused = true)]
async fn transactions_go_to_the_private_endpoint_and_calls_do_not() {
    let nodes = dressed(in_order(), |label, endpoint| match label {
        "c" => endpoint.with_role(Role::Write),
        _ => endpoint,
    });
    for _ in 0..3 {
        nodes.read_well().await;
    }
    nodes.submit(&transfer(0).0).await.expect("an answer");
    assert_eq!((nodes.calls(), nodes.sends()), ([3, 0, 1], [0, 0, 1]));
}

/// S33.
#[cfg(feature = "http")]
#[tokio::test]
async fn no_name_error_or_snapshot_shows_a_key() {
    use alclad_rotation::Endpoints;
    let line =
        "http://hunter2:hunter2@127.0.0.1:9/v2/hunter2?key=hunter2 http://127.0.0.1:9/x/hunter2";
    let endpoints: Endpoints = line.parse().expect("two URLs");
    let shown = format!("{endpoints} {endpoints:?}");
    let rotation = Rotation::builder().endpoints(endpoints).build();
    let error = rotation.clone().oneshot(single(request(1, "eth_chainId", ()))).await;
    let error = error.expect_err("nobody listens there");
    let snapshot = serde_json::to_string(&rotation.snapshot()).expect("JSON");
    let table = rotation.verify().await;
    let all = format!("{shown} {rotation:?} {error} {error:?} {snapshot} {table} {table:?}");
    assert!(!all.contains("hunter2"), "{all}");
}

/// S35: what went over the wire is counted as such; no probe is sent that needs counting.
#[tokio::test(start_paused = true)]
async fn physical_calls_and_errors_are_counted_per_endpoint() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::Reset);
    nodes.head().await;
    let [a, b] = [nodes.seat(0), nodes.seat(1)];
    assert_eq!((a.requests, b.requests), (1, 1));
    assert_eq!((a.faults.len(), a.faults.get("Connection"), b.faults.len()), (1, Some(&1), 0));
    assert_eq!(nodes.calls_of("eth_blockNumber"), [1, 1, 0]);
}

/// S36.
#[tokio::test(start_paused = true)]
async fn an_error_member_is_counted_once_under_its_fault() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::rpc_error(-32000, "missing trie node 12ab"));
    let members = [request(1, "eth_chainId", ()), request(2, "eth_gasPrice", ())];
    nodes.send(batch(members)).await.expect("answers");
    nodes.head().await;
    assert_eq!(nodes.seat(0).faults, [("MissingData", 3)].into());
    assert!(nodes.seat(1).faults.is_empty());
}

/// S45: seven calls over three, by turns.
#[tokio::test(start_paused = true)]
async fn calls_can_be_spread_evenly() {
    let nodes = three(Rotation::builder().with_strategy(WeightedRoundRobin::new()));
    for _ in 0..7 {
        nodes.read_well().await;
    }
    assert_eq!(nodes.calls(), [3, 2, 2]);
}

/// S47: an error text of one's own vendor leads elsewhere; S49: others are not touched by it.
#[tokio::test(start_paused = true)]
async fn a_text_of_ones_own_leads_to_another_endpoint() {
    let own = |evidence: &Evidence<'_>| {
        evidence.message.contains("invalid block height").then_some(Fault::MissingData)
    };
    fn is_classifier(_: &impl Classify) {}
    is_classifier(&own);
    let nodes = three(in_order().with_classifier(own));
    nodes.nodes[0].set(Disruption::rpc_error(3, "invalid block height: 7"));
    nodes.read_well().await;
    assert_eq!((nodes.calls(), nodes.state(0)), ([1, 1, 0], EndpointState::Closed));
}
