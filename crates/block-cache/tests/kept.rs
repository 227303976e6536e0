//! What is kept, and what is not.

mod stage;

use alclad_block_cache::BlockCacheLayer;
use serde_json::json;
use stage::{Stage, ask, hex};
use std::time::Duration;
use tokio::time::advance;
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn what_is_final_is_asked_once() {
    let stage = Stage::new();
    stage.look().await;
    let account = stage.chain.accounts()[0];
    for number in [0, 7, 136] {
        let at = hex(number);
        for (method, params) in [
            ("eth_getBlockByNumber", json!([at, true])),
            ("eth_getBlockReceipts", json!([at])),
            ("eth_getLogs", json!([{ "fromBlock": at, "toBlock": at }])),
            ("eth_getBalance", json!([account, at])),
            ("eth_getTransactionCount", json!([account, at])),
            ("eth_getCode", json!([stage.chain.contracts()[0], at])),
        ] {
            assert!(!stage.is_hit(method, params.clone()).await, "{method} {params}");
            advance(Duration::from_secs(1_000_000)).await;
            assert!(stage.is_hit(method, params.clone()).await, "{method} {params}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_by_hash_and_what_depends_on_no_block_is_asked_once() {
    let stage = Stage::new();
    let head = stage.chain.head();
    let hash = stage.chain.block(head.number).unwrap().header.hash;
    let account = stage.chain.accounts()[0];
    for (method, params) in [
        ("eth_chainId", json!([])),
        ("net_version", json!([])),
        ("eth_getBlockByHash", json!([hash, false])),
        ("eth_getBalance", json!([account, { "blockHash": hash }])),
    ] {
        assert!(!stage.is_hit(method, params.clone()).await, "{method} {params}");
        advance(Duration::from_secs(1_000_000)).await;
        assert!(stage.is_hit(method, params.clone()).await, "{method} {params}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_young_holds_while_its_block_is_known_to_be_canonical() {
    let stage = Stage::new();
    stage.look().await;
    let (head, account) = (stage.chain.block_number(), stage.chain.accounts()[0]);
    let balance = |number| json!([account, hex(number)]);
    assert!(!stage.is_hit("eth_getBalance", balance(head)).await);
    assert!(stage.is_hit("eth_getBalance", balance(head)).await);
    advance(Duration::from_secs(12)).await;
    assert!(!stage.is_hit("eth_getBalance", balance(head)).await, "nobody has looked since");
    stage.look().await;
    assert!(stage.is_hit("eth_getBalance", balance(head)).await, "it still stands there");
    stage.chain.mine(1);
    stage.look().await;
    assert!(stage.is_hit("eth_getBalance", balance(head)).await, "the next block links to it");
    stage.chain.reorg(1);
    stage.look().await;
    assert!(stage.is_hit("eth_getBalance", balance(head)).await);
    stage.chain.reorg(2);
    stage.look().await;
    assert!(!stage.is_hit("eth_getBalance", balance(head)).await);
}

#[tokio::test(start_paused = true)]
async fn what_moves_is_never_kept() {
    let stage = Stage::new();
    stage.look().await;
    let account = stage.chain.accounts()[0];
    for (method, params) in [
        ("eth_blockNumber", json!([])),
        ("eth_gasPrice", json!([])),
        ("eth_getBlockByNumber", json!(["latest", false])),
        ("eth_getBlockByNumber", json!(["safe", false])),
        ("eth_getBlockByNumber", json!(["finalized", false])),
        ("eth_getBalance", json!([account])),
        ("eth_getBalance", json!([account, "latest"])),
        ("eth_getBalance", json!([account, "pending"])),
        ("eth_getLogs", json!([{ "fromBlock": "0x1" }])),
    ] {
        for _ in 0..3 {
            assert!(!stage.is_hit(method, params.clone()).await, "{method} {params}");
        }
    }
    assert_eq!(stage.store.statistics().entries, 0);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_final_blocks_with_receipts_and_logs_are_asked_for_once() {
    for knows_heads in [true, false] {
        let stage = Stage::new();
        stage.chain.mine(1_000);
        let layer = BlockCacheLayer::new().with_chain_id(stage.chain.chain_id());
        let layer = if knows_heads { layer.with_heads(stage.rotation.heads()) } else { layer };
        let cached = layer.layer(stage.rotation.clone());
        for turn in 0..2 {
            stage.node.reset_counters();
            for number in 1..=1_000 {
                let at = hex(number);
                ask(&cached, "eth_getBlockByNumber", json!([at, true])).await;
                ask(&cached, "eth_getBlockReceipts", json!([at])).await;
                ask(&cached, "eth_getLogs", json!([{ "fromBlock": at, "toBlock": at }])).await;
            }
            // And one question for the final block.
            assert_eq!(stage.node.total_calls(), [3_001, 0][turn]);
        }
    }
}
