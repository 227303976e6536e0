//! Batches: what is known is answered, and only the rest goes down.

mod stage;

use alclad_block_cache::{BlockCache, BlockCacheLayer, BlockCacheService};
use alclad_core::{
    CacheState, CallOptions,
    error::{DuplicateId, cause},
    note,
};
use alclad_testkit::{
    MockUpstream, StrictTransport, answer, answers, assert_ids, batch, error, mock, single,
};
use alloy_json_rpc::{Id, RequestPacket, ResponsePacket, SerializedRequest};
use alloy_transport::{TransportError, TransportErrorKind};
use serde_json::json;
use stage::{call, hex, request};
use std::time::Duration;
use tokio::{task::JoinHandle, time::sleep};
use tower::{Layer, ServiceExt};

type Cached = BlockCacheService<StrictTransport>;
type Call = JoinHandle<Result<ResponsePacket, TransportError>>;

fn layered() -> (Cached, MockUpstream, BlockCache) {
    let (transport, upstream) = mock();
    let layer = BlockCacheLayer::new().with_chain_id(1);
    (layer.layer(transport), upstream, layer.store())
}

fn code(id: u64, block: u8) -> SerializedRequest {
    let hash = format!("0x{}", format!("{block:02x}").repeat(32));
    request(id, "eth_getCode", json!(["0xabababababababababababababababababababab", hash]))
}

fn start(cached: &Cached, packet: RequestPacket) -> Call {
    tokio::spawn(cached.clone().oneshot(packet))
}

async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// Keeps the code of this block.
async fn know(cached: &Cached, upstream: &mut MockUpstream, block: u8) {
    let call = start(cached, single(code(99, block)));
    upstream.expect(&[(99, "eth_getCode")]).await.answer(answer(99, hex(block.into())));
    call.await.unwrap().unwrap();
}

fn texts(packet: &ResponsePacket) -> Vec<String> {
    let text = |response: &alloy_json_rpc::Response| match &response.payload {
        alloy_json_rpc::ResponsePayload::Success(raw) => raw.get().trim_matches('"').to_owned(),
        alloy_json_rpc::ResponsePayload::Failure(error) => format!("error {}", error.code),
    };
    packet.responses().iter().map(text).collect()
}

const CODE: &str = "eth_getCode";

#[tokio::test(start_paused = true)]
async fn hits_are_answered_only_the_misses_go_down_and_the_order_is_the_callers() {
    let (cached, mut upstream, _) = layered();
    know(&cached, &mut upstream, 2).await;
    know(&cached, &mut upstream, 4).await;
    let call = start(&cached, batch([5, 4, 3, 2, 1].map(|id| code(id, id as u8))));
    let packet = upstream.expect(&[(5, CODE), (3, CODE), (1, CODE)]).await;
    packet.answer_batch([1, 3, 5].map(|id| answer(id, hex(id))));
    let answers = call.await.unwrap().unwrap();
    assert_ids(&answers, &[5, 4, 3, 2, 1]);
    assert_eq!(texts(&answers), ["0x5", "0x4", "0x3", "0x2", "0x1"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_hits_asks_nobody() {
    let (cached, mut upstream, _) = layered();
    know(&cached, &mut upstream, 1).await;
    let answers = call(&cached, batch([code(7, 1), code(8, 1)])).await.unwrap();
    assert_ids(&answers, &[7, 8]);
    assert!(matches!(answers, ResponsePacket::Batch(_)) && upstream.is_idle());
}

#[tokio::test(start_paused = true)]
async fn equal_members_are_asked_once() {
    let (cached, mut upstream, store) = layered();
    let call = start(&cached, batch([code(1, 1), code(2, 2), code(3, 1), code(4, 1)]));
    let packet = upstream.expect(&[(1, CODE), (2, CODE)]).await;
    packet.answer_batch([answer(1, "0x1"), answer(2, "0x2")]);
    let answers = call.await.unwrap().unwrap();
    assert_ids(&answers, &[1, 2, 3, 4]);
    assert_eq!(texts(&answers), ["0x1", "0x2", "0x1", "0x1"]);
    let total = store.statistics().total;
    assert_eq!((total.hits, total.misses, total.joined), (0, 2, 2));
}

#[tokio::test(start_paused = true)]
async fn equal_members_that_may_not_be_cached_are_all_asked() {
    let (cached, mut upstream, _) = layered();
    let price = |id| request(id, "eth_gasPrice", json!([]));
    let call = start(&cached, batch([price(1), price(2)]));
    let packet = upstream.expect(&[(1, "eth_gasPrice"), (2, "eth_gasPrice")]).await;
    packet.answer_batch([answer(1, "0x1"), answer(2, "0x2")]);
    assert_eq!(texts(&call.await.unwrap().unwrap()), ["0x1", "0x2"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_with_one_miss_goes_down_as_a_batch() {
    let (cached, mut upstream, _) = layered();
    know(&cached, &mut upstream, 1).await;
    let call = start(&cached, batch([code(7, 1), code(8, 2)]));
    let packet = upstream.expect(&[(8, CODE)]).await;
    assert!(packet.packet().as_batch().is_some());
    packet.answer_batch([answer(8, "0x2")]);
    assert_ids(&call.await.unwrap().unwrap(), &[7, 8]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_batch_has_an_empty_answer() {
    let (cached, mut upstream, _) = layered();
    let answers = call(&cached, batch([])).await.unwrap();
    assert!(matches!(answers, ResponsePacket::Batch(ref list) if list.is_empty()));
    assert!(upstream.is_idle());
}

#[tokio::test(start_paused = true)]
async fn two_members_with_one_id_are_refused() {
    let (cached, mut upstream, _) = layered();
    let error = call(&cached, batch([code(1, 1), code(1, 2)])).await.unwrap_err();
    assert!(cause::<DuplicateId>(&error).is_some());
    assert!(upstream.is_idle());
}

#[tokio::test(start_paused = true)]
async fn members_join_the_flights_of_other_packets() {
    let (cached, mut upstream, _) = layered();
    let one = start(&cached, single(code(1, 1)));
    settle().await;
    let two = start(&cached, batch([code(1, 2), code(2, 1)]));
    settle().await;
    let three = start(&cached, batch([code(1, 1), code(2, 2), code(3, 3)]));
    settle().await;
    let four = start(&cached, single(code(9, 2)));
    settle().await;
    let five = start(&cached, batch([code(5, 3), code(6, 2)]));
    settle().await;
    let first = upstream.expect(&[(1, CODE)]).await;
    let second = upstream.expect(&[(1, CODE)]).await;
    let third = upstream.expect(&[(3, CODE)]).await;
    assert!(upstream.is_idle());
    third.answer_batch([answer(3, "0x3")]);
    settle().await;
    second.answer_batch([answer(1, "0x2")]);
    let four = four.await.unwrap().unwrap();
    assert_ids(&four, &[9]);
    assert_eq!(texts(&four), ["0x2"]);
    assert_eq!(texts(&five.await.unwrap().unwrap()), ["0x3", "0x2"]);
    first.answer(answer(1, "0x1"));
    assert_eq!(texts(&one.await.unwrap().unwrap()), ["0x1"]);
    assert_eq!(texts(&two.await.unwrap().unwrap()), ["0x2", "0x1"]);
    let three = three.await.unwrap().unwrap();
    assert_ids(&three, &[1, 2, 3]);
    assert_eq!(texts(&three), ["0x1", "0x2", "0x3"]);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_failed_is_an_error_member_and_is_not_kept() {
    let (cached, mut upstream, _) = layered();
    for _ in 0..2 {
        let call = start(&cached, batch([code(1, 1), code(2, 2)]));
        settle().await;
        let packet = upstream.next().await.unwrap();
        match packet.packet().len() {
            2 => packet.answer_batch([error(1, -32000, "header not found"), answer(2, "0x2")]),
            _ => packet.answer_batch([error(1, -32000, "header not found")]),
        }
        let answers = call.await.unwrap().unwrap();
        assert_ids(&answers, &[1, 2]);
        assert_eq!(texts(&answers), ["error -32000", "0x2"]);
    }
}

#[tokio::test(start_paused = true)]
async fn hits_are_given_also_if_the_rest_fails() {
    let (cached, mut upstream, _) = layered();
    know(&cached, &mut upstream, 1).await;
    let call = start(&cached, batch([code(1, 1), code(2, 2)]));
    let packet = upstream.expect(&[(2, CODE)]).await;
    packet.fail(TransportErrorKind::http_error(503, "no".to_owned()));
    let answers = call.await.unwrap().unwrap();
    assert_ids(&answers, &[1, 2]);
    assert_eq!(texts(&answers), ["0x1", "error -32603"]);
}

#[tokio::test(start_paused = true)]
async fn a_joined_member_that_fails_leaves_the_others_alone() {
    let (cached, mut upstream, _) = layered();
    let one = start(&cached, single(code(1, 1)));
    settle().await;
    let two = start(&cached, batch([code(1, 2), code(2, 1)]));
    settle().await;
    let first = upstream.expect(&[(1, CODE)]).await;
    upstream.expect(&[(1, CODE)]).await.answer_batch([answer(1, "0x2")]);
    first.fail(TransportErrorKind::http_error(503, "no".to_owned()));
    one.await.unwrap().unwrap_err();
    assert_eq!(texts(&two.await.unwrap().unwrap()), ["0x2", "error -32603"]);
}

#[tokio::test(start_paused = true)]
async fn missing_foreign_and_doubled_answers_are_not_kept() {
    let (cached, mut upstream, store) = layered();
    let both = || batch([code(1, 1), code(2, 2)]);
    let call = start(&cached, both());
    upstream.next().await.unwrap().answer_batch([answer(7, "0x1"), answer(8, "0x2")]);
    call.await.unwrap().unwrap_err();
    let call = start(&cached, both());
    upstream.next().await.unwrap().answer_batch([answer(1, "0x1"), answer(1, "0x9")]);
    call.await.unwrap().unwrap_err();
    assert_eq!(store.statistics().entries, 0);
    let call = start(&cached, both());
    let packet = upstream.next().await.unwrap();
    packet.answer_batch([answer(2, "0x2"), answer(1, "0x1"), answer(1, "0x9")]);
    let answers = call.await.unwrap().unwrap();
    assert_eq!(texts(&answers)[1], "0x2");
    assert!(texts(&answers)[0].starts_with("error"));
    assert_eq!(store.statistics().entries, 1);
}

#[tokio::test(start_paused = true)]
async fn a_whole_batch_refused_by_one_error_is_an_error_for_each_and_not_kept() {
    let (cached, mut upstream, store) = layered();
    let call = start(&cached, batch([code(1, 1), code(2, 2)]));
    let mut refusal = error(0, -32600, "batches are not allowed");
    refusal.id = Id::None;
    upstream.next().await.unwrap().respond(ResponsePacket::Single(refusal));
    let answers = call.await.unwrap().unwrap();
    assert_ids(&answers, &[1, 2]);
    assert_eq!(texts(&answers), ["error -32600", "error -32600"]);
    assert_eq!(store.statistics().entries, 0);
}

#[tokio::test(start_paused = true)]
async fn a_send_in_a_batch_goes_down_once_each_time() {
    let (cached, mut upstream, _) = layered();
    let send = |id| request(id, "eth_sendRawTransaction", json!(["0x02"]));
    for _ in 0..2 {
        let call = start(&cached, batch([code(1, 1), send(2), send(3), code(4, 1)]));
        let packet = upstream.next().await.unwrap();
        let sends = packet.packet().requests().iter().filter(|r| r.method().contains("send"));
        assert_eq!(sends.count(), 2);
        let ids: Vec<_> =
            packet.packet().requests().iter().map(|r| r.id().as_number().unwrap()).collect();
        packet.respond(answers(ids.into_iter().map(|id| answer(id, hex(id)))));
        let answers = call.await.unwrap().unwrap();
        assert_ids(&answers, &[1, 2, 3, 4]);
        assert_eq!(texts(&answers), ["0x1", "0x2", "0x3", "0x1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_is_not_given_up_for_another_members_follower() {
    // The batch is dropped; who joined its read has the packet go on, and the send with it.
    let (cached, mut upstream, _) = layered();
    let send = request(2, "eth_sendRawTransaction", json!(["0x02"]));
    let whole = start(&cached, batch([code(1, 1), send]));
    settle().await;
    let follower = start(&cached, single(code(9, 1)));
    settle().await;
    let packet = upstream.expect(&[(1, CODE), (2, "eth_sendRawTransaction")]).await;
    whole.abort();
    settle().await;
    packet.answer_batch([answer(1, "0x1"), answer(2, "0x2")]);
    assert_ids(&follower.await.unwrap().unwrap(), &[9]);
    assert!(upstream.is_idle());
}

#[tokio::test(start_paused = true)]
async fn members_have_options_of_their_own() {
    let (cached, mut upstream, _) = layered();
    know(&cached, &mut upstream, 1).await;
    let mut uncached = code(2, 1);
    uncached.meta_mut().extensions_mut().insert(CallOptions::new().without_cache());
    let call = start(&cached, batch([code(1, 1), uncached]));
    upstream.expect(&[(2, CODE)]).await.answer_batch([answer(2, "0x9")]);
    assert_eq!(texts(&call.await.unwrap().unwrap()), ["0x1", "0x9"]);
}

#[tokio::test(start_paused = true)]
async fn the_notes_say_where_each_answer_came_from() {
    let (cached, mut upstream, _) = layered();
    know(&cached, &mut upstream, 1).await;
    let one = start(&cached, single(code(1, 2)));
    settle().await;
    let other = cached.clone();
    let packet = batch([code(1, 1), code(2, 2), code(3, 3), request(4, "eth_gasPrice", json!([]))]);
    let call = tokio::spawn(note::capture(async move { call(&other, packet).await }));
    settle().await;
    upstream.expect(&[(1, CODE)]).await.answer(answer(1, "0x2"));
    let packet = upstream.expect(&[(3, CODE), (4, "eth_gasPrice")]).await;
    packet.answer_batch([answer(3, "0x3"), answer(4, "0x4")]);
    let (answers, notes) = call.await.unwrap();
    assert_ids(&answers.unwrap(), &[1, 2, 3, 4]);
    let states = [1, 2, 3, 4].map(|id| notes.of(&Id::Number(id)).cache);
    let expected = [Some(CacheState::Hit), Some(CacheState::Joined), Some(CacheState::Miss), None];
    assert_eq!(states, expected);
    one.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_note_of_a_single_call_says_so_too() {
    let (cached, mut upstream, _) = layered();
    let ask = |packet| {
        let cached = cached.clone();
        tokio::spawn(note::capture(async move { call(&cached, packet).await }))
    };
    let calls = [ask(single(code(1, 1))), ask(single(code(2, 1)))];
    settle().await;
    upstream.expect(&[(1, CODE)]).await.answer(answer(1, "0x2"));
    let mut states = Vec::new();
    for call in calls.into_iter().chain([ask(single(code(3, 1)))]) {
        states.push(call.await.unwrap().1.of(&Id::Number(1)).cache);
    }
    let expected = [CacheState::Miss, CacheState::Joined, CacheState::Hit].map(Some);
    assert_eq!(states, expected);
}
