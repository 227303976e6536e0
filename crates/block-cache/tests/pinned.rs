//! `latest`, read as the newest head that was seen.

mod stage;

use alclad_core::Sighting;
use alclad_testkit::batch;
use serde_json::{Value, json};
use stage::{HEAD, Scene, Script, block, call, hex, request};
use std::time::Duration;
use tokio::time::advance;

const ACCOUNT: &str = "0xabababababababababababababababababababab";

fn scene() -> Scene {
    Scene::with(Script::saying(json!("0x1")), |layer| {
        layer.with_pinned_latest(Duration::from_secs(6))
    })
}

fn last(scene: &Scene) -> Value {
    scene.script.asked().last().unwrap().1.clone()
}

#[tokio::test(start_paused = true)]
async fn equal_calls_of_one_block_cost_one_call() {
    let scene = scene();
    let params = json!([ACCOUNT, "latest"]);
    let calls = (0..20).map(|_| scene.ask("eth_getBalance", params.clone()));
    futures::future::join_all(calls).await;
    for _ in 0..20 {
        scene.ask("eth_getBalance", params.clone()).await;
    }
    assert_eq!(scene.script.calls(), 1);
    assert_eq!(last(&scene), json!([ACCOUNT, hex(HEAD)]), "all are answered at one block");
    scene.show(HEAD + 1);
    scene.ask("eth_getBalance", params).await;
    assert_eq!(last(&scene), json!([ACCOUNT, hex(HEAD + 1)]));
}

#[tokio::test(start_paused = true)]
async fn it_is_off_by_default() {
    let scene = Scene::new(Script::saying(json!("0x1")));
    let params = json!([ACCOUNT, "latest"]);
    assert!(!scene.keeps("eth_getBalance", params.clone()).await);
    assert_eq!(last(&scene), params);
}

#[tokio::test(start_paused = true)]
async fn every_way_to_say_latest_is_one() {
    let scene = scene();
    let call = json!({ "to": ACCOUNT });
    assert!(scene.keeps("eth_call", json!([call, "latest"])).await);
    for params in [
        json!([call]),
        json!([call, null]),
        json!([call, "latest", null]),
        json!([call, "latest", {}]),
    ] {
        assert!(scene.is_hit("eth_call", params.clone()).await, "{params}");
    }
    let overridden = json!([call, null, { ACCOUNT: { "balance": "0x1" } }]);
    assert!(scene.keeps("eth_call", overridden).await);
    let expected = json!([call, hex(HEAD), { ACCOUNT: { "balance": "0x1" } }]);
    assert_eq!(last(&scene), expected);
    scene.ask("eth_estimateGas", json!([call])).await;
    assert_eq!(last(&scene), json!([call, hex(HEAD)]));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_too_old_is_not_the_newest() {
    let scene = scene();
    let params = json!([ACCOUNT, "latest"]);
    assert!(scene.keeps("eth_getBalance", params.clone()).await);
    advance(Duration::from_secs(6)).await;
    // What was seen then may be answered until then, and not a moment longer.
    advance(Duration::from_millis(1)).await;
    assert!(!scene.is_hit("eth_getBalance", params.clone()).await);
    assert_eq!(last(&scene), params, "it goes down as it is");
    assert!(!scene.is_hit("eth_getBalance", params).await);
}

#[tokio::test(start_paused = true)]
async fn a_block_that_was_asked_for_by_its_number_is_not_the_newest() {
    let scene = scene();
    let params = json!([ACCOUNT, "latest"]);
    advance(Duration::from_secs(7)).await;
    // Nobody has told for a while which block is the newest.
    scene.a.saw(&Sighting::of_block(alclad_core::SightedBlock::new(HEAD, stage::hash(HEAD))));
    assert!(!scene.is_hit("eth_getBalance", params.clone()).await);
    assert_eq!(last(&scene), params, "it goes down as it is");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_not_given_for_longer_than_the_age_though_the_head_stays() {
    let scene = scene();
    let params = json!([ACCOUNT, "latest"]);
    assert!(scene.keeps("eth_getBalance", params.clone()).await);
    for _ in 0..6 {
        advance(Duration::from_secs(1)).await;
        scene.show(HEAD);
    }
    assert!(!scene.is_hit("eth_getBalance", params).await);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_the_newest_block_itself_is_asked_every_time() {
    let scene = scene();
    for (method, params) in [
        ("eth_blockNumber", json!([])),
        ("eth_getBlockByNumber", json!(["latest", false])),
        ("eth_getHeaderByNumber", json!(["latest"])),
        ("eth_getBlockReceipts", json!(["latest"])),
    ] {
        assert!(!scene.keeps(method, params.clone()).await, "{method}");
        assert_eq!(last(&scene), params);
    }
}

#[tokio::test(start_paused = true)]
async fn other_tags_and_ranges_are_not_touched() {
    let scene = scene();
    for tag in ["pending", "safe", "finalized"] {
        assert!(!scene.keeps("eth_getBalance", json!([ACCOUNT, tag])).await, "{tag}");
        assert_eq!(last(&scene), json!([ACCOUNT, tag]));
    }
    let range = json!([{ "fromBlock": "0x1", "toBlock": "latest" }]);
    assert!(!scene.keeps("eth_getLogs", range.clone()).await);
    assert_eq!(last(&scene), range);
}

#[tokio::test(start_paused = true)]
async fn a_reorg_at_the_same_height_ends_it() {
    let scene = scene();
    let params = json!([ACCOUNT, "latest"]);
    assert!(scene.keeps("eth_getBalance", params.clone()).await);
    let other = alclad_core::SightedBlock::new(HEAD, stage::hash_on(1, HEAD));
    scene.a.saw(&Sighting::of_block(other.with_parent(stage::hash(HEAD - 1))));
    assert!(!scene.is_hit("eth_getBalance", params).await);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_goes_back_ends_it() {
    let scene = scene();
    let params = json!([ACCOUNT, "latest"]);
    assert!(scene.keeps("eth_getBalance", params.clone()).await);
    scene.a.saw(&Sighting::block_number(HEAD - 1));
    assert!(!scene.is_hit("eth_getBalance", params.clone()).await);
    assert_eq!(last(&scene), json!([ACCOUNT, hex(HEAD - 1)]));
    scene.a.saw(&Sighting::of_block(block(HEAD)));
    scene.ask("eth_getBalance", params).await;
    assert_eq!(last(&scene), json!([ACCOUNT, hex(HEAD)]), "it was asked before the head went back");
}

#[tokio::test(start_paused = true)]
async fn the_height_itself_is_another_question() {
    let scene = scene();
    assert!(scene.keeps("eth_getBalance", json!([ACCOUNT, "latest"])).await);
    assert!(!scene.is_hit("eth_getBalance", json!([ACCOUNT, format!("latest@{HEAD:#x}")])).await);
    assert!(scene.keeps("eth_getBalance", json!([ACCOUNT, hex(HEAD)])).await);
    assert!(scene.is_hit("eth_getBalance", json!([ACCOUNT, "latest"])).await);
}

#[tokio::test(start_paused = true)]
async fn members_of_a_batch_are_pinned_too() {
    let scene = scene();
    let questions = [1, 2].map(|id| request(id, "eth_getBalance", json!([ACCOUNT, "latest"])));
    call(&scene.cached, batch(questions)).await.unwrap();
    assert_eq!(scene.script.asked(), [("eth_getBalance".to_owned(), json!([ACCOUNT, hex(HEAD)]))]);
}

#[tokio::test(start_paused = true)]
async fn without_heads_that_are_fed_latest_is_latest() {
    let script = Script::saying(json!("0x1"));
    let layer = alclad_block_cache::BlockCacheLayer::new().with_chain_id(1);
    let layer = layer.with_pinned_latest(Duration::from_secs(6));
    let cached = tower::Layer::layer(&layer, script.clone());
    for _ in 0..2 {
        stage::ask(&cached, "eth_getBalance", json!([ACCOUNT, "latest"])).await;
    }
    let latest = ("eth_getBalance".to_owned(), json!([ACCOUNT, "latest"]));
    assert_eq!(script.asked(), [latest.clone(), latest]);
}

#[tokio::test(start_paused = true)]
async fn who_wants_no_cache_gets_latest() {
    let scene = scene();
    let mut question = request(1, "eth_getBalance", json!([ACCOUNT, "latest"]));
    let options = alclad_core::CallOptions::new().without_cache();
    question.meta_mut().extensions_mut().insert(options);
    call(&scene.cached, alclad_testkit::single(question)).await.unwrap();
    assert_eq!(last(&scene), json!([ACCOUNT, "latest"]));
}
