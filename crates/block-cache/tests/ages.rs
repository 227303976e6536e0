//! How long what is kept is kept.

mod stage;

use alclad_block_cache::{Age, ByDepth, Keep, Subject};
use alclad_core::{SightedBlock, Sighting};
use alclad_testkit::{ChainSpec, Disruption, SimChain, SimNode};
use serde_json::{Value, json};
use stage::{FINAL, HEAD, Scene, Script, Stage, block, block_json, hash, hex};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::advance;
use tower::Layer;

const ACCOUNT: &str = "0xabababababababababababababababababababab";

fn balance(number: u64) -> Value {
    json!([ACCOUNT, hex(number)])
}

fn scene() -> Scene {
    Scene::new(Script::saying(json!("0x1")))
}

/// Time passes while the heads are confirmed, second by second.
async fn watch(scene: &Scene, head: u64, time: Duration) {
    for _ in 0..time.as_secs() {
        advance(Duration::from_secs(1)).await;
        scene.show(head);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_at_the_tip_is_kept_for_30_seconds() {
    let scene = scene();
    assert!(scene.keeps("eth_getBalance", balance(HEAD)).await);
    watch(&scene, HEAD, Duration::from_secs(29)).await;
    assert!(scene.is_hit("eth_getBalance", balance(HEAD)).await);
    watch(&scene, HEAD, Duration::from_secs(1)).await;
    assert!(!scene.is_hit("eth_getBalance", balance(HEAD)).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_young_is_kept_for_5_minutes() {
    let scene = scene();
    assert!(scene.keeps("eth_getBalance", balance(HEAD - 1)).await);
    watch(&scene, HEAD, Duration::from_secs(299)).await;
    assert!(scene.is_hit("eth_getBalance", balance(HEAD - 1)).await);
    watch(&scene, HEAD, Duration::from_secs(1)).await;
    assert!(!scene.is_hit("eth_getBalance", balance(HEAD - 1)).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_deeper_than_64_blocks_is_kept_until_it_is_evicted() {
    let scene = scene();
    for number in HEAD - 80..=HEAD {
        scene.a.saw(&Sighting::of_block(block(number)));
    }
    assert!(scene.keeps("eth_getBalance", balance(HEAD - 65)).await);
    assert!(scene.keeps("eth_getBalance", balance(HEAD - 64)).await);
    watch(&scene, HEAD, Duration::from_secs(301)).await;
    assert!(scene.is_hit("eth_getBalance", balance(HEAD - 65)).await);
    assert!(!scene.is_hit("eth_getBalance", balance(HEAD - 64)).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_young_is_served_while_it_was_confirmed_within_one_block_time() {
    let scene = scene();
    assert!(scene.keeps("eth_getBalance", balance(HEAD)).await);
    advance(Duration::from_millis(11_999)).await;
    assert!(scene.is_hit("eth_getBalance", balance(HEAD)).await);
    advance(Duration::from_millis(1)).await;
    let before = scene.script.calls();
    assert!(!scene.is_hit("eth_getBalance", balance(HEAD)).await);
    assert!(!scene.is_hit("eth_getBalance", balance(HEAD)).await, "nobody has confirmed it");
    assert_eq!(scene.script.calls(), before + 2);
    scene.show(HEAD);
    assert!(scene.is_hit("eth_getBalance", balance(HEAD)).await);
}

#[tokio::test(start_paused = true)]
async fn a_height_alone_confirms_no_block() {
    let scene = scene();
    assert!(scene.keeps("eth_getBalance", balance(HEAD)).await);
    advance(Duration::from_secs(12)).await;
    scene.a.saw(&Sighting::block_number(HEAD));
    assert!(!scene.is_hit("eth_getBalance", balance(HEAD)).await);
}

#[tokio::test(start_paused = true)]
async fn a_block_time_of_two_seconds_is_two_seconds() {
    let heads = alclad_core::Heads::new().with_block_time(Duration::from_secs(2));
    let a = heads.enrol("a".into());
    let script = Script::saying(json!("0x1"));
    let layer = alclad_block_cache::BlockCacheLayer::new().with_chain_id(1);
    let cached = layer.with_heads(heads.clone()).layer(script.clone());
    a.saw(&Sighting::block_number(HEAD));
    a.saw(&Sighting::of_block(block(HEAD)));
    stage::ask(&cached, "eth_getBalance", balance(HEAD)).await;
    advance(Duration::from_millis(1_999)).await;
    stage::ask(&cached, "eth_getBalance", balance(HEAD)).await;
    assert_eq!(script.calls(), 1);
    advance(Duration::from_millis(1)).await;
    stage::ask(&cached, "eth_getBalance", balance(HEAD)).await;
    assert_eq!(script.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_hash_known_before_nothing_young_is_kept() {
    let scene = scene();
    assert!(!scene.keeps("eth_getBalance", balance(HEAD - 10)).await, "it was never shown");
    scene.show(HEAD + 1);
    assert!(scene.keeps("eth_getBalance", balance(HEAD + 1)).await);
}

#[tokio::test(start_paused = true)]
async fn a_block_that_was_shown_while_the_answer_was_on_its_way_is_no_proof() {
    let shown = Arc::new(Mutex::new(None::<alclad_core::Lookout>));
    let later = Arc::clone(&shown);
    let script = Script::new(move |_, _| {
        if let Some(a) = &*later.lock().unwrap() {
            a.saw(&Sighting::of_block(block(HEAD - 10)));
        }
        Ok(json!("0x1"))
    });
    let scene = Scene::new(script.slow(Duration::from_millis(1)));
    *shown.lock().unwrap() = Some(scene.a.clone());
    let params = balance(HEAD - 10);
    let before = scene.script.calls();
    scene.ask("eth_getBalance", params.clone()).await;
    scene.ask("eth_getBalance", params.clone()).await;
    assert_eq!(scene.script.calls(), before + 2, "the state may have been read before");
    assert!(scene.is_hit("eth_getBalance", params).await);
}

#[tokio::test(start_paused = true)]
async fn the_policy_is_asked_with_all_that_is_known() {
    type Seen = Arc<Mutex<Vec<(String, Age, Option<u64>, usize)>>>;
    let seen: Seen = Arc::default();
    let log = Arc::clone(&seen);
    let policy = move |subject: &Subject<'_>| {
        let Subject { method, age, depth, bytes, .. } = *subject;
        log.lock().unwrap().push((method.name.to_owned(), age, depth, bytes));
        Keep::UntilEvicted
    };
    let scene = Scene::with(Script::saying(json!("0x1")), |layer| layer.with_lifetime(policy));
    scene.ask("eth_getBalance", balance(5)).await;
    scene.ask("eth_getBalance", balance(HEAD - 1)).await;
    scene.ask("eth_getCode", balance(HEAD)).await;
    scene.ask("eth_getCode", json!([ACCOUNT, hash(5)])).await;
    let seen = seen.lock().unwrap();
    let expected = [
        ("eth_getBalance", Age::Final, Some(HEAD - 5), 5),
        ("eth_getBalance", Age::Young, Some(1), 5),
        ("eth_getBalance", Age::Final, Some(1), 5),
        ("eth_getCode", Age::Tip, Some(0), 5),
        ("eth_getCode", Age::Final, Some(0), 5),
        ("eth_getCode", Age::Final, None, 5),
    ];
    assert_eq!(
        *seen,
        expected.map(|(name, age, depth, bytes)| (name.to_owned(), age, depth, bytes))
    );
}

#[tokio::test(start_paused = true)]
async fn a_closure_decides_how_long() {
    let policy = |subject: &Subject<'_>| match subject.method.name {
        "eth_getBalance" => Keep::For(Duration::from_secs(10)),
        "eth_getCode" => Keep::Never,
        _ => Keep::UntilEvicted,
    };
    let scene = Scene::with(Script::saying(json!("0x1")), |layer| layer.with_lifetime(policy));
    assert!(!scene.keeps("eth_getCode", balance(5)).await);
    assert!(!scene.keeps("eth_getCode", json!([ACCOUNT, hash(5)])).await);
    assert!(scene.keeps("eth_getBalance", balance(5)).await);
    assert!(scene.keeps("eth_getTransactionCount", balance(5)).await);
    advance(Duration::from_millis(9_999)).await;
    assert!(scene.is_hit("eth_getBalance", balance(5)).await);
    advance(Duration::from_millis(1)).await;
    assert!(!scene.is_hit("eth_getBalance", balance(5)).await);
    assert!(scene.is_hit("eth_getTransactionCount", balance(5)).await);
}

#[tokio::test(start_paused = true)]
async fn no_policy_can_keep_what_is_no_longer_true() {
    let policy = |_: &Subject<'_>| Keep::UntilEvicted;
    let scene = Scene::with(Script::saying(json!("0x1")), |layer| layer.with_lifetime(policy));
    assert!(scene.keeps("eth_getBalance", balance(HEAD)).await);
    scene.a.saw(&Sighting::of_block(SightedBlock::new(HEAD, stage::hash_on(1, HEAD))));
    assert!(!scene.is_hit("eth_getBalance", balance(HEAD)).await);
    assert!(!scene.keeps("eth_getBalance", json!([ACCOUNT, "latest"])).await);
}

#[tokio::test(start_paused = true)]
async fn by_depth_may_be_set() {
    let by_depth = ByDepth { deep: 1, young: Duration::from_secs(4), tip: Duration::from_secs(2) };
    let scene = Scene::with(Script::saying(json!("0x1")), |layer| layer.with_lifetime(by_depth));
    for number in HEAD - 2..=HEAD {
        assert!(scene.keeps("eth_getBalance", balance(number)).await);
    }
    let mut hits = Vec::new();
    for _ in 0..5 {
        let mut now = 0;
        for number in HEAD - 2..=HEAD {
            let entries = scene.store.statistics().total.hits;
            let before = scene.script.calls();
            scene.ask("eth_getBalance", balance(number)).await;
            now += u32::from(scene.script.calls() == before);
            let _ = entries;
        }
        hits.push(now);
        if hits.len() == 1 {
            assert_eq!(now, 3);
        }
        watch(&scene, HEAD, Duration::from_secs(1)).await;
    }
    // At 2 seconds the tip went, at 4 the young one and the tip again.
    assert_eq!(hits, [3, 3, 2, 3, 1]);
}

/// The chain grows, and everything is shown.
async fn grow(scene: &Scene, blocks: u64) -> u64 {
    let head = scene.heads.latest().unwrap();
    for number in head + 1..=head + blocks {
        scene.a.saw(&stage::newest(block(number)));
        advance(Duration::from_millis(10)).await;
    }
    head + blocks
}

#[tokio::test(start_paused = true)]
async fn what_told_its_block_becomes_final_with_it() {
    let receipt =
        json!({ "transactionHash": hash(77), "blockNumber": hex(HEAD), "blockHash": hash(HEAD) });
    let policy = |_: &Subject<'_>| Keep::UntilEvicted;
    let scene = Scene::with(Script::saying(receipt), |layer| layer.with_lifetime(policy));
    let params = json!([hash(77)]);
    assert!(scene.keeps("eth_getTransactionReceipt", params.clone()).await);
    grow(&scene, 70).await;
    scene.show_final(HEAD);
    assert!(scene.is_hit("eth_getTransactionReceipt", params.clone()).await);
    advance(Duration::from_secs(1_000_000)).await;
    assert!(scene.is_hit("eth_getTransactionReceipt", params).await, "it is final now");
}

#[tokio::test(start_paused = true)]
async fn what_has_become_final_is_kept_until_it_is_evicted() {
    let receipt =
        json!({ "transactionHash": hash(77), "blockNumber": hex(HEAD), "blockHash": hash(HEAD) });
    let scene = Scene::new(Script::saying(receipt));
    let params = json!([hash(77)]);
    assert!(scene.keeps("eth_getTransactionReceipt", params.clone()).await);
    grow(&scene, 70).await;
    scene.show_final(HEAD);
    assert!(scene.is_hit("eth_getTransactionReceipt", params.clone()).await);
    advance(Duration::from_secs(1_000_000)).await;
    let is_hit = scene.is_hit("eth_getTransactionReceipt", params).await;
    assert!(is_hit, "the lifetime of the tip no longer holds");
}

#[tokio::test(start_paused = true)]
async fn what_did_not_tell_its_block_does_not_become_final() {
    let policy = |_: &Subject<'_>| Keep::UntilEvicted;
    let scene = Scene::with(Script::saying(json!("0x1")), |layer| layer.with_lifetime(policy));
    assert!(scene.keeps("eth_getBalance", balance(HEAD)).await);
    grow(&scene, 70).await;
    scene.show_final(HEAD);
    assert!(scene.is_hit("eth_getBalance", balance(HEAD)).await);
    advance(Duration::from_secs(1_000_000)).await;
    assert!(!scene.is_hit("eth_getBalance", balance(HEAD)).await);
    assert!(scene.is_hit("eth_getBalance", balance(HEAD)).await, "asked again, it is final");
}

/// A scene in which nobody tells what is final.
fn without_final(depth: Option<u64>) -> (Scene, alclad_core::Lookout) {
    let heads = alclad_core::Heads::new().with_block_time(Duration::from_secs(12));
    let a = heads.enrol("a".into());
    a.saw(&Sighting::block_number(HEAD));
    a.saw(&Sighting::of_block(block(HEAD)));
    let layer =
        alclad_block_cache::BlockCacheLayer::new().with_chain_id(1).with_heads(heads.clone());
    let layer = match depth {
        Some(depth) => layer.with_final_depth(depth),
        None => layer,
    };
    let script = Script::new(|_, params| match params[0].as_str() {
        Some("finalized") => Err(alclad_testkit::ErrorObject::new(-32602, "unknown tag")),
        _ => Ok(json!("0x1")),
    });
    let (store, cached) = (layer.store(), layer.layer(script.clone()));
    (Scene { script, heads, store, cached, a: a.clone() }, a)
}

#[tokio::test(start_paused = true)]
async fn where_nobody_tells_what_is_final_128_blocks_make_it() {
    let (scene, _a) = without_final(None);
    for (number, is_kept) in [(HEAD - 128, true), (HEAD - 127, false), (1, true)] {
        scene.ask("eth_getBalance", balance(number)).await;
        let kept = scene.is_hit("eth_getBalance", balance(number)).await;
        assert_eq!(kept, is_kept, "{number}");
    }
    advance(Duration::from_secs(1_000_000)).await;
    assert!(scene.is_hit("eth_getBalance", balance(HEAD - 128)).await);
}

#[tokio::test(start_paused = true)]
async fn a_chain_may_have_a_final_depth_of_its_own() {
    let (scene, _a) = without_final(Some(10));
    for (number, is_kept) in [(HEAD - 10, true), (HEAD - 9, false)] {
        scene.ask("eth_getBalance", balance(number)).await;
        assert_eq!(scene.is_hit("eth_getBalance", balance(number)).await, is_kept, "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_calls_final_counts_and_not_the_depth() {
    let scene = Scene::with(Script::saying(json!("0x1")), |layer| layer.with_final_depth(1));
    assert!(!scene.keeps("eth_getBalance", balance(FINAL + 1)).await);
    assert!(scene.keeps("eth_getBalance", balance(FINAL)).await);
}

#[tokio::test(start_paused = true)]
async fn calls_proofs_and_estimates_at_a_fixed_block_are_kept() {
    let scene = scene();
    let call = json!({ "to": ACCOUNT, "data": "0x01" });
    for number in [5, FINAL, HEAD - 1, HEAD] {
        let at = hex(number);
        for (method, params) in [
            ("eth_call", json!([call, at])),
            ("eth_estimateGas", json!([call, at])),
            ("eth_createAccessList", json!([call, at])),
            ("eth_getProof", json!([ACCOUNT, ["0x0"], at])),
            ("eth_getStorageAt", json!([ACCOUNT, "0x0", at])),
            ("eth_feeHistory", json!(["0x4", at, [10]])),
            ("eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": at }])),
            ("trace_block", json!([at])),
            ("debug_traceCall", json!([call, at, { "tracer": "callTracer" }])),
            ("eth_getUncleCountByBlockNumber", json!([at])),
        ] {
            assert!(scene.keeps(method, params.clone()).await, "{method} {params}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_by_hash_is_kept_at_once_also_if_that_block_is_an_orphan() {
    let orphan = stage::hash_on(1, HEAD);
    let scene = Scene::new(Script::new(move |method, _| match method {
        "eth_getBlockByHash" => Ok(block_json(HEAD, orphan, hash(HEAD - 1))),
        "eth_getBlockReceipts" | "eth_getLogs" => {
            Ok(json!([{ "blockNumber": hex(HEAD), "blockHash": orphan }]))
        }
        _ => Ok(json!("0x1")),
    }));
    for (method, params) in [
        ("eth_getBlockByHash", json!([orphan, false])),
        ("eth_getBlockReceipts", json!([orphan])),
        ("eth_getLogs", json!([{ "blockHash": orphan }])),
        ("eth_getCode", json!([ACCOUNT, { "blockHash": orphan }])),
        ("eth_getStorageAt", json!([ACCOUNT, "0x1", { "blockHash": orphan }])),
        ("eth_call", json!([{ "to": ACCOUNT }, orphan])),
    ] {
        assert!(scene.keeps(method, params.clone()).await, "{method}");
        advance(Duration::from_secs(1_000_000)).await;
        assert!(scene.is_hit(method, params).await, "{method}");
    }
    // It proves nothing of what stands at that height.
    scene.show(HEAD);
    assert_eq!(scene.heads.hash_at(HEAD), Some(hash(HEAD)));
}

#[tokio::test(start_paused = true)]
async fn a_second_run_over_final_blocks_asks_nobody() {
    let stage = Stage::new();
    stage.look().await;
    let pass = async || {
        for number in 0..=136 {
            let at = hex(number);
            stage.ask("eth_getBlockByNumber", json!([at, true])).await;
            stage.ask("eth_getBlockReceipts", json!([at])).await;
            stage.ask("eth_getLogs", json!([{ "fromBlock": at, "toBlock": at }])).await;
        }
        stage.node.total_calls()
    };
    let first = pass().await;
    advance(Duration::from_secs(1_000_000)).await;
    assert_eq!((first, pass().await), (3 * 137, 3 * 137));
}

#[tokio::test(start_paused = true)]
async fn a_second_run_asks_nobody_also_if_nothing_was_known_before_the_first() {
    let chain = SimChain::start(ChainSpec::new(7));
    chain.mine(200);
    let node = SimNode::new(&chain);
    let rotation = alclad_rotation::Rotation::builder()
        .endpoint(alclad_rotation::Endpoint::new("a", node.transport()))
        .build();
    let with_heads = alclad_block_cache::BlockCacheLayer::new().with_heads(rotation.heads());
    let alone = alclad_block_cache::BlockCacheLayer::new();
    for (name, layer) in [("with heads", with_heads), ("alone", alone)] {
        node.set(Disruption::SlowBy(Duration::from_millis(5)));
        let cached = layer.layer(rotation.clone());
        let mut calls = Vec::new();
        for _ in 0..2 {
            node.reset_counters();
            for number in 1..=100 {
                let at = hex(number);
                stage::ask(&cached, "eth_getBlockByNumber", json!([at, true])).await;
                stage::ask(&cached, "eth_getBlockReceipts", json!([at])).await;
                let logs = json!([{ "fromBlock": at, "toBlock": at }]);
                stage::ask(&cached, "eth_getLogs", logs).await;
            }
            calls.push(node.total_calls());
        }
        assert_eq!(calls[1], 0, "{name}: {calls:?}, {:?}", node.calls_by_method());
    }
}
