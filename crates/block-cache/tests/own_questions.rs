//! What a cache asks by itself: which chain it is, and which block is final.

mod stage;

use alclad_block_cache::{BlockCacheLayer, BlockCacheService};
use alclad_core::{ChainBaseline, Heads};
use alclad_testkit::{Disruption, ErrorObject, SimChain, SimNode, SimTransport, batch, single};
use serde_json::{Value, json};
use stage::{Script, ask, block_json, call, hash, hex, request};
use std::time::Duration;
use tokio::time::{Instant, advance, timeout};
use tower::Layer;

const ACCOUNT: &str = "0xabababababababababababababababababababab";

fn alone() -> (SimNode, BlockCacheService<SimTransport>) {
    let chain = SimChain::new(7);
    chain.mine(200);
    let node = SimNode::new(&chain);
    let cached = BlockCacheLayer::new().layer(node.transport());
    (node, cached)
}

fn at(node: &SimNode, number: u64) -> Value {
    json!([node.chain().accounts()[0], hex(number)])
}

#[tokio::test(start_paused = true)]
async fn the_chain_is_asked_for_once_by_the_first_that_may_be_kept() {
    let (node, cached) = alone();
    ask(&cached, "eth_gasPrice", json!([])).await;
    assert_eq!(node.calls("eth_chainId"), 0);
    let calls = (0..50).map(|number| ask(&cached, "eth_getBalance", at(&node, number)));
    futures::future::join_all(calls).await;
    ask(&cached, "eth_getBalance", at(&node, 60)).await;
    assert_eq!(node.calls("eth_chainId"), 1);
    assert_eq!(node.calls("eth_getBlockByNumber"), 1, "and what is final");
    assert_eq!(node.calls("eth_getBalance"), 51);
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_is_known_is_not_asked_for() {
    let chain = SimChain::new(7);
    let node = SimNode::new(&chain);
    let learnt = ChainBaseline::new();
    learnt.learn(1);
    for layer in [
        BlockCacheLayer::new().with_chain_id(1),
        BlockCacheLayer::new().with_baseline(ChainBaseline::expecting(1)),
        BlockCacheLayer::new().with_baseline(learnt),
    ] {
        let cached = layer.layer(node.transport());
        ask(&cached, "eth_getBlockByHash", json!([chain.block(0).unwrap().header.hash, true]))
            .await;
    }
    assert_eq!(node.calls("eth_chainId"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_final_is_asked_again_after_an_epoch_and_not_before() {
    let (node, cached) = alone();
    ask(&cached, "eth_getBalance", at(&node, 1)).await;
    node.chain().mine(40);
    // Deeper than what was final, and not near to the head that it knows.
    ask(&cached, "eth_blockNumber", json!([])).await;
    node.reset_counters();
    ask(&cached, "eth_getBalance", at(&node, 150)).await;
    assert_eq!(node.calls("eth_getBlockByNumber"), 0);
    advance(Duration::from_secs(32 * 12)).await;
    ask(&cached, "eth_getBalance", at(&node, 151)).await;
    assert_eq!(node.calls("eth_getBlockByNumber"), 1);
    ask(&cached, "eth_getBalance", at(&node, 152)).await;
    ask(&cached, "eth_getBalance", at(&node, 152)).await;
    assert_eq!((node.calls("eth_getBlockByNumber"), node.calls("eth_getBalance")), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn without_heads_what_is_final_and_what_names_its_hash_is_kept() {
    let (node, cached) = alone();
    let hash = node.chain().block(200).unwrap().header.hash;
    ask(&cached, "eth_getBalance", at(&node, 2)).await;
    let questions = [
        ("eth_getBalance", at(&node, 1), true),
        ("eth_getBalance", json!([ACCOUNT, { "blockHash": hash }]), true),
        ("eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": hex(136) }]), true),
        ("eth_getBalance", at(&node, 137), false),
        ("eth_getBalance", at(&node, 200), false),
        ("eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": hex(137) }]), false),
    ];
    for (method, params, is_kept) in questions {
        ask(&cached, method, params.clone()).await;
        node.reset_counters();
        ask(&cached, method, params.clone()).await;
        assert_eq!(node.total_calls() == 0, is_kept, "{method} {params}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_id_that_cannot_be_had_is_asked_for_again_and_hurts_nobody() {
    let (node, cached) = alone();
    node.set(Disruption::rpc_error(-32601, "no such method").on("eth_chainId"));
    for round in 1..=3 {
        ask(&cached, "eth_getBalance", at(&node, 1)).await;
        assert_eq!(node.calls("eth_chainId"), round);
    }
    node.clear();
    ask(&cached, "eth_getBalance", at(&node, 1)).await;
    node.reset_counters();
    ask(&cached, "eth_getBalance", at(&node, 1)).await;
    assert_eq!(node.total_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_chain_id_that_is_none_is_not_believed() {
    for nonsense in [json!(null), json!("1"), json!("0x"), json!({}), json!("0x10000000000000000")]
    {
        let said = nonsense.clone();
        let script = Script::new(move |method, _| match method {
            "eth_chainId" => Ok(said.clone()),
            _ => Ok(json!("0x1")),
        });
        let cached = BlockCacheLayer::new().layer(script.clone());
        for _ in 0..2 {
            ask(&cached, "eth_getCode", json!([ACCOUNT, { "blockHash": hash(5) }])).await;
        }
        assert_eq!(script.count("eth_getCode"), 2, "{nonsense}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_final_may_be_unknown_to_the_node() {
    let script = Script::new(|method, params| match (method, &params[0]) {
        ("eth_getBlockByNumber", tag) if *tag == json!("finalized") => {
            Err(ErrorObject::new(-32602, "unknown tag"))
        }
        ("eth_blockNumber", _) => Ok(json!("0x3e8")),
        _ => Ok(json!("0x1")),
    });
    let cached = BlockCacheLayer::new().with_chain_id(1).layer(script.clone());
    ask(&cached, "eth_blockNumber", json!([])).await;
    for number in [5, 1000 - 128] {
        ask(&cached, "eth_getBalance", json!([ACCOUNT, hex(number)])).await;
        let before = script.calls();
        ask(&cached, "eth_getBalance", json!([ACCOUNT, hex(number)])).await;
        assert_eq!(script.calls(), before, "{number} is deep");
    }
    ask(&cached, "eth_getBalance", json!([ACCOUNT, hex(1000 - 127)])).await;
    let before = script.calls();
    ask(&cached, "eth_getBalance", json!([ACCOUNT, hex(1000 - 127)])).await;
    assert!(script.calls() > before);
}

#[tokio::test(start_paused = true)]
async fn an_answer_does_not_wait_for_a_question_of_the_caches_own_that_hangs() {
    for method in ["eth_chainId", "eth_getBlockByNumber"] {
        let (node, cached) = alone();
        node.set(Disruption::BlackHole.on(method));
        let begin = Instant::now();
        let answer =
            timeout(Duration::from_secs(600), ask(&cached, "eth_getBalance", at(&node, 1)));
        assert!(answer.await.is_ok(), "{method} hangs, and the answer with it");
        assert!(begin.elapsed() <= Duration::from_secs(15), "{method}: {:?}", begin.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn nor_does_anybody_else_wait_for_it() {
    let (node, cached) = alone();
    node.set(Disruption::BlackHole.on("eth_chainId").times(1));
    let first = tokio::spawn({
        let (cached, params) = (cached.clone(), at(&node, 1));
        async move { ask(&cached, "eth_getBalance", params).await }
    });
    advance(Duration::from_secs(1)).await;
    let second = ask(&cached, "eth_getBalance", at(&node, 2));
    assert!(timeout(Duration::from_secs(60), second).await.is_ok());
    first.abort();
}

#[tokio::test(start_paused = true)]
async fn a_deadline_holds_for_the_caches_own_questions_too() {
    let patience = Duration::from_millis(500);
    for put in [single, |request| batch([request])] {
        let (node, cached) = alone();
        node.set(Disruption::BlackHole.on("eth_chainId"));
        let mut question = request(1, "eth_getBalance", at(&node, 1));
        let options = alclad_core::CallOptions::new().with_timeout(patience);
        question.meta_mut().extensions_mut().insert(options);
        let begin = Instant::now();
        let answer = call(&cached, put(question)).await;
        assert!(begin.elapsed() <= patience, "it waits past the deadline: {:?}", begin.elapsed());
        assert!(answer.unwrap().is_success(), "the answer was there in time");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_drops_its_own_questions_and_the_next_asks_them() {
    let (node, cached) = alone();
    node.set(Disruption::BlackHole);
    let first = tokio::spawn({
        let (cached, params) = (cached.clone(), at(&node, 1));
        async move { ask(&cached, "eth_getBalance", params).await }
    });
    advance(Duration::from_millis(1)).await;
    tokio::task::yield_now().await;
    first.abort();
    let _ = first.await;
    assert_eq!(node.in_flight(), 0);
    node.clear();
    advance(Duration::from_secs(12)).await;
    ask(&cached, "eth_getBalance", at(&node, 1)).await;
    ask(&cached, "eth_getBalance", at(&node, 1)).await;
    node.reset_counters();
    ask(&cached, "eth_getBalance", at(&node, 1)).await;
    assert_eq!(node.total_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_final_is_asked_again_soon_if_it_could_not_be_had() {
    let (node, cached) = alone();
    node.set(Disruption::LoseAnswer.on("eth_getBlockByNumber").times(1));
    ask(&cached, "eth_getBalance", at(&node, 1)).await;
    advance(Duration::from_secs(60)).await;
    for _ in 0..2 {
        node.reset_counters();
        ask(&cached, "eth_getBalance", at(&node, 1)).await;
    }
    assert_eq!(node.total_calls(), 0, "one hiccup costs an epoch without a cache");
}

#[tokio::test(start_paused = true)]
async fn a_batch_asks_them_too_and_once() {
    let (node, cached) = alone();
    let questions = (0..5).map(|id| request(id, "eth_getBalance", at(&node, id)));
    let questions: Vec<_> = questions.collect();
    call(&cached, batch(questions.clone())).await.unwrap();
    call(&cached, batch(questions.clone())).await.unwrap();
    assert_eq!((node.calls("eth_chainId"), node.calls("eth_getBlockByNumber")), (1, 1));
    node.reset_counters();
    call(&cached, batch(questions)).await.unwrap();
    assert_eq!(node.total_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn with_heads_that_know_it_nothing_is_asked() {
    let heads = Heads::new();
    let a = heads.enrol("a".into());
    let mut final_block = alclad_core::Sighting::block_number(1000);
    final_block.finalized = Some(900);
    a.saw(&final_block);
    let script = Script::saying(json!("0x1"));
    let cached = BlockCacheLayer::new().with_chain_id(1).with_heads(heads).layer(script.clone());
    for number in [5, 900, 950, 1000] {
        ask(&cached, "eth_getBalance", json!([ACCOUNT, hex(number)])).await;
    }
    assert_eq!((script.count("eth_getBlockByNumber"), script.calls()), (0, 4));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_its_own_question_under_another_id_is_not_believed() {
    let script = Script::new(|method, params| match method {
        "eth_chainId" => Ok(json!("0x1")),
        _ if params[0] == json!("finalized") => Ok(block_json(900, hash(900), hash(899))),
        _ => Ok(json!("0x1")),
    });
    let service = tower::util::MapFuture::new(script.clone(), foreign as fn(_) -> _);
    let cached = BlockCacheLayer::new().layer(service);
    for _ in 0..3 {
        let params = json!([ACCOUNT, { "blockHash": hash(5) }]);
        call(&cached, stage::packet(1, "eth_getCode", params)).await.unwrap();
    }
    assert_eq!(script.count("eth_getCode"), 3, "no chain id was told to it");
}

type Answering = alloy_transport::TransportFut<'static>;

/// Another caller's answer, as a connection that mixes them up gives it.
fn foreign(answer: Answering) -> Answering {
    Box::pin(async move {
        let mut answer = answer.await?;
        if let alloy_json_rpc::ResponsePacket::Single(response) = &mut answer
            && response.id.is_string()
        {
            response.id = alloy_json_rpc::Id::Number(77);
        }
        Ok(answer)
    })
}

#[tokio::test(start_paused = true)]
async fn without_heads_what_lies_above_what_was_shown_is_not_kept() {
    // Behind one URL are two nodes: one at 50, and one at 115.
    let script = Script::new(|method, params| {
        Ok(match (method, params[0].as_str()) {
            ("eth_blockNumber", _) => json!("0x32"),
            ("eth_getLogs", _) => json!([]),
            ("eth_getBlockByNumber", Some("finalized")) => block_json(110, hash(110), hash(109)),
            _ => json!("0x1"),
        })
    })
    .slow(Duration::from_millis(10));
    let cached = BlockCacheLayer::new().with_chain_id(1).layer(script.clone());
    ask(&cached, "eth_blockNumber", json!([])).await;
    let logs = json!([{ "fromBlock": "0x1", "toBlock": "0x64" }]);
    for _ in 0..2 {
        ask(&cached, "eth_getLogs", logs.clone()).await;
    }
    assert_eq!(script.count("eth_getLogs"), 2);
}
