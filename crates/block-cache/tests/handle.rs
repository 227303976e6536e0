//! The handle: what came of the questions, and what is to be forgotten.

mod stage;

use alclad_block_cache::{BlockCache, BlockCacheLayer, Keep, Subject};
use alclad_core::{Lookout, SightedBlock, Sighting};
use alclad_testkit::{answer, mock};
use serde_json::{Value, json};
use stage::{FINAL, HEAD, Scene, Script, block_json, call, hash, hash_on, hex, newest, packet};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::time::sleep;
use tower::Layer;

const ACCOUNT: &str = "0xabababababababababababababababababababab";

fn scene() -> Scene {
    Scene::new(Script::saying(json!("0x1")))
}

fn at(number: u64) -> Value {
    json!([ACCOUNT, hex(number)])
}

fn logs(from: u64, to: u64) -> Value {
    json!([{ "fromBlock": hex(from), "toBlock": hex(to) }])
}

#[tokio::test(start_paused = true)]
async fn it_counts_by_method_and_by_age() {
    let scene = scene();
    for number in [5, HEAD - 1, HEAD] {
        for _ in 0..3 {
            scene.ask("eth_getBalance", at(number)).await;
        }
    }
    for _ in 0..2 {
        scene.ask("eth_getCode", json!([ACCOUNT, hash(5)])).await;
    }
    scene.ask("eth_gasPrice", json!([])).await;
    futures::future::join(scene.ask("eth_call", at(7)), scene.ask("eth_call", at(7))).await;
    let statistics = scene.store.statistics();
    assert_eq!((statistics.entries, statistics.max_bytes), (5, 64 << 20));
    let count = |hits, misses, joined| {
        let mut count = alclad_block_cache::Count::default();
        (count.hits, count.misses, count.joined) = (hits, misses, joined);
        count
    };
    let methods: Vec<_> = statistics.methods.clone().into_iter().collect();
    let expected = [
        ("eth_call", count(0, 1, 1)),
        ("eth_getBalance", count(6, 3, 0)),
        ("eth_getCode", count(1, 1, 0)),
    ];
    assert_eq!(methods, expected);
    assert_eq!(statistics.total, count(7, 5, 1));
    assert!((statistics.total.hit_rate() - 8.0 / 13.0).abs() < 1e-9);
    let ages: Vec<_> = statistics.hits_by_age.clone().into_iter().collect();
    assert_eq!(ages, [("final", 3), ("latest", 0), ("tip", 2), ("young", 2)]);
    let json = serde_json::to_value(&statistics).unwrap();
    assert_eq!(json["methods"]["eth_getBalance"]["hits"], 6);
}

#[tokio::test(start_paused = true)]
async fn it_tells_what_it_holds_by_method_and_by_lifetime() {
    let scene = scene();
    for number in [5, 6, HEAD - 1, HEAD] {
        scene.ask("eth_getBalance", at(number)).await;
    }
    scene.ask("eth_getCode", json!([ACCOUNT, hash(5)])).await;
    let contents = serde_json::to_value(scene.store.contents()).unwrap();
    let methods = json!({ "eth_getBalance": 4, "eth_getCode": 1 });
    let expiring = json!({ "young": 1, "tip": 1 });
    let expected = json!({ "methods": methods, "until_evicted": 3, "expiring": expiring });
    assert_eq!(contents, expected);
}

#[test]
fn nothing_asked_is_a_hit_rate_of_zero() {
    let statistics = BlockCache::new(1000).statistics();
    assert_eq!((statistics.total.hit_rate(), statistics.entries, statistics.bytes), (0.0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn it_weighs_what_it_holds_and_never_more_than_it_may() {
    let big = "ab".repeat(5_000);
    let scene = Scene::with(Script::saying(json!(format!("0x{big}"))), |layer| {
        layer.with_max_bytes(100_000)
    });
    scene.ask("eth_getCode", at(1)).await;
    let bytes = scene.store.statistics().bytes;
    assert!((10_004..12_000).contains(&bytes), "{bytes}");
    for number in 2..100 {
        scene.ask("eth_getCode", at(number)).await;
        let statistics = scene.store.statistics();
        assert!(statistics.bytes <= 100_000, "{statistics:?}");
    }
    let statistics = scene.store.statistics();
    assert_eq!(statistics.entries + statistics.evictions, 99, "{statistics:?}");
    assert!(statistics.entries >= 8, "{statistics:?}");
    assert!(scene.is_hit("eth_getCode", at(99)).await, "the newest is there");
    assert!(!scene.is_hit("eth_getCode", at(1)).await, "the longest without use has gone");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_no_room_at_all_is_given_and_not_kept() {
    let scene = Scene::with(Script::saying(json!(format!("0x{}", "ab".repeat(5_000)))), |layer| {
        layer.with_max_bytes(5_000)
    });
    for _ in 0..3 {
        scene.ask("eth_getCode", at(1)).await;
    }
    assert!(scene.store.statistics().bytes <= 5_000);
}

/// Which of these are still known; each is asked once if not.
async fn known(scene: &Scene, questions: &[(&'static str, Value)]) -> Vec<bool> {
    let mut known = Vec::new();
    for (method, params) in questions {
        known.push(scene.is_hit(method, params.clone()).await);
    }
    known
}

#[tokio::test(start_paused = true)]
async fn it_forgets_all() {
    let scene = scene();
    let all = [("eth_getBalance", at(5)), ("eth_call", at(HEAD)), ("eth_chainId", json!([]))];
    known(&scene, &all).await;
    assert_eq!(known(&scene, &all).await, [true; 3]);
    let peak = scene.store.statistics().bytes;
    assert_eq!(scene.store.clear(), 3);
    let statistics = scene.store.statistics();
    assert_eq!((statistics.entries, statistics.bytes), (0, 0));
    assert_eq!((statistics.peak_bytes, peak > 0), (peak, true));
    assert_eq!(known(&scene, &all).await, [false; 3]);
    assert_eq!(known(&scene, &all).await, [true; 3]);
}

#[tokio::test(start_paused = true)]
async fn it_forgets_by_method_and_by_pattern() {
    let scene = scene();
    let all = [("eth_getBalance", at(5)), ("eth_getCode", at(5)), ("eth_call", at(5))];
    for (pattern, left) in [
        ("eth_getCode", [true, false, true]),
        ("eth_get*", [false, false, true]),
        ("*", [false; 3]),
        ("*all", [true, true, false]),
        ("eth_getcode", [true; 3]),
        ("", [true; 3]),
        ("eth", [true; 3]),
    ] {
        known(&scene, &all).await;
        let gone = left.iter().filter(|is_left| !**is_left).count() as u64;
        assert_eq!(scene.store.clear_methods(pattern), gone, "{pattern}");
        assert_eq!(known(&scene, &all).await, left, "{pattern}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_forgets_by_block_and_by_range() {
    let scene = scene();
    let all = [
        ("eth_getBalance", at(5)),
        ("eth_getBalance", at(6)),
        ("eth_getBalance", at(HEAD)),
        ("eth_getLogs", logs(4, 8)),
        ("eth_getLogs", logs(7, 9)),
        ("eth_getBalance", json!([ACCOUNT, "earliest"])),
        ("eth_chainId", json!([])),
    ];
    for (range, left) in [
        (6..=6, [true, false, true, false, true, true, true]),
        (0..=4, [true, true, true, false, true, false, true]),
        (9..=HEAD - 1, [true, true, true, true, false, true, true]),
        (HEAD..=u64::MAX, [true, true, false, true, true, true, true]),
        (0..=u64::MAX, [false, false, false, false, false, false, true]),
        (10..=20, [true; 7]),
    ] {
        known(&scene, &all).await;
        let gone = left.iter().filter(|is_left| !**is_left).count() as u64;
        assert_eq!(scene.store.clear_blocks(range.clone()), gone, "{range:?}");
        assert_eq!(known(&scene, &all).await, left, "{range:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_tells_its_block_is_forgotten_with_it_however_it_was_asked_for() {
    let scene = Scene::new(Script::new(|method, _| match method {
        "eth_getBlockByHash" => Ok(block_json(5, hash(5), hash(4))),
        _ => {
            Ok(json!({ "transactionHash": hash(77), "blockNumber": hex(5), "blockHash": hash(5) }))
        }
    }));
    let all = [
        ("eth_getTransactionReceipt", json!([hash(77)])),
        ("eth_getBlockByHash", json!([hash(5), false])),
    ];
    known(&scene, &all).await;
    scene.store.clear_blocks(5..=5);
    assert_eq!(known(&scene, &all).await, [false; 2]);
}

#[tokio::test(start_paused = true)]
async fn it_forgets_what_one_endpoint_answered() {
    let scene = scene();
    let b = scene.heads.enrol("b".into());
    b.saw(&Sighting::block_number(HEAD));
    let script = Script::saying(json!("0x1")).by(Some("b"));
    let layer = BlockCacheLayer::new().with_chain_id(1).with_store(scene.store.clone());
    let by_b = layer.with_heads(scene.heads.clone()).layer(script);
    scene.ask("eth_getBalance", at(5)).await;
    call(&by_b, packet(1, "eth_getBalance", at(6))).await.unwrap();
    let all = [("eth_getBalance", at(5)), ("eth_getBalance", at(6))];
    assert_eq!(known(&scene, &all).await, [true; 2]);
    assert_eq!(scene.store.clear_endpoint(&"c".into()), 0);
    assert_eq!(known(&scene, &all).await, [true; 2]);
    assert_eq!(scene.store.clear_endpoint(&"b".into()), 1);
    assert_eq!(known(&scene, &all).await, [true, false]);
    // So it is when it was found to be on another chain.
    scene.store.clear_methods("eth_getBalance");
    scene.ask("eth_getBalance", at(5)).await;
    call(&by_b, packet(1, "eth_getBalance", at(6))).await.unwrap();
    b.distrust();
    assert_eq!(known(&scene, &all).await, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_miss_that_is_in_flight_when_something_is_cleared_is_not_kept() {
    let clears: [fn(&BlockCache) -> u64; 4] = [
        BlockCache::clear,
        |store| store.clear_methods("eth_getCode"),
        |store| store.clear_blocks(5..=5),
        |store| store.clear_endpoint(&"a".into()),
    ];
    for clear in clears {
        let (transport, mut upstream) = mock();
        let layer = BlockCacheLayer::new().with_chain_id(1);
        let (cached, store) = (layer.layer(transport), layer.store());
        for id in 1..=2 {
            let asked = cached.clone();
            let question = packet(id, "eth_getCode", json!([ACCOUNT, hash(5)]));
            let asking = tokio::spawn(async move { call(&asked, question).await });
            sleep(Duration::from_millis(1)).await;
            clear(&store);
            upstream.expect(&[(id, "eth_getCode")]).await.answer(answer(id, "0x"));
            asking.await.unwrap().unwrap();
        }
        assert_eq!(store.statistics().entries, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_after_a_clear_does_not_get_what_was_on_its_way_before() {
    let (transport, mut upstream) = mock();
    let layer = BlockCacheLayer::new().with_chain_id(1);
    let (cached, store) = (layer.layer(transport), layer.store());
    let ask = |id| {
        let cached = cached.clone();
        tokio::spawn(async move {
            call(&cached, packet(id, "eth_getCode", json!([ACCOUNT, hash(5)]))).await
        })
    };
    let before = ask(1);
    sleep(Duration::from_millis(1)).await;
    store.clear();
    let after = ask(2);
    sleep(Duration::from_millis(1)).await;
    upstream.expect(&[(1, "eth_getCode")]).await.answer(answer(1, "0x01"));
    before.await.unwrap().unwrap();
    assert!(!upstream.is_idle(), "the endpoint may have been the reason for the clear");
    upstream.expect(&[(2, "eth_getCode")]).await.answer(answer(2, "0x02"));
    after.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_chains_in_one_store_do_not_mix() {
    let store = BlockCache::new(1 << 20);
    let of_chain = |chain_id: u64| {
        let script = Script::saying(json!(hex(chain_id)));
        let layer = BlockCacheLayer::new().with_chain_id(chain_id).with_store(store.clone());
        (layer.layer(script.clone()), script)
    };
    let ((one, first), (other, second)) = (of_chain(1), of_chain(10));
    let params = json!([ACCOUNT, { "blockHash": hash(5) }]);
    for _ in 0..2 {
        assert_eq!(stage::ask(&one, "eth_getCode", params.clone()).await, hex(1));
        assert_eq!(stage::ask(&other, "eth_getCode", params.clone()).await, hex(10));
    }
    assert_eq!((first.calls(), second.calls(), store.statistics().entries), (1, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_reorg_of_one_chain_takes_nothing_of_another_in_the_same_store() {
    let one = scene();
    let store = one.store.clone();
    let other = Scene::with(Script::saying(json!("0x1")), |layer| {
        layer.with_store(store).with_chain_id(10)
    });
    assert!(one.keeps("eth_getBalance", at(HEAD)).await);
    assert!(other.keeps("eth_getBalance", at(HEAD)).await);
    one.a.saw(&Sighting::block_number(FINAL));
    assert!(other.is_hit("eth_getBalance", at(HEAD)).await);
    assert!(!one.is_hit("eth_getBalance", at(HEAD)).await);
}

#[tokio::test(start_paused = true)]
async fn pipelines_of_one_chain_share_what_is_kept() {
    let one = scene();
    let store = one.store.clone();
    let other = Scene::with(Script::saying(json!("0x1")), |layer| layer.with_store(store));
    for params in [at(5), at(HEAD)] {
        assert!(one.keeps("eth_getBalance", params.clone()).await);
        assert!(other.is_hit("eth_getBalance", params).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_on_another_fork_is_not_given_what_it_does_not_see() {
    let one = scene();
    let store = one.store.clone();
    let other = Scene::with(Script::saying(json!("0x2")), |layer| {
        layer.with_store(store).with_pinned_latest(Duration::from_secs(60))
    });
    let fork = alclad_core::SightedBlock::new(HEAD, stage::hash_on(1, HEAD));
    other.a.saw(&Sighting::of_block(fork.with_parent(hash(HEAD - 1))));
    assert!(one.keeps("eth_getBalance", at(HEAD)).await);
    assert_eq!(other.ask("eth_getBalance", at(HEAD)).await, json!("0x2"));
}

#[tokio::test(start_paused = true)]
async fn latest_of_a_pipeline_on_another_fork_is_not_given() {
    let pinned = |layer: BlockCacheLayer| layer.with_pinned_latest(Duration::from_secs(60));
    let one = Scene::with(Script::saying(json!("0x1")), pinned);
    let store = one.store.clone();
    let other = Scene::with(Script::saying(json!("0x2")), |layer| pinned(layer.with_store(store)));
    // Each has seen as many reorgs, and stands on a branch of its own.
    for (scene, branch) in [(&one, 1), (&other, 2)] {
        let fork = alclad_core::SightedBlock::new(HEAD, stage::hash_on(branch, HEAD));
        scene.a.saw(&Sighting::of_block(fork.with_parent(hash(HEAD - 1))));
    }
    let latest = json!([ACCOUNT, "latest"]);
    assert_eq!(one.ask("eth_getBalance", latest.clone()).await, json!("0x1"));
    assert_eq!(other.ask("eth_getBalance", latest).await, json!("0x2"));
}

#[tokio::test(start_paused = true)]
async fn a_store_outlives_its_layers_and_heads_hold_no_store() {
    let scene = scene();
    assert!(scene.keeps("eth_getBalance", at(5)).await);
    let Scene { store, heads, cached, script, a } = scene;
    drop(cached);
    assert_eq!(store.statistics().entries, 1);
    drop(store);
    a.saw(&Sighting::block_number(FINAL));
    drop((heads, script));
}

#[tokio::test(start_paused = true)]
async fn what_is_cleared_or_orphaned_while_it_is_being_kept_is_not_kept() {
    let shown = newest(SightedBlock::new(HEAD, hash_on(1, HEAD)));
    let acts: [fn(&BlockCache, &Lookout, &Sighting); 2] =
        [|store, _, _| _ = store.clear(), |_, lookout, shown| _ = lookout.saw(shown)];
    for act in acts {
        let store = BlockCache::new(1 << 20);
        let (own, lookout) = (store.clone(), Arc::new(OnceLock::<Lookout>::new()));
        let (seen, shown) = (Arc::clone(&lookout), shown);
        let lifetime = move |_: &Subject| {
            act(&own, seen.get().unwrap(), &shown);
            Keep::UntilEvicted
        };
        let scene = Scene::with(Script::saying(json!("0x1")), |layer| {
            layer.with_store(store).with_lifetime(lifetime)
        });
        lookout.set(scene.a.clone()).unwrap_or_else(|_| panic!("it is set once"));
        scene.ask("eth_getBalance", at(5)).await;
        assert_eq!(scene.store.statistics().entries, 0);
    }
}
