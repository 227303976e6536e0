//! What a reorg takes away.

mod stage;

use alclad_core::{SightedBlock, Sighting};
use alclad_testkit::{ChainSpec, Disruption};
use serde_json::{Value, json};
use stage::{HEAD, Scene, Script, Stage, block, hash, hash_on, hex};
use std::time::Duration;
use tokio::time::advance;

/// Everything that can be asked of these blocks.
fn questions(stage: &Stage, numbers: impl IntoIterator<Item = u64>) -> Vec<(&'static str, Value)> {
    let (account, contract) = (stage.chain.accounts()[0], stage.chain.contracts()[0]);
    let mut all = Vec::new();
    for number in numbers {
        let at = hex(number);
        let Some(block) = stage.chain.block(number) else { continue };
        all.extend([
            ("eth_getBlockByNumber", json!([at, false])),
            ("eth_getBlockByNumber", json!([at, true])),
            ("eth_getBlockReceipts", json!([at])),
            ("eth_getBalance", json!([account, at])),
            ("eth_getStorageAt", json!([contract, "0x1", at])),
            ("eth_call", json!([{ "to": contract, "data": "0x1234" }, at])),
            ("eth_getLogs", json!([{ "fromBlock": at, "toBlock": at }])),
            ("eth_getLogs", json!([{ "fromBlock": hex(number.saturating_sub(9)), "toBlock": at }])),
            ("eth_getTransactionByBlockNumberAndIndex", json!([at, "0x0"])),
        ]);
        for hash in block.transactions.hashes() {
            all.push(("eth_getTransactionReceipt", json!([hash])));
            all.push(("eth_getTransactionByHash", json!([hash])));
        }
    }
    all
}

async fn check(stage: &Stage, questions: &[(&'static str, Value)]) -> usize {
    let mut hits = 0;
    for (method, params) in questions {
        hits += usize::from(stage.is_hit(method, params.clone()).await);
    }
    hits
}

/// A reorg, after which all that is asked is as the heads have seen it.
async fn reorg(depth: u64, final_distance: u64, all_shown: bool) {
    let spec = ChainSpec::new(depth).with_finality(32, final_distance);
    let stage = Stage::on(spec, 200);
    stage.look_from(if all_shown { 73 } else { 198 }).await;
    let head = stage.chain.block_number();
    let numbers = (head - depth.min(140) - 3..=head).step_by(if depth > 12 { 9 } else { 2 });
    let questions = questions(&stage, numbers);
    check(&stage, &questions).await;
    check(&stage, &questions).await;
    stage.chain.reorg_to(depth, depth + 1);
    stage.look().await;
    check(&stage, &questions).await;
    stage.look_from(head - depth.min(120)).await;
    check(&stage, &questions).await;
}

#[tokio::test(start_paused = true)]
async fn a_reorg_of_any_depth_that_is_not_final_leaves_nothing_of_the_orphans() {
    for depth in [1, 2, 3, 5, 12, 32, 63] {
        reorg(depth, 64, true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn also_if_only_the_head_was_shown() {
    for depth in [1, 2, 3, 5, 12, 32, 63] {
        reorg(depth, 64, false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn also_a_reorg_of_70_blocks_where_128_make_them_final() {
    for depth in [64, 65, 66, 70] {
        reorg(depth, 128, true).await;
        reorg(depth, 128, false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reorg_of_final_blocks_that_the_heads_have_seen_takes_them_too() {
    for depth in [64, 65, 66, 70] {
        reorg(depth, 64, true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reorg_of_final_blocks_whose_bottom_nobody_has_seen_takes_them_too() {
    for depth in [64, 65, 66, 70] {
        reorg(depth, 64, false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_lies_below_the_fork_stays() {
    let stage = Stage::new();
    stage.look_from(180).await;
    let account = stage.chain.accounts()[0];
    let balance = |number| json!([account, hex(number)]);
    for number in [190, 197, 198, 200] {
        stage.is_hit("eth_getBalance", balance(number)).await;
    }
    stage.chain.reorg_to(3, 4);
    stage.look_from(180).await;
    assert!(stage.is_hit("eth_getBalance", balance(190)).await);
    assert!(stage.is_hit("eth_getBalance", balance(197)).await);
    assert!(!stage.is_hit("eth_getBalance", balance(198)).await);
    assert!(!stage.is_hit("eth_getBalance", balance(200)).await);
}

#[tokio::test(start_paused = true)]
async fn the_orphans_are_gone_from_the_store_and_counted() {
    let stage = Stage::new();
    stage.look().await;
    let account = stage.chain.accounts()[0];
    for number in [199, 200] {
        stage.ask("eth_getBalance", json!([account, hex(number)])).await;
    }
    stage.ask("eth_getBalance", json!([account, hex(5)])).await;
    assert_eq!((stage.store.statistics().entries, stage.store.statistics().orphaned), (3, 0));
    stage.chain.reorg(2);
    stage.look().await;
    let statistics = stage.store.statistics();
    assert_eq!((statistics.entries, statistics.orphaned), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_miss_that_was_in_flight_across_a_reorg_is_not_kept() {
    let stage = Stage::new();
    stage.look_from(150).await;
    let head = stage.chain.block_number();
    let (transaction, number) = stage.transaction_from(190);
    let account = stage.chain.accounts()[0];
    let all = [
        ("eth_getBalance", json!([account, hex(head)])),
        ("eth_getBalance", json!([account, hex(head - 1)])),
        ("eth_getLogs", json!([{ "fromBlock": hex(1), "toBlock": hex(head - 1) }])),
        ("eth_getTransactionReceipt", json!([transaction])),
        ("eth_call", json!([{ "to": account }, hex(number)])),
    ];
    for (method, params) in all {
        stage.look_from(150).await;
        // The answer is read now, and comes in a second.
        stage.node.set(Disruption::SlowBy(Duration::from_secs(1)).on(method));
        let cached = stage.cached.clone();
        let asked = params.clone();
        let call = tokio::spawn(async move { stage::ask(&cached, method, asked).await });
        advance(Duration::from_millis(999)).await;
        tokio::task::yield_now().await;
        stage.look_from(150).await;
        stage.chain.reorg(20);
        stage.look_from(150).await;
        call.await.unwrap();
        stage.node.clear();
        stage.node.reset_counters();
        let entries = stage.store.statistics().entries;
        assert_eq!(entries, 0, "{method}");
    }
}

fn is_balance(packet: &alclad_testkit::MockCall) -> bool {
    packet.packet().requests()[0].method() == "eth_getBalance"
}

/// The cache asks what is final, and nobody knows.
fn refuse(own: alclad_testkit::MockCall) {
    let mut error = alclad_testkit::error(0, -32602, "unknown tag");
    error.id = own.packet().requests()[0].id().clone();
    own.answer(error);
}

/// An endpoint on a branch, of which an answer comes while another branch is seen.
#[tokio::test(start_paused = true)]
async fn an_answer_from_before_the_reorg_that_comes_after_it_is_not_kept() {
    let (transport, mut upstream) = alclad_testkit::mock();
    let scene = Scene::new(Script::saying(json!("0x1")));
    let layer = alclad_block_cache::BlockCacheLayer::new().with_chain_id(1);
    let cached = tower::Layer::layer(&layer.with_heads(scene.heads.clone()), transport);
    for number in HEAD - 110..=HEAD {
        scene.a.saw(&Sighting::of_block(block(number)));
    }
    let account = format!("0x{}", "ab".repeat(20));
    let mut branch = 0;
    for number in [HEAD, HEAD - 1, HEAD - 50, stage::FINAL + 1, stage::FINAL, stage::FINAL - 5] {
        for _ in 0..2 {
            let question = stage::packet(1, "eth_getBalance", json!([account, hex(number)]));
            let asked = cached.clone();
            let mut call = tokio::spawn(async move { stage::call(&asked, question).await });
            let balance = loop {
                tokio::select! {
                    packet = upstream.next() => match packet.unwrap() {
                        packet if is_balance(&packet) => break packet,
                        own => refuse(own),
                    },
                    answer = &mut call => panic!("block {number}: it was kept: {answer:?}"),
                }
            };
            branch += 1;
            for number in HEAD - 110..=HEAD {
                let parent = hash_on(branch, number - 1);
                let block = SightedBlock::new(number, hash_on(branch, number)).with_parent(parent);
                scene.a.saw(&Sighting::of_block(block));
            }
            balance.answer(alclad_testkit::answer(1, "0x1"));
            loop {
                tokio::select! {
                    own = upstream.next() => refuse(own.unwrap()),
                    answer = &mut call => break drop(answer.unwrap().unwrap()),
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_receipt_whose_transaction_moved_to_another_block_is_asked_again() {
    let place = std::sync::Arc::new(std::sync::Mutex::new((HEAD, hash(HEAD))));
    let now = std::sync::Arc::clone(&place);
    let scene = Scene::new(Script::new(move |_, _| {
        let (number, hash_now) = *now.lock().unwrap();
        Ok(
            json!({ "transactionHash": hash(77), "blockNumber": hex(number), "blockHash": hash_now }),
        )
    }));
    assert!(scene.keeps("eth_getTransactionReceipt", json!([hash(77)])).await);
    let other = SightedBlock::new(HEAD, hash_on(1, HEAD)).with_parent(hash(HEAD - 1));
    let next = SightedBlock::new(HEAD + 1, hash_on(1, HEAD + 1)).with_parent(hash_on(1, HEAD));
    scene.a.saw(&stage::newest(other));
    scene.a.saw(&stage::newest(next));
    *place.lock().unwrap() = (HEAD + 1, hash_on(1, HEAD + 1));
    assert!(scene.keeps("eth_getTransactionReceipt", json!([hash(77)])).await);
    let receipt = scene.ask("eth_getTransactionReceipt", json!([hash(77)])).await;
    assert_eq!(receipt["blockNumber"], hex(HEAD + 1));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_goes_back_takes_what_was_above() {
    let scene = Scene::new(Script::saying(json!("0x1")));
    let params = |number| json!([format!("0x{}", "ab".repeat(20)), hex(number)]);
    for number in [HEAD, HEAD - 1] {
        assert!(scene.keeps("eth_getBalance", params(number)).await);
    }
    scene.a.saw(&Sighting::block_number(HEAD - 1));
    assert!(!scene.is_hit("eth_getBalance", params(HEAD)).await);
    assert!(scene.is_hit("eth_getBalance", params(HEAD - 1)).await);
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_random_reorgs_is_followed() {
    let seed = std::env::var("ALCLAD_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("ALCLAD_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let stage = Stage::on(ChainSpec::new(seed).with_finality(32, 100), 250);
    stage.look().await;
    for _ in 0..40 {
        match rng.u8(..4) {
            0 => stage.chain.mine(rng.u64(1..4)),
            1 => {
                let depth = rng.u64(1..=70);
                stage.chain.reorg_to(depth, depth + rng.u64(0..2));
            }
            2 => drop(stage.chain.reorg(rng.u64(1..5))),
            _ => advance(Duration::from_secs(rng.u64(0..20))).await,
        }
        // Either all is seen, or so much time goes by that what was seen before proves nothing.
        if rng.bool() {
            advance(Duration::from_secs(12)).await;
            stage.look().await;
        } else {
            stage.look_from(stage.chain.block_number() - 90).await;
        }
        let head = stage.chain.block_number();
        let numbers: Vec<_> = (0..3).map(|_| head - rng.u64(0..90)).collect();
        let questions = questions(&stage, numbers);
        check(&stage, &questions).await;
        check(&stage, &questions).await;
    }
}
