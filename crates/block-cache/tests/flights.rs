//! Equal calls in flight are one.

mod stage;

use alclad_block_cache::{BlockCacheLayer, BlockCacheService};
use alclad_core::{
    CallOptions,
    error::{DeadlineExceeded, cause},
};
use alclad_rotation::{Endpoint, Rotation};
use alclad_testkit::{
    Disruption, MockUpstream, SimChain, SimNode, StrictTransport, answer, assert_ids, batch, error,
    mock, single,
};
use alloy_json_rpc::{RequestPacket, ResponsePacket, SerializedRequest};
use alloy_transport::{TransportError, TransportErrorKind};
use serde_json::json;
use stage::{Stage, call, request};
use std::time::Duration;
use tokio::{
    task::JoinHandle,
    time::{Instant, advance, sleep},
};
use tower::{Layer, Service, ServiceExt};

type Cached = BlockCacheService<StrictTransport>;
type Call = JoinHandle<Result<ResponsePacket, TransportError>>;

fn layered() -> (Cached, MockUpstream) {
    let (transport, upstream) = mock();
    (BlockCacheLayer::new().with_chain_id(1).layer(transport), upstream)
}

/// A question whose answer is kept at once.
fn code(id: u64, block: u8) -> SerializedRequest {
    let hash = format!("0x{}", format!("{block:02x}").repeat(32));
    request(id, "eth_getCode", json!(["0xabababababababababababababababababababab", hash]))
}

fn with(mut request: SerializedRequest, options: CallOptions) -> SerializedRequest {
    request.meta_mut().extensions_mut().insert(options);
    request
}

fn start(cached: &Cached, packet: RequestPacket) -> Call {
    tokio::spawn(cached.clone().oneshot(packet))
}

/// Lets all tasks run until they wait.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn fifty_equal_calls_are_one_upstream_and_every_caller_has_its_own_id() {
    let (cached, mut upstream) = layered();
    let calls: Vec<_> = (1..=50).map(|id| start(&cached, single(code(id, 1)))).collect();
    settle().await;
    upstream.expect(&[(1, "eth_getCode")]).await.answer(answer(1, "0x01"));
    for (call, id) in calls.into_iter().zip(1..) {
        let answer = call.await.unwrap().unwrap();
        assert_ids(&answer, &[id]);
        assert!(answer.is_success());
    }
    assert!(upstream.is_idle());
}

#[tokio::test(start_paused = true)]
async fn fifty_calls_that_mean_the_same_are_one_however_they_are_written() {
    let stage = Stage::new();
    stage.look().await;
    stage.node.set(Disruption::SlowBy(Duration::from_millis(5)));
    let account = stage.chain.accounts()[0];
    let (lower, upper) = (format!("{account:#x}"), account.to_checksum(None));
    let calls = (0..50).map(|index| {
        let address = if index % 2 == 0 { &lower } else { &upper };
        let block = match index % 3 {
            0 => json!("0x5"),
            1 => json!({ "blockNumber": "0x5" }),
            _ => json!("0x5"),
        };
        stage.ask("eth_getBalance", json!([address, block]))
    });
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(stage.node.total_calls(), 1);
    let count = stage.count();
    assert_eq!((count.misses, count.joined, count.hits), (1, 49, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_equal_calls_of_many_threads_are_one() {
    for round in 0..200 {
        let node = SimNode::new(&SimChain::new(7));
        node.set(Disruption::SlowBy(Duration::from_millis(20)));
        let cached = BlockCacheLayer::new().with_chain_id(1).layer(node.transport());
        let params = json!([node.chain().block(0).unwrap().header.hash, false]);
        let gate = std::sync::Arc::new(tokio::sync::Barrier::new(50));
        let calls: Vec<_> = (0..50)
            .map(|id| {
                let packet = single(request(id, "eth_getBlockByHash", params.clone()));
                let (cached, gate) = (cached.clone(), gate.clone());
                tokio::spawn(async move {
                    gate.wait().await;
                    cached.oneshot(packet).await
                })
            })
            .collect();
        for call in calls {
            assert!(call.await.unwrap().unwrap().is_success());
        }
        assert_eq!(node.total_calls(), 1, "round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_made_before_the_answer_and_polled_after_it_asks_nobody() {
    let (cached, mut upstream) = layered();
    let first = start(&cached, single(code(1, 1)));
    let late = cached.clone().call(single(code(2, 1)));
    // It is on its way from the moment it was made: whoever is polled first brings it home.
    upstream.expect(&[(2, "eth_getCode")]).await.answer(answer(2, "0x01"));
    assert_ids(&first.await.unwrap().unwrap(), &[1]);
    let late = tokio::spawn(late);
    settle().await;
    assert!(upstream.is_idle());
    assert_ids(&late.await.unwrap().unwrap(), &[2]);
}

#[tokio::test(start_paused = true)]
async fn if_the_leader_is_dropped_a_follower_takes_over() {
    let (cached, mut upstream) = layered();
    let leader = start(&cached, single(code(1, 1)));
    settle().await;
    let followers = [2, 3].map(|id| start(&cached, single(code(id, 1))));
    settle().await;
    let asked = upstream.expect(&[(1, "eth_getCode")]).await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    settle().await;
    let joins_later = start(&cached, single(code(4, 1)));
    settle().await;
    asked.answer(answer(1, "0x01"));
    for (call, id) in followers.into_iter().chain([joins_later]).zip(2..) {
        assert_ids(&call.await.unwrap().unwrap(), &[id]);
    }
    assert!(upstream.is_idle(), "it was not asked twice");
}

#[tokio::test(start_paused = true)]
async fn if_all_are_dropped_the_upstream_call_ends_and_the_next_asks_anew() {
    let node = SimNode::new(&SimChain::new(7));
    let cached = BlockCacheLayer::new().with_chain_id(1).layer(node.transport());
    node.set(Disruption::BlackHole);
    let ask = |id| tokio::spawn(cached.clone().oneshot(single(code(id, 1))));
    let calls = [ask(1), ask(2), ask(3)];
    settle().await;
    assert_eq!((node.in_flight(), node.total_calls()), (1, 1));
    for (call, left) in calls.into_iter().zip([1, 1, 0]) {
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        settle().await;
        assert_eq!(node.in_flight(), left);
    }
    node.clear();
    assert!(ask(4).await.unwrap().is_ok());
    assert_eq!(node.total_calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn if_a_batch_is_dropped_its_upstream_call_ends_unless_another_waits_for_a_member() {
    let node = SimNode::new(&SimChain::new(7));
    let cached = BlockCacheLayer::new().with_chain_id(1).layer(node.transport());
    node.set(Disruption::BlackHole);
    let whole = tokio::spawn(cached.clone().oneshot(batch([code(1, 1), code(2, 2)])));
    settle().await;
    let follower = tokio::spawn(cached.clone().oneshot(single(code(3, 2))));
    settle().await;
    assert_eq!((node.in_flight(), node.packets()), (1, 1));
    whole.abort();
    settle().await;
    assert_eq!(node.in_flight(), 1, "the follower wants an answer");
    follower.abort();
    settle().await;
    assert_eq!(node.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_follower_gives_up_at_its_own_deadline() {
    let (cached, mut upstream) = layered();
    let leader = start(&cached, single(code(1, 1)));
    settle().await;
    let begin = Instant::now();
    let options = CallOptions::new().with_timeout(Duration::from_secs(2));
    let follower = start(&cached, single(with(code(2, 1), options)));
    let failure = follower.await.unwrap().unwrap_err();
    assert!(cause::<DeadlineExceeded>(&failure).is_some(), "{failure}");
    assert_eq!(begin.elapsed(), Duration::from_secs(2));
    upstream.expect(&[(1, "eth_getCode")]).await.answer(answer(1, "0x01"));
    assert!(leader.await.unwrap().unwrap().is_success());
    assert!(upstream.is_idle());
}

#[tokio::test(start_paused = true)]
async fn the_scope_of_a_follower_who_polls_first_is_not_the_leaders() {
    let node = SimNode::new(&SimChain::new(7));
    node.set(Disruption::SlowBy(Duration::from_secs(5)));
    let rotation = Rotation::builder().endpoint(Endpoint::new("a", node.transport())).build();
    let layer = BlockCacheLayer::new().with_chain_id(7).with_heads(rotation.heads());
    let mut cached = layer.layer(rotation);
    let leader = cached.call(single(code(1, 1)));
    let hurried = CallOptions::new().with_timeout(Duration::from_secs(1));
    let follower = async move { cached.call(single(code(2, 1))).await };
    let follower = tokio::spawn(hurried.scope(follower));
    settle().await;
    assert!(leader.await.is_ok(), "it has no deadline");
    let gave_up = follower.await.unwrap().unwrap_err();
    assert!(cause::<DeadlineExceeded>(&gave_up).is_some(), "{gave_up}");
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_may_wait_longer_than_the_leader_does_not_join_it() {
    let (cached, mut upstream) = layered();
    let soon = CallOptions::new().with_timeout(Duration::from_secs(2));
    let leader = start(&cached, single(with(code(1, 1), soon)));
    settle().await;
    let patient = start(&cached, single(code(2, 1)));
    settle().await;
    let joins_the_patient = start(&cached, single(code(3, 1)));
    settle().await;
    let first = upstream.expect(&[(1, "eth_getCode")]).await;
    let second = upstream.expect(&[(2, "eth_getCode")]).await;
    assert!(upstream.is_idle());
    first.fail(TransportErrorKind::custom_str("too late"));
    leader.await.unwrap().unwrap_err();
    settle().await;
    let also_joins = start(&cached, single(code(4, 1)));
    settle().await;
    assert!(upstream.is_idle(), "the leader's end has not taken the other flight off the board");
    second.answer(answer(2, "0x01"));
    for call in [patient, joins_the_patient, also_joins] {
        assert!(call.await.unwrap().unwrap().is_success());
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_a_joined_member_of_a_batch_is_the_callers() {
    let (cached, _upstream) = layered();
    let _leader = start(&cached, single(code(1, 1)));
    settle().await;
    let begin = Instant::now();
    let options = CallOptions::new().with_timeout(Duration::from_secs(2));
    let follower = start(&cached, batch([with(code(2, 1), options)]));
    let failure = follower.await.unwrap().unwrap_err();
    assert!(cause::<DeadlineExceeded>(&failure).is_some(), "{failure}");
    assert_eq!(begin.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn an_error_is_shared_and_not_kept() {
    let (cached, mut upstream) = layered();
    let ask = || (1..=5).map(|id| start(&cached, single(code(id, 1)))).collect::<Vec<_>>();
    let calls = ask();
    settle().await;
    upstream.expect(&[(1, "eth_getCode")]).await.answer(error(1, -32000, "header not found"));
    for (call, id) in calls.into_iter().zip(1..) {
        let answer = call.await.unwrap().unwrap();
        assert_ids(&answer, &[id]);
        let error = answer.as_error().unwrap();
        assert_eq!((error.code, &*error.message), (-32000, "header not found"));
    }
    let calls = ask();
    settle().await;
    let refused = TransportErrorKind::http_error(403, "no".to_owned());
    upstream.expect(&[(1, "eth_getCode")]).await.fail(refused);
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        let error = error.as_transport_err().unwrap().as_http_error().unwrap();
        assert_eq!((error.status, &*error.body), (403, "no"));
    }
    let calls = ask();
    settle().await;
    upstream.expect(&[(1, "eth_getCode")]).await.answer(answer(1, "0x"));
    for call in calls {
        assert!(call.await.unwrap().unwrap().is_success());
    }
    assert!(upstream.is_idle());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_is_shared_all_the_same() {
    let (cached, mut upstream) = layered();
    let ask = |id| start(&cached, single(code(id, 1)));
    for _ in 0..2 {
        let calls = [1, 2, 3].map(ask);
        settle().await;
        let packet = upstream.expect(&[(1, "eth_getCode")]).await;
        packet.answer(answer(1, json!(null)));
        for (call, id) in calls.into_iter().zip(1..) {
            assert_ids(&call.await.unwrap().unwrap(), &[id]);
        }
    }
    assert!(upstream.is_idle());
}

#[tokio::test(start_paused = true)]
async fn who_wants_no_cache_or_one_endpoint_asks_for_himself() {
    let (cached, mut upstream) = layered();
    let leader = start(&cached, single(code(1, 1)));
    settle().await;
    let own = [
        CallOptions::new().without_cache(),
        CallOptions::new().pinned_to("b"),
        CallOptions::new().without_retry(),
        CallOptions::new().ignoring_errors(),
    ];
    let calls: Vec<_> = own
        .into_iter()
        .zip(2..)
        .map(|(own, id)| start(&cached, single(with(code(id, 1), own))))
        .collect();
    settle().await;
    for id in 1..=5 {
        let packet = upstream.expect(&[(id, "eth_getCode")]).await;
        packet.answer(if id == 1 { answer(1, "0x") } else { error(id, -32000, "its own") });
    }
    assert!(leader.await.unwrap().unwrap().is_success(), "another's error is not its own");
    for (call, id) in calls.into_iter().zip(2..) {
        let answer = call.await.unwrap().unwrap();
        assert_ids(&answer, &[id]);
        assert!(answer.is_error());
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_joins_who_asks_for_himself() {
    let (cached, mut upstream) = layered();
    let options = CallOptions::new().without_retry();
    let alone = start(&cached, single(with(code(1, 1), options.clone())));
    let in_batch = start(&cached, batch([with(code(2, 1), options)]));
    settle().await;
    let other = start(&cached, single(code(3, 1)));
    settle().await;
    for id in 1..=3 {
        let packet = upstream.expect(&[(id, "eth_getCode")]).await;
        match id {
            2 => packet.answer_batch([answer(2, "0x")]),
            _ => packet.answer(answer(id, "0x")),
        }
    }
    for call in [alone, in_batch, other] {
        assert!(call.await.unwrap().unwrap().is_success());
    }
}

#[tokio::test(start_paused = true)]
async fn who_wants_no_cache_neither_has_nor_leaves_an_answer() {
    let (cached, mut upstream) = layered();
    for options in [CallOptions::new().without_cache(), CallOptions::new().pinned_to("b")] {
        let call = start(&cached, single(with(code(1, 1), options)));
        upstream.expect(&[(1, "eth_getCode")]).await.answer(answer(1, "0x01"));
        call.await.unwrap().unwrap();
    }
    let call = start(&cached, single(code(2, 1)));
    upstream.expect(&[(2, "eth_getCode")]).await.answer(answer(2, "0x02"));
    call.await.unwrap().unwrap();
    let call = start(&cached, single(with(code(3, 1), CallOptions::new().without_cache())));
    upstream.expect(&[(3, "eth_getCode")]).await.answer(answer(3, "0x03"));
    call.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_without_retry_is_kept_and_given() {
    let (cached, mut upstream) = layered();
    let options = || CallOptions::new().without_retry();
    let call = start(&cached, single(with(code(1, 1), options())));
    upstream.expect(&[(1, "eth_getCode")]).await.answer(answer(1, "0x01"));
    call.await.unwrap().unwrap();
    call_of(&cached, single(code(2, 1))).await;
    call_of(&cached, single(with(code(3, 1), options()))).await;
    assert!(upstream.is_idle());
}

async fn call_of(cached: &Cached, packet: RequestPacket) {
    assert!(call(cached, packet).await.unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn two_pipelines_over_one_layer_do_not_share_their_flights() {
    let layer = BlockCacheLayer::new().with_chain_id(1);
    let ((one, mut first), (other, mut second)) = (mock(), mock());
    let (one, other) = (layer.layer(one), layer.layer(other));
    let calls = [start(&one, single(code(1, 1))), start(&other, single(code(2, 1)))];
    settle().await;
    first.expect(&[(1, "eth_getCode")]).await.answer(answer(1, "0x"));
    second.expect(&[(2, "eth_getCode")]).await.answer(answer(2, "0x"));
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn random_drops_leave_nobody_without_an_answer() {
    let seed = std::env::var("ALCLAD_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("ALCLAD_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let node = SimNode::new(&SimChain::new(7));
    node.set(Disruption::SlowBy(Duration::from_millis(100)));
    let cached = BlockCacheLayer::new().with_chain_id(1).layer(node.transport());
    let genesis = json!([node.chain().block(0).unwrap().header.hash, false]);
    let question = |id, kind| match kind {
        0 => request(id, "eth_getBlockByHash", genesis.clone()),
        1 => code(id, 1),
        2 => code(id, 2),
        _ => request(id, "eth_gasPrice", json!([])),
    };
    let mut calls: Vec<Call> = Vec::new();
    for _ in 0..2000 {
        let packet = match rng.bool() {
            true => single(question(1, rng.u8(..4))),
            false => {
                batch((0..rng.u64(..5)).map(|id| question(id, rng.u8(..4))).collect::<Vec<_>>())
            }
        };
        let size = packet.len();
        let service = cached.clone();
        calls.push(tokio::spawn(async move {
            let answer = service.oneshot(packet).await?;
            assert_eq!(answer.responses().len(), size);
            Ok(answer)
        }));
        if rng.u8(..3) == 0 {
            calls.swap_remove(rng.usize(..calls.len())).abort();
        }
        advance(Duration::from_millis(rng.u64(..30))).await;
    }
    for call in calls {
        let answer = tokio::time::timeout(Duration::from_secs(5), call).await;
        answer.expect("nobody waits for ever").unwrap().unwrap();
    }
    assert_eq!(node.in_flight(), 0);
}
