//! When `null` is believed, and who else is asked.

mod nodes;
mod stage;

use alclad_core::CallOptions;
use alclad_testkit::{Disruption, SimNode};
use nodes::{Nodes, in_order, value};
use serde_json::json;
use stage::{number, secs, three, transfer};
use tokio::time::{Instant, advance};

const RECEIPT: &str = "eth_getTransactionReceipt";

fn unknown(number: u64) -> serde_json::Value {
    json!([format!("0x{number:064x}")])
}

/// Polls receipts that nobody has until nothing is left for confirmations.
async fn spend_the_spare(nodes: &Nodes) {
    for number in 0..500 {
        nodes.ask(RECEIPT, unknown(number)).await;
    }
    nodes.nodes.iter().for_each(SimNode::reset_counters);
}

#[tokio::test(start_paused = true)]
async fn a_null_for_a_block_at_or_below_the_head_is_asked_at_two_others_and_no_more() {
    let nodes = Nodes::new();
    nodes.show_heads().await;
    nodes.nodes[0].set(Disruption::NullAnswers);
    let block = json!(["0x14", false]);
    let begun = Instant::now();
    assert_eq!(nodes.result("eth_getBlockByNumber", block.clone()).await["number"], "0x14");
    assert_eq!(nodes.calls(), [1, 1, 0]);
    nodes.nodes[1].set(Disruption::NullAnswers);
    assert_eq!(nodes.result("eth_getBlockByNumber", block.clone()).await["number"], "0x14");
    assert_eq!(nodes.calls(), [2, 2, 1]);
    nodes.nodes[2].set(Disruption::NullAnswers);
    assert!(nodes.result("eth_getBlockByNumber", block).await.is_null());
    assert_eq!(nodes.calls(), [3, 3, 2]);
    assert_eq!(begun.elapsed(), secs(0), "never with a sleep");
}

#[tokio::test(start_paused = true)]
async fn a_null_for_what_always_is_is_asked_elsewhere_also_when_the_spare_budget_is_spent() {
    let nodes = Nodes::new();
    spend_the_spare(&nodes).await;
    nodes.nodes[0].set(Disruption::NullAnswers);
    for method in ["eth_blockNumber", "eth_gasPrice", "eth_chainId"] {
        assert!(nodes.result(method, json!([])).await.is_string(), "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn four_endpoints_are_not_all_asked_about_one_null() {
    let nodes = Nodes::new();
    let fourth = SimNode::new(&nodes.chain);
    nodes.rotation.add(alclad_rotation::Endpoint::new("d", fourth.transport()));
    nodes.show_heads().await;
    nodes.nodes.iter().for_each(|node| node.set(Disruption::NullAnswers));
    assert!(nodes.result("eth_getBlockByNumber", json!(["0x14", false])).await.is_null());
    assert_eq!((nodes.calls(), fourth.total_calls()), ([1, 1, 1], 0));
}

#[tokio::test(start_paused = true)]
async fn the_receipt_of_a_transaction_that_was_sent_here_is_always_asked_for_elsewhere() {
    let nodes = Nodes::new();
    let (raw, hash) = transfer(0);
    nodes.submit(&raw).await.expect("an answer");
    nodes.chain.mine(1);
    spend_the_spare(&nodes).await;
    nodes.nodes[0].set(Disruption::NullReceipts);
    for _ in 0..100 {
        let receipt = nodes.result(RECEIPT, json!([hash])).await;
        assert_eq!(receipt["transactionHash"], json!(hash));
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_without_receipts_is_found_out_by_receipts_alone() {
    let nodes = Nodes::new();
    let (raw, hash) = transfer(0);
    nodes.submit(&raw).await.expect("an answer");
    nodes.chain.mine(1);
    nodes.nodes[0].set(Disruption::NullReceipts);
    for _ in 0..100 {
        nodes.result(RECEIPT, json!([hash])).await;
    }
    let asked = nodes.nodes[0].calls(RECEIPT);
    assert!(asked <= 10, "{asked} of 100 receipts were asked where there are none");
}

#[tokio::test(start_paused = true)]
async fn the_receipt_of_a_transaction_that_was_seen_in_a_block_is_always_asked_for_elsewhere() {
    for full in [false, true] {
        let nodes = Nodes::new();
        let hash = nodes.mined();
        nodes.ask("eth_getBlockByNumber", json!(["latest", full])).await;
        spend_the_spare(&nodes).await;
        nodes.nodes[0].set(Disruption::NullReceipts);
        for _ in 0..100 {
            let receipt = nodes.result(RECEIPT, json!([hash])).await;
            assert_eq!(receipt["transactionHash"], hash, "full: {full}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_given_once_is_not_denied_later() {
    let account_of = |nodes: &Nodes| json!([format!("0x{:x}", nodes.chain.block_number())]);
    for method in [RECEIPT, "eth_getTransactionByHash", "eth_getBlockReceipts"] {
        let nodes = Nodes::new();
        let hash = nodes.mined();
        let params =
            if method == "eth_getBlockReceipts" { account_of(&nodes) } else { json!([hash]) };
        assert!(!nodes.result(method, params).await.is_null());
        spend_the_spare(&nodes).await;
        nodes.nodes[0].set(Disruption::NullReceipts);
        let receipt = nodes.result(RECEIPT, json!([hash])).await;
        assert_eq!(receipt["transactionHash"], hash, "after {method}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pending_receipt_is_confirmed_once_per_head() {
    let nodes = Nodes::new();
    nodes.show_heads().await;
    for round in 1..=5 {
        for _ in 0..10 {
            assert!(nodes.result(RECEIPT, unknown(1)).await.is_null());
        }
        assert_eq!(nodes.calls_of(RECEIPT), [10, 1, 0], "round {round}");
        nodes.chain.mine(1);
        advance(secs(12)).await;
        nodes.show_heads().await;
    }
}

#[tokio::test(start_paused = true)]
async fn confirmations_of_pending_receipts_stay_inside_five_percent() {
    let nodes = Nodes::new();
    for number in 0..2000 {
        assert!(nodes.result(RECEIPT, unknown(number)).await.is_null());
    }
    let [first, second, third] = nodes.calls();
    assert_eq!((first, third), (2000, 0));
    assert!((20..=120).contains(&second), "{second} confirmations: 5 % and a reserve of 20");
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_only_another_endpoint_has_is_found_and_costs_the_budget_nothing() {
    let nodes = Nodes::new();
    let hashes: Vec<_> = (0..300).map(|_| nodes.mined()).collect();
    nodes.nodes[0].set(Disruption::NullReceipts.with_share(0.3));
    for hash in &hashes {
        assert_eq!(nodes.result(RECEIPT, json!([hash])).await["transactionHash"], *hash);
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_above_the_head_is_not_there_and_that_is_believed() {
    let nodes = Nodes::new();
    nodes.show_heads().await;
    for _ in 0..1000 {
        assert!(nodes.result("eth_getBlockByNumber", json!(["0x15", false])).await.is_null());
    }
    assert_eq!(nodes.calls(), [1000, 1, 0], "it was confirmed once");
    nodes.chain.mine(1);
    nodes.nodes[0].set_lag(1);
    nodes.nodes[2].set_lag(0);
    nodes.show_heads().await;
    assert_eq!(
        nodes.result("eth_getBlockByNumber", json!(["0x15", false])).await["number"],
        "0x15"
    );
}

#[tokio::test(start_paused = true)]
async fn the_pending_block_may_be_null() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::NullAnswers);
    for _ in 0..50 {
        assert!(nodes.result("eth_getBlockByNumber", json!(["pending", false])).await.is_null());
    }
    assert_eq!(nodes.calls(), [50, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_null_is_an_answer_to_who_wants_no_second_opinion() {
    let nodes = Nodes::new();
    nodes.show_heads().await;
    nodes.nodes[0].set(Disruption::NullAnswers);
    for options in [
        CallOptions::new().without_retry(),
        CallOptions::new().ignoring_errors(),
        CallOptions::new().pinned_to("a"),
    ] {
        let block = nodes.ask("eth_getBlockByNumber", json!(["0x5", false]));
        assert!(value(&options.scope(block).await).is_null());
    }
    assert_eq!(nodes.calls(), [3, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_lagging_endpoint_that_denies_a_block_is_behind_and_not_without_the_method() {
    let nodes = Nodes::new();
    nodes.nodes[0].set_lag(5);
    for block in (16..=20).rev() {
        let block = json!([format!("0x{block:x}"), false]);
        assert!(!nodes.result("eth_getBlockByNumber", block).await.is_null());
    }
    assert!(nodes.seat(0).unsupported.is_empty());
    assert_eq!(nodes.calls_of("eth_getBlockByNumber")[0], 2, "one block behind may be normal");
}

#[tokio::test(start_paused = true)]
async fn a_good_answer_ends_a_row_of_refuted_nulls() {
    let nodes = Nodes::new();
    nodes.show_heads().await;
    let count = "eth_getBlockTransactionCountByNumber";
    for _ in 0..3 {
        nodes.nodes[0].set(Disruption::NullAnswers.on(count).times(1));
        for _ in 0..100 {
            assert!(!nodes.result(count, json!(["0x5"])).await.is_null());
        }
    }
    assert!(nodes.seat(0).unsupported.is_empty(), "three of 300 is no row");
}

#[tokio::test(start_paused = true)]
async fn a_block_that_an_endpoint_has_shown_is_asked_for_at_those_that_have_not() {
    let nodes = Nodes::new();
    nodes.show_heads().await;
    let next = nodes.chain.block_number() + 1;
    nodes.chain.mine(1);
    let request = || json!([format!("0x{next:x}")]);
    let receipts = nodes.result("eth_getBlockReceipts", request()).await;
    nodes.result("eth_getBlockByNumber", json!([format!("0x{next:x}"), false])).await;
    assert_eq!(nodes.calls(), [2, 0, 0]);
    nodes.nodes[0].set_lag(3);
    assert!(nodes.result("eth_getBlockReceipts", request()).await == receipts, "a null");
}

#[tokio::test(start_paused = true)]
async fn there_always_is_a_newest_block_be_the_others_a_moment_behind() {
    let nodes = three(in_order());
    nodes.nodes[0].set(Disruption::NullAnswers.on("eth_getBlockByNumber"));
    nodes.show_heads().await;
    nodes.chain.mine(1);
    assert_eq!(nodes.head().await, 21, "only the first has told");
    let block = nodes.result("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(number(&block["number"]), 21);
}
