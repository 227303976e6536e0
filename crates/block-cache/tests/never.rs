//! What is never kept.

mod stage;

use alclad_core::Sighting;
use alclad_testkit::ErrorObject;
use serde_json::{Value, json};
use stage::{FINAL, HEAD, Scene, Script, Stage, block_json, hash, hash_on, hex};
use std::time::Duration;

fn logs(from: u64, to: u64) -> Value {
    json!([{ "fromBlock": hex(from), "toBlock": hex(to) }])
}

const ACCOUNT: &str = "0xabababababababababababababababababababab";

#[tokio::test(start_paused = true)]
async fn errors_are_not_kept() {
    let scene = Scene::new(Script::new(|_, _| Err(ErrorObject::reverted(&[1]))));
    for block in [json!(hex(5)), json!(hex(HEAD)), json!({ "blockHash": hash(5) })] {
        let params = json!([{ "to": ACCOUNT }, block]);
        assert!(!scene.keeps("eth_call", params).await);
    }
    assert_eq!(scene.store.statistics().entries, 0);
}

#[tokio::test(start_paused = true)]
async fn null_is_not_kept() {
    let scene = Scene::new(Script::saying(Value::Null));
    for (method, params) in [
        ("eth_getBlockByNumber", json!([hex(5), false])),
        ("eth_getBlockByNumber", json!([hex(HEAD), false])),
        ("eth_getBlockByHash", json!([hash(5), false])),
        ("eth_getBlockReceipts", json!([hex(5)])),
        ("eth_getTransactionByHash", json!([hash(1)])),
        ("eth_getTransactionReceipt", json!([hash(1)])),
        ("eth_getTransactionByBlockNumberAndIndex", json!([hex(5), "0x0"])),
        ("eth_getUncleByBlockHashAndIndex", json!([hash(5), "0x0"])),
        ("eth_getLogs", logs(1, 5)),
        ("eth_getCode", json!([ACCOUNT, hex(5)])),
    ] {
        assert!(!scene.keeps(method, params).await, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn empty_logs_are_kept_up_to_the_safe_head_only() {
    let scene = Scene::new(Script::saying(json!([])));
    scene.show_safe(HEAD - 2);
    assert!(scene.keeps("eth_getLogs", logs(1, FINAL)).await);
    assert!(scene.keeps("eth_getLogs", logs(1, HEAD - 2)).await);
    assert!(!scene.keeps("eth_getLogs", logs(1, HEAD - 1)).await);
    assert!(!scene.keeps("eth_getLogs", logs(1, HEAD)).await);
    assert!(!scene.keeps("eth_getLogs", logs(1, HEAD + 1)).await);
    assert!(!scene.keeps("eth_getLogs", logs(1, u64::MAX)).await);
}

#[tokio::test(start_paused = true)]
async fn empty_logs_of_young_blocks_are_not_kept_where_nobody_knows_what_is_safe() {
    let scene = Scene::new(Script::saying(json!([])));
    assert!(!scene.keeps("eth_getLogs", logs(1, HEAD - 1)).await);
    assert!(!scene.keeps("eth_getLogs", json!([{ "blockHash": hash(HEAD) }])).await);
    assert!(!scene.keeps("eth_getBlockReceipts", json!([hex(HEAD)])).await);
}

#[tokio::test(start_paused = true)]
async fn logs_above_the_head_are_asked_until_they_are_there() {
    let stage = Stage::new();
    stage.look().await;
    let head = stage.chain.block_number();
    for _ in 0..20 {
        let params = logs(head + 1, head + 8);
        stage.is_hit("eth_getLogs", params.clone()).await;
        stage.is_hit("eth_getLogs", params).await;
        stage.chain.mine_with(1, 1);
        stage.look().await;
    }
}

#[tokio::test(start_paused = true)]
async fn writes_filters_subscriptions_and_what_is_local_or_unknown_pass() {
    let scene = Scene::new(Script::saying(json!("0x1")));
    for method in [
        "eth_sendRawTransaction",
        "eth_sendTransaction",
        "eth_sendBundle",
        "eth_sign",
        "eth_newFilter",
        "eth_newBlockFilter",
        "eth_newPendingTransactionFilter",
        "eth_getFilterChanges",
        "eth_getFilterLogs",
        "eth_uninstallFilter",
        "eth_subscribe",
        "eth_unsubscribe",
        "eth_accounts",
        "eth_syncing",
        "eth_coinbase",
        "net_peerCount",
        "net_listening",
        "web3_clientVersion",
        "txpool_content",
        "foo_bar",
        "foo_getThing",
        "debug_traceFoo",
        "evm_mine",
        "anvil_setBalance",
        "eth_blockNumber",
        "eth_gasPrice",
        "eth_maxPriorityFeePerGas",
        "eth_blobBaseFee",
        "eth_callMany",
        "trace_transaction",
        "",
    ] {
        for params in [json!([]), json!([hash(5)]), json!([ACCOUNT, hex(5)])] {
            assert!(!scene.keeps(method, params).await, "{method}");
        }
    }
    let statistics = scene.store.statistics();
    assert_eq!(statistics.entries, 0);
    assert_eq!(statistics.total.hits + statistics.total.misses + statistics.total.joined, 0);
}

#[tokio::test(start_paused = true)]
async fn what_moves_is_not_kept_in_whatever_form_it_is_named() {
    let scene = Scene::new(Script::saying(json!("0x1")));
    for tag in
        ["latest", "pending", "safe", "finalized", "Latest", "", "0x", "0xzz", "latest@0x3e8"]
    {
        assert!(!scene.keeps("eth_getBalance", json!([ACCOUNT, tag])).await, "{tag}");
    }
    for block in [json!(null), json!({}), json!([]), json!({ "blockNumber": "latest" }), json!(-1)]
    {
        assert!(!scene.keeps("eth_getBalance", json!([ACCOUNT, block])).await, "{block}");
    }
    for filter in [
        json!({}),
        json!({ "fromBlock": "0x1" }),
        json!({ "toBlock": "0x1" }),
        json!({ "fromBlock": "0x1", "toBlock": null }),
        json!({ "fromBlock": "0x1", "toBlock": "latest" }),
        json!({ "fromBlock": "0x1", "toBlock": "finalized" }),
        json!({ "fromBlock": "0x1", "toBlock": "safe" }),
        json!({ "fromBlock": "finalized", "toBlock": "0x1" }),
        json!({ "fromBlock": "0x1", "toBlock": "pending" }),
    ] {
        assert!(!scene.keeps("eth_getLogs", json!([filter])).await, "{filter}");
    }
    assert!(!scene.keeps("eth_getBalance", json!({ "address": ACCOUNT, "block": "0x1" })).await);
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_names_a_hash_and_a_tag_is_not_kept() {
    let scene = Scene::new(Script::saying(json!([{ "address": ACCOUNT }])));
    let both = json!([{ "blockHash": hash(5), "fromBlock": "0x1", "toBlock": "latest" }]);
    assert!(!scene.keeps("eth_getLogs", both).await);
}

#[tokio::test(start_paused = true)]
async fn whether_a_block_is_canonical_is_asked_every_time() {
    let scene = Scene::new(Script::saying(json!("0x1")));
    let block = json!({ "blockHash": hash(5), "requireCanonical": true });
    assert!(!scene.keeps("eth_getBalance", json!([ACCOUNT, block])).await);
    let block = json!({ "blockHash": hash(5), "requireCanonical": false });
    assert!(scene.keeps("eth_getBalance", json!([ACCOUNT, block])).await);
    assert!(scene.is_hit("eth_getBalance", json!([ACCOUNT, { "blockHash": hash(5) }])).await);
}

fn transaction(name: &str, of: Value, number: u64, in_block: Value) -> Value {
    json!({ name: of, "blockNumber": hex(number), "blockHash": in_block })
}

#[tokio::test(start_paused = true)]
async fn another_block_than_was_asked_for_is_not_kept() {
    let wrong = |number: u64, hash: Value| {
        let mut block = block_json(number, stage::hash(number), stage::hash(number - 1));
        block["hash"] = hash;
        Scene::new(Script::saying(block))
    };
    for number in [5, FINAL, HEAD] {
        let by_number = json!([hex(number), false]);
        let scene = wrong(number + 1, json!(hash(number + 1)));
        assert!(!scene.keeps("eth_getBlockByNumber", by_number.clone()).await, "{number}");
        assert!(!scene.keeps("eth_getHeaderByNumber", by_number.clone()).await, "{number}");
        let by_hash = json!([hash(number), false]);
        let scene = wrong(number, json!(hash_on(1, number)));
        assert!(!scene.keeps("eth_getBlockByHash", by_hash.clone()).await, "{number}");
        assert!(!scene.keeps("eth_getHeaderByHash", by_hash).await, "{number}");
        let scene = wrong(number, Value::Null);
        assert!(!scene.keeps("eth_getBlockByNumber", by_number).await, "{number}");
    }
    let scene = wrong(FINAL, json!(hash_on(1, FINAL)));
    let orphan = scene.keeps("eth_getBlockByNumber", json!([hex(FINAL), false])).await;
    assert!(!orphan, "the heads know another block there");
    let scene = wrong(HEAD, json!(hash_on(1, HEAD)));
    let orphan = scene.keeps("eth_getBlockByNumber", json!([hex(HEAD), false])).await;
    assert!(!orphan, "the heads know another block there");
}

#[tokio::test(start_paused = true)]
async fn the_genesis_has_number_zero() {
    let scene = Scene::new(Script::saying(block_json(5, hash(5), hash(4))));
    assert!(!scene.keeps("eth_getBlockByNumber", json!(["earliest", false])).await);
}

#[tokio::test(start_paused = true)]
async fn receipts_of_another_block_are_not_kept() {
    let receipt = transaction("transactionHash", json!(hash(77)), 6, json!(hash(6)));
    let scene = Scene::new(Script::saying(json!([receipt])));
    assert!(!scene.keeps("eth_getBlockReceipts", json!([hex(5)])).await);
    assert!(!scene.keeps("eth_getBlockReceipts", json!([hash(5)])).await);
    assert!(scene.keeps("eth_getBlockReceipts", json!([hex(6)])).await);
}

#[tokio::test(start_paused = true)]
async fn another_transaction_than_was_asked_for_is_not_kept() {
    for (method, name) in
        [("eth_getTransactionReceipt", "transactionHash"), ("eth_getTransactionByHash", "hash")]
    {
        let right = transaction(name, json!(hash(77)), 5, json!(hash(5)));
        let scene = Scene::new(Script::saying(right));
        assert!(!scene.keeps(method, json!([hash(78)])).await);
        assert!(scene.keeps(method, json!([hash(77)])).await);
    }
}

#[tokio::test(start_paused = true)]
async fn another_transaction_that_only_mentions_the_one_asked_for_is_not_kept() {
    let mut other = transaction("transactionHash", json!(hash(78)), 5, json!(hash(5)));
    other["logs"] = json!([{ "topics": [hash(77)] }]);
    let scene = Scene::new(Script::saying(other));
    assert!(!scene.keeps("eth_getTransactionReceipt", json!([hash(77)])).await);
    let mut other = transaction("hash", json!(hash(78)), 5, json!(hash(5)));
    other["input"] = json!(hash(77));
    let scene = Scene::new(Script::saying(other));
    assert!(!scene.keeps("eth_getTransactionByHash", json!([hash(77)])).await);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_is_in_no_block_is_not_kept() {
    let pending = json!({ "hash": hash(77), "blockNumber": null, "blockHash": null });
    let scene = Scene::new(Script::saying(pending));
    assert!(!scene.keeps("eth_getTransactionByHash", json!([hash(77)])).await);
    let above = transaction("hash", json!(hash(77)), HEAD + 5, json!(hash(HEAD + 5)));
    let scene = Scene::new(Script::saying(above));
    let kept = scene.keeps("eth_getTransactionByHash", json!([hash(77)])).await;
    assert!(!kept, "nobody has shown that block");
}

#[tokio::test(start_paused = true)]
async fn logs_of_other_blocks_than_were_asked_for_are_not_kept() {
    let log = |number: u64| json!({ "blockNumber": hex(number), "blockHash": hash(number) });
    let scene = Scene::new(Script::saying(json!([log(9)])));
    assert!(scene.keeps("eth_getLogs", logs(5, 9)).await);
    assert!(!scene.keeps("eth_getLogs", logs(5, 8)).await, "above the range");
    assert!(!scene.keeps("eth_getLogs", logs(10, 12)).await, "below the range");
    let scene = Scene::new(Script::saying(json!([log(9)])));
    let of_block = json!([{ "blockHash": hash(8) }]);
    assert!(!scene.keeps("eth_getLogs", of_block).await, "of another block");
}

#[tokio::test(start_paused = true)]
async fn logs_of_an_orphan_are_not_kept_with_the_hash_of_the_canonical_block() {
    let log = json!({ "blockNumber": hex(HEAD), "blockHash": hash_on(1, HEAD) });
    let scene = Scene::new(Script::saying(json!([log])));
    assert!(!scene.keeps("eth_getLogs", logs(HEAD - 1, HEAD)).await);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_of_another_block_is_not_kept() {
    let other = transaction("hash", json!(hash(77)), 6, json!(hash(6)));
    let scene = Scene::new(Script::saying(other));
    for (method, block) in [
        ("eth_getTransactionByBlockNumberAndIndex", json!(hex(5))),
        ("eth_getTransactionByBlockHashAndIndex", json!(hash(5))),
    ] {
        assert!(!scene.keeps(method, json!([block, "0x0"])).await, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_id_of_another_chain_is_not_kept() {
    let scene = Scene::new(Script::saying(json!("0x2")));
    assert!(!scene.keeps("eth_chainId", json!([])).await, "the cache's chain is 1");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_an_endpoint_that_has_not_reached_the_block() {
    let scene = Scene::new(Script::saying(json!([])).by(Some("b")));
    let b = scene.heads.enrol("b".into());
    b.saw(&Sighting::block_number(FINAL - 10));
    assert!(!scene.keeps("eth_getLogs", logs(1, FINAL - 9)).await);
    assert!(scene.keeps("eth_getLogs", logs(1, FINAL - 10)).await);
}

#[tokio::test(start_paused = true)]
async fn nothing_that_could_be_of_a_lagging_endpoint_is_kept() {
    // It is enrolled, and has not shown how far it is.
    let scene = Scene::new(Script::saying(json!([])).by(Some("b")));
    let _b = scene.heads.enrol("b".into());
    assert!(!scene.keeps("eth_getLogs", logs(1, FINAL)).await);
    let scene = Scene::new(Script::saying(json!("0x")).by(Some("b")));
    let _b = scene.heads.enrol("b".into());
    assert!(!scene.keeps("eth_getCode", json!([ACCOUNT, hex(FINAL)])).await);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_on_its_way_while_its_endpoint_caught_up_is_not_kept() {
    let (transport, mut upstream) = alclad_testkit::mock();
    let scene = Scene::new(Script::saying(json!([])));
    let b = scene.heads.enrol("b".into());
    b.saw(&Sighting::block_number(FINAL - 10));
    let named = Named(transport, "b");
    let layer = alclad_block_cache::BlockCacheLayer::new().with_chain_id(1);
    let cached = tower::Layer::layer(&layer.with_heads(scene.heads.clone()), named);
    let question = || stage::packet(1, "eth_getLogs", logs(1, FINAL));
    for _ in 0..2 {
        let asked = cached.clone();
        let packet = question();
        let call = tokio::spawn(async move { stage::call(&asked, packet).await });
        let packet = tokio::time::timeout(Duration::from_secs(1), upstream.next()).await;
        let packet = packet.expect("nothing was kept").unwrap();
        tokio::time::advance(Duration::from_millis(100)).await;
        b.saw(&Sighting::block_number(HEAD));
        packet.answer(alclad_testkit::answer(1, json!([])));
        call.await.unwrap().unwrap();
        b.saw(&Sighting::block_number(FINAL - 10));
    }
}

/// Says who it is.
#[derive(Clone)]
struct Named<S>(S, &'static str);

impl<S> tower::Service<alloy_json_rpc::RequestPacket> for Named<S>
where
    S: tower::Service<
            alloy_json_rpc::RequestPacket,
            Response = alloy_json_rpc::ResponsePacket,
            Error = alloy_transport::TransportError,
            Future: Send + 'static,
        >,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = alloy_transport::TransportFut<'static>;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, packet: alloy_json_rpc::RequestPacket) -> Self::Future {
        let (answer, name) = (self.0.call(packet), self.1);
        Box::pin(async move {
            let answer = answer.await;
            alclad_core::note::record(|note| note.endpoint = Some(name.into()));
            answer
        })
    }
}
