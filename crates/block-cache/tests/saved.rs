//! What is saved to a file, and what is taken from one.

mod stage;

use alclad_block_cache::{BlockCache, FileError, Keep, Subject};
use alclad_testkit::{answer, mock};
use serde_json::{Value, json, value::RawValue};
use stage::{HEAD, Scene, Script, Stage, call, hash, hex, packet};
use std::{fs, path::PathBuf, time::Duration};
use tokio::time::advance;
use tower::Layer;

const ACCOUNT: &str = "0xabababababababababababababababababababab";

fn at(number: u64) -> Value {
    json!([ACCOUNT, hex(number)])
}

fn scene() -> Scene {
    Scene::new(Script::saying(json!("0x1")))
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("cache")
    }
}

/// A file with three answers.
async fn saved() -> (Place, Vec<u8>) {
    let place = Place::new();
    let scene = scene();
    for params in [at(5), at(6), json!([ACCOUNT, hash(7)])] {
        scene.ask("eth_getBalance", params).await;
    }
    assert_eq!(scene.store.save(place.path(), 1).unwrap(), 3);
    let bytes = fs::read(place.path()).unwrap();
    (place, bytes)
}

#[tokio::test(start_paused = true)]
async fn what_was_saved_is_there_again() {
    let stage = Stage::new();
    stage.look().await;
    let mut questions = Vec::new();
    for number in (10..=130).step_by(10) {
        let at = hex(number);
        questions.push(("eth_getBlockByNumber", json!([at, true])));
        questions.push(("eth_getBlockReceipts", json!([at])));
        questions.push(("eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": at }])));
    }
    questions.push(("eth_getTransactionReceipt", json!([stage.transaction_from(20).0])));
    questions.push(("eth_chainId", json!([])));
    for (method, params) in &questions {
        stage.ask(method, params.clone()).await;
    }
    let place = Place::new();
    let count = stage.store.save(place.path(), 1).unwrap();
    assert_eq!(count, questions.len());
    let other = Stage::new();
    assert_eq!(other.store.load(place.path(), 1).unwrap(), count);
    assert_eq!(other.store.statistics().entries, count as u64);
    for (method, params) in &questions {
        assert!(other.is_hit(method, params.clone()).await, "{method} {params}");
    }
    let again = Place::new();
    assert_eq!(other.store.save(again.path(), 1).unwrap(), count);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_final_is_saved() {
    let scene = scene();
    for params in [at(5), at(HEAD), at(HEAD - 1), json!([ACCOUNT, hash(7)])] {
        scene.ask("eth_getBalance", params).await;
    }
    assert_eq!(scene.store.statistics().entries, 4);
    let place = Place::new();
    assert_eq!(scene.store.save(place.path(), 1).unwrap(), 2);
    let other = BlockCache::new(1 << 20);
    assert_eq!(other.load(place.path(), 1).unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn only_this_chain_is_saved_and_another_chains_file_is_refused() {
    let one = scene();
    let store = one.store.clone();
    let other = Scene::with(Script::saying(json!("0x2")), |layer| {
        layer.with_chain_id(10).with_store(store)
    });
    one.ask("eth_getBalance", at(5)).await;
    other.ask("eth_getBalance", at(5)).await;
    other.ask("eth_getBalance", at(6)).await;
    let place = Place::new();
    assert_eq!(one.store.save(place.path(), 1).unwrap(), 1);
    let fresh = BlockCache::new(1 << 20);
    let refused = fresh.load(place.path(), 10).unwrap_err();
    assert!(matches!(refused, FileError::OtherChain { expected: 10, found: 1, .. }), "{refused}");
    assert_eq!(fresh.statistics().entries, 0);
    assert_eq!(one.store.save(place.path(), 10).unwrap(), 2);
    assert_eq!(fresh.load(place.path(), 10).unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_cut_short_anywhere_is_refused_without_harm() {
    let (place, bytes) = saved().await;
    let store = BlockCache::new(1 << 20);
    for length in 0..bytes.len() {
        fs::write(place.path(), &bytes[..length]).unwrap();
        let refused = store.load(place.path(), 1).unwrap_err();
        assert!(matches!(refused, FileError::Altered), "{length}: {refused:?}");
        assert_eq!(store.statistics().entries, 0, "{length}");
    }
    let mut longer = bytes.clone();
    longer.push(b'\n');
    fs::write(place.path(), longer).unwrap();
    assert!(store.load(place.path(), 1).is_err());
    fs::write(place.path(), [&bytes[..], &bytes[..]].concat()).unwrap();
    assert!(store.load(place.path(), 1).is_err());
    fs::write(place.path(), bytes).unwrap();
    assert_eq!(store.load(place.path(), 1).unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_file_in_which_any_bit_was_flipped_is_refused_without_harm() {
    let (place, bytes) = saved().await;
    let store = BlockCache::new(1 << 20);
    for index in 0..bytes.len() {
        for bit in 0..8 {
            let mut altered = bytes.clone();
            altered[index] ^= 1 << bit;
            fs::write(place.path(), &altered).unwrap();
            let loaded = store.load(place.path(), 1);
            let text = String::from_utf8_lossy(&altered[index.saturating_sub(20)..=index]);
            assert!(loaded.is_err(), "byte {index}, bit {bit}: {text}");
            assert_eq!(store.statistics().entries, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lines_that_are_missing_doubled_or_swapped_are_noticed() {
    let (place, bytes) = saved().await;
    let lines: Vec<_> = std::str::from_utf8(&bytes).unwrap().lines().collect();
    let store = BlockCache::new(1 << 20);
    let forms = [
        vec![lines[0], lines[1], lines[2], lines[4]],
        vec![lines[0], lines[1], lines[2], lines[3], lines[3], lines[4]],
        vec![lines[0], lines[2], lines[1], lines[3], lines[4]],
        vec![lines[0], lines[4]],
        vec![lines[4]],
        vec![],
    ];
    for form in forms {
        fs::write(place.path(), form.join("\n") + "\n").unwrap();
        let refused = store.load(place.path(), 1).unwrap_err();
        assert!(matches!(refused, FileError::Altered), "{refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_file_leaves_what_is_there() {
    let (place, bytes) = saved().await;
    let scene = scene();
    assert!(scene.keeps("eth_getBalance", at(99)).await);
    fs::write(place.path(), &bytes[..bytes.len() / 2]).unwrap();
    scene.store.load(place.path(), 1).unwrap_err();
    assert_eq!(scene.store.statistics().entries, 1);
    assert!(scene.is_hit("eth_getBalance", at(99)).await);
}

#[test]
fn a_file_that_is_missing_or_none_of_ours_is_an_error() {
    let place = Place::new();
    let store = BlockCache::new(1 << 20);
    assert!(matches!(store.load(place.path(), 1).unwrap_err(), FileError::Io(_)));
    assert!(matches!(store.load(place.0.path(), 1).unwrap_err(), FileError::Io(_)));
    for text in ["", "\n", "\n\n", "{}", "{}\n{}\n", "[]\n[]\n", "\0\0\0\n", "null\nnull\nnull\n"] {
        fs::write(place.path(), text).unwrap();
        assert!(matches!(store.load(place.path(), 1).unwrap_err(), FileError::Altered), "{text:?}");
    }
    fs::write(place.path(), [0xff, 0xfe, b'\n']).unwrap();
    assert!(matches!(store.load(place.path(), 1).unwrap_err(), FileError::Altered));
}

#[test]
fn nothing_to_save_is_a_file_too() {
    let place = Place::new();
    let store = BlockCache::new(1 << 20);
    assert_eq!(store.save(place.path(), 1).unwrap(), 0);
    assert_eq!(store.load(place.path(), 1).unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_written_leaves_the_old_one() {
    let (place, bytes) = saved().await;
    fs::create_dir(place.0.path().join("cache.new")).unwrap();
    let refused = scene().store.save(place.path(), 1).unwrap_err();
    assert!(matches!(refused, FileError::Io(_)));
    assert_eq!(fs::read(place.path()).unwrap(), bytes);
    assert!(scene().store.save(place.0.path().join("nowhere/cache"), 1).is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_on_disk_is_replaced_as_a_whole() {
    let (place, _) = saved().await;
    let scene = scene();
    scene.ask("eth_getBalance", at(1)).await;
    assert_eq!(scene.store.save(place.path(), 1).unwrap(), 1);
    let names: Vec<_> =
        fs::read_dir(place.0.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["cache"]);
    assert_eq!(BlockCache::new(1 << 20).load(place.path(), 1).unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_is_not_saved() {
    let policy = |_: &Subject<'_>| Keep::For(Duration::from_secs(10));
    let scene = Scene::with(Script::saying(json!("0x1")), |layer| layer.with_lifetime(policy));
    assert!(scene.keeps("eth_getBalance", at(5)).await);
    advance(Duration::from_secs(20)).await;
    let place = Place::new();
    scene.store.save(place.path(), 1).unwrap();
    let other = Scene::new(Script::saying(json!("0x2")));
    other.store.load(place.path(), 1).unwrap();
    assert!(!other.is_hit("eth_getBalance", at(5)).await);
}

#[tokio::test(start_paused = true)]
async fn what_may_be_kept_for_a_time_only_is_not_kept_for_ever_by_a_file() {
    let policy = |_: &Subject<'_>| Keep::For(Duration::from_secs(10));
    let with_policy =
        || Scene::with(Script::saying(json!("0x1")), |layer| layer.with_lifetime(policy));
    let scene = with_policy();
    assert!(scene.keeps("eth_getBalance", at(5)).await);
    let place = Place::new();
    scene.store.save(place.path(), 1).unwrap();
    let other = with_policy();
    other.store.load(place.path(), 1).unwrap();
    advance(Duration::from_secs(20)).await;
    assert!(!other.is_hit("eth_getBalance", at(5)).await);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_spans_lines_is_saved_and_read() {
    let (transport, mut upstream) = mock();
    let layer = alclad_block_cache::BlockCacheLayer::new().with_chain_id(1);
    let (cached, store) = (layer.layer(transport), layer.store());
    let question = || packet(1, "eth_getProof", json!([ACCOUNT, [], hash(5)]));
    let pretty = "{\n  \"balance\": \"0x1\",\r\n\t\"text\": \"a\\nb\"\n}";
    let asked = cached.clone();
    let asking = tokio::spawn(async move { call(&asked, question()).await });
    let raw = RawValue::from_string(pretty.to_owned()).unwrap();
    upstream.expect(&[(1, "eth_getProof")]).await.answer(answer(1, raw));
    asking.await.unwrap().unwrap();
    let place = Place::new();
    assert_eq!(store.save(place.path(), 1).unwrap(), 1);
    let other = alclad_block_cache::BlockCacheLayer::new().with_chain_id(1);
    assert_eq!(other.store().load(place.path(), 1).unwrap(), 1);
    let (transport, _upstream) = mock();
    let again = call(&other.layer(transport), question()).await.unwrap();
    let text = again.responses()[0].payload.as_success().unwrap().get();
    let expected: Value = serde_json::from_str(pretty).unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn what_was_loaded_is_forgotten_by_method_and_by_block() {
    let (place, _) = saved().await;
    let store = BlockCache::new(1 << 20);
    store.load(place.path(), 1).unwrap();
    store.clear_blocks(6..=6);
    assert_eq!(store.statistics().entries, 2);
    store.clear_methods("eth_getBal*");
    assert_eq!(store.statistics().entries, 0);
    let scene = scene();
    scene.ask("eth_getLogs", json!([{ "fromBlock": "0x3", "toBlock": "0x8" }])).await;
    scene.store.save(place.path(), 1).unwrap();
    store.load(place.path(), 1).unwrap();
    store.clear_blocks(4..=4);
    assert_eq!(store.statistics().entries, 0);
}
