//! Endpoints that do not agree, and endpoints that lag.

mod stage;

use alclad_block_cache::BlockCacheLayer;
use alclad_core::{Lookout, SightedBlock, Sighting};
use alclad_rotation::{Endpoint, Rotation};
use alclad_testkit::{ChainSpec, SimChain, SimNode};
use serde_json::{Value, json};
use stage::{FINAL, HEAD, Scene, Script, ask, block, hash, hash_on, hex};
use std::time::Duration;
use tokio::time::advance;
use tower::Layer;

fn balance(number: u64) -> Value {
    json!([format!("0x{}", "ab".repeat(20)), hex(number)])
}

fn scene() -> Scene {
    Scene::new(Script::saying(json!("0x1")))
}

/// Where `b`, which is at the head too, gives this answer.
fn answered_by_b(answer: Value) -> (Scene, Lookout) {
    let scene = Scene::new(Script::saying(answer).by(Some("b")));
    let b = scene.heads.enrol("b".into());
    b.saw(&Sighting::block_number(HEAD));
    (scene, b)
}

fn fork() -> SightedBlock {
    SightedBlock::new(HEAD, hash_on(1, HEAD)).with_parent(hash(HEAD - 1))
}

#[tokio::test(start_paused = true)]
async fn where_two_endpoints_disagree_nothing_is_certain() {
    let scene = scene();
    assert!(scene.keeps("eth_getBalance", balance(HEAD)).await);
    assert!(scene.keeps("eth_getBalance", balance(HEAD - 1)).await);
    let b = scene.heads.enrol("b".into());
    b.saw(&stage::newest(fork()));
    assert!(!scene.is_hit("eth_getBalance", balance(HEAD)).await);
    assert!(!scene.is_hit("eth_getBalance", balance(HEAD)).await, "and nothing is kept");
    assert!(scene.is_hit("eth_getBalance", balance(HEAD - 1)).await, "both link to that");
}

#[tokio::test(start_paused = true)]
async fn a_fork_that_is_left_makes_the_other_certain_again() {
    let scene = scene();
    let b = scene.heads.enrol("b".into());
    b.saw(&stage::newest(fork()));
    assert!(!scene.keeps("eth_getBalance", balance(HEAD)).await);
    b.saw(&Sighting::of_block(block(HEAD)));
    assert!(scene.keeps("eth_getBalance", balance(HEAD)).await);
}

#[tokio::test(start_paused = true)]
async fn a_fork_that_nobody_shows_any_more_denies_nothing() {
    let scene = scene();
    let b = scene.heads.enrol("b".into());
    b.saw(&stage::newest(fork()));
    advance(Duration::from_secs(12)).await;
    scene.show(HEAD);
    assert!(scene.keeps("eth_getBalance", balance(HEAD)).await);
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_on_another_fork_says_belongs_to_its_fork() {
    let by_b = Script::saying(json!("0x2")).by(Some("b"));
    let scene = Scene::new(by_b);
    let b = scene.heads.enrol("b".into());
    b.saw(&Sighting::block_number(HEAD));
    assert!(!scene.keeps("eth_getBalance", balance(HEAD)).await, "it has not shown the block");
    b.saw(&Sighting::of_block(fork()));
    assert!(!scene.keeps("eth_getBalance", balance(HEAD)).await, "it has shown another one");
    b.saw(&Sighting::of_block(block(HEAD)));
    scene.show(HEAD);
    assert!(scene.keeps("eth_getBalance", balance(HEAD)).await);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_an_endpoint_that_lags_is_not_kept_whoever_has_the_block() {
    let chain = SimChain::start(ChainSpec::new(7).with_finality(32, 64).with_traffic(1..=2, 1..=2));
    chain.mine(200);
    let (a, b) = (SimNode::new(&chain), SimNode::new(&chain).with_lag(150));
    let rotation = Rotation::builder()
        .endpoint(Endpoint::new("a", a.transport()))
        .endpoint(Endpoint::new("b", b.transport()))
        .build();
    let layer = BlockCacheLayer::new().with_chain_id(1).with_heads(rotation.heads());
    let cached = layer.layer(rotation.clone());
    let blocks = [("eth_getBlockByNumber", "latest"), ("eth_getBlockByNumber", "finalized")];
    for (method, tag) in blocks {
        ask(&rotation.pinned("a"), method, json!([tag, false])).await;
    }
    let questions: Vec<_> = [100, 120, 136]
        .map(|to| ("eth_getLogs", json!([{ "fromBlock": hex(90), "toBlock": hex(to) }])))
        .into();
    rotation.disable(&"a".into());
    for (method, params) in &questions {
        let answer = stage::call(&cached, stage::packet(1, method, params.clone())).await;
        println!("{method} {params}: {}", answer.is_ok());
    }
    rotation.enable(&"a".into());
    rotation.disable(&"b".into());
    for (method, params) in &questions {
        let truth = chain.answer(method, params.clone()).unwrap();
        assert_ne!(truth, json!([]));
        assert_eq!(ask(&cached, method, params.clone()).await, truth, "{params}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_removed_takes_its_knowledge_along() {
    let scene = scene();
    assert!(scene.keeps("eth_getBalance", balance(HEAD)).await);
    let Scene { script, a, heads, cached, .. } = scene;
    drop(a);
    assert_eq!(heads.hash_at(HEAD), None);
    ask(&cached, "eth_getBalance", balance(HEAD)).await;
    assert_eq!(script.count("eth_getBalance"), 2);
}

#[tokio::test(start_paused = true)]
async fn what_descendants_prove_denies_another_block_below_them() {
    let number = HEAD - 2;
    let fork = stage::block_json(number, hash_on(1, number), hash_on(1, number - 1));
    let scene = Scene::new(Script::saying(fork).by(Some("b")));
    advance(Duration::from_secs(13)).await;
    scene.show(HEAD + 4);
    let b = scene.heads.enrol("b".into());
    let block = SightedBlock::new(number, hash_on(1, number)).with_parent(hash_on(1, number - 1));
    b.saw(&Sighting::of_block(block));
    assert!(!scene.keeps("eth_getBlockByNumber", json!([hex(number), false])).await);
}

#[tokio::test(start_paused = true)]
async fn final_answers_of_an_endpoint_on_another_branch_are_not_kept() {
    let (scene, b) = answered_by_b(json!("0x2"));
    b.saw(&Sighting::of_block(block(FINAL)));
    assert!(scene.keeps("eth_getBalance", balance(FINAL)).await);
    b.saw(&Sighting::of_block(SightedBlock::new(FINAL, hash_on(1, FINAL))));
    assert!(!scene.keeps("eth_getBalance", balance(FINAL - 1)).await);
    assert!(!scene.keeps("eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": "0x2" }])).await);
    // A third tells which of the two is alone.
    let c = scene.heads.enrol("c".into());
    c.saw(&Sighting::of_block(SightedBlock::new(FINAL, hash_on(1, FINAL))));
    assert!(scene.keeps("eth_getBalance", balance(FINAL - 2)).await);
}

#[tokio::test(start_paused = true)]
async fn a_final_block_on_which_two_do_not_agree_is_not_kept() {
    let fork = stage::block_json(FINAL, hash_on(1, FINAL), hash_on(1, FINAL - 1));
    let (scene, b) = answered_by_b(fork);
    b.saw(&Sighting::of_block(SightedBlock::new(FINAL, hash_on(1, FINAL))));
    assert!(!scene.keeps("eth_getBlockByNumber", json!([hex(FINAL), false])).await);
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_has_not_shown_for_a_block_time_it_may_have_left() {
    let (scene, b) = answered_by_b(json!("0x2"));
    b.saw(&Sighting::of_block(block(HEAD)));
    advance(Duration::from_secs(60)).await;
    scene.show(HEAD + 4);
    b.saw(&Sighting::block_number(HEAD + 4));
    assert!(!scene.keeps("eth_getBalance", balance(HEAD)).await);
    for number in HEAD..=HEAD + 4 {
        b.saw(&Sighting::of_block(block(number)));
    }
    assert!(scene.keeps("eth_getBalance", balance(HEAD)).await);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_names_another_block_of_that_height_is_not_kept() {
    let place =
        |hash| json!({ "blockNumber": hex(HEAD), "blockHash": hash, "hash": hash_on(9, 9) });
    let at = json!([hex(HEAD), "0x0"]);
    let scene = Scene::new(Script::saying(place(hash_on(1, HEAD))));
    assert!(!scene.keeps("eth_getTransactionByBlockNumberAndIndex", at.clone()).await);
    let scene = Scene::new(Script::saying(place(hash(HEAD))));
    assert!(scene.keeps("eth_getTransactionByBlockNumberAndIndex", at).await);
}
