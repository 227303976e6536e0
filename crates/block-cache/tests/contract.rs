//! What every layer of the house owes to tower and to the caller.

mod stage;

use alclad_block_cache::{BlockCache, BlockCacheLayer, BlockCacheService};
use alclad_core::{CallOptions, TransportLayers};
use alclad_testkit::{
    Disruption, ErrorObject, MockUpstream, SimChain, SimNode, StrictTransport, answer, assert_ids,
    batch, error_object, mock, single,
};
use alloy_json_rpc::RequestPacket;
use alloy_transport::{BoxTransport, IntoBoxTransport, TransportErrorKind};
use serde_json::json;
use stage::{call, hex, request};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tower::{
    Layer, Service, ServiceExt,
    limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer},
};

fn layer() -> BlockCacheLayer {
    BlockCacheLayer::new().with_chain_id(1)
}

fn layered() -> (BlockCacheService<StrictTransport>, MockUpstream) {
    let (transport, upstream) = mock();
    (layer().layer(transport), upstream)
}

/// A question whose answer is kept at once.
fn code(id: u64, block: u8) -> RequestPacket {
    single(code_request(id, block))
}

fn code_request(id: u64, block: u8) -> alloy_json_rpc::SerializedRequest {
    let hash = format!("0x{}", format!("{block:02x}").repeat(32));
    request(id, "eth_getCode", json!(["0xabababababababababababababababababababab", hash]))
}

#[tokio::test(start_paused = true)]
async fn it_is_always_ready_and_a_miss_waits_in_its_future() {
    let (transport, mut upstream) = mock();
    let permits = Arc::new(Semaphore::new(1));
    let limit = GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&permits));
    let mut service = layer().layer(limit.layer(transport));
    let first = tokio::spawn(service.ready().await.unwrap().call(code(1, 1)));
    let taken = upstream.expect(&[(1, "eth_getCode")]).await;
    let mut second = service.ready().await.unwrap().call(code(2, 2));
    assert!(futures::poll!(&mut second).is_pending());
    assert!(upstream.is_idle(), "there is no permit");
    taken.answer(answer(1, "0x01"));
    first.await.unwrap().unwrap();
    let second = tokio::spawn(second);
    upstream.expect(&[(2, "eth_getCode")]).await.answer(answer(2, "0x02"));
    assert!(second.await.unwrap().unwrap().is_success());
    assert_eq!(permits.available_permits(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hit_is_given_while_nobody_below_has_room() {
    let (transport, mut upstream) = mock();
    let permits = Arc::new(Semaphore::new(1));
    let limit = GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&permits));
    let service = layer().layer(limit.layer(transport));
    let first = tokio::spawn(service.clone().oneshot(code(1, 1)));
    upstream.expect(&[(1, "eth_getCode")]).await.answer(answer(1, "0x01"));
    first.await.unwrap().unwrap();
    let _all = permits.acquire().await.unwrap();
    let hit = pin!(call(&service, code(2, 1)));
    let std::task::Poll::Ready(answer) = futures::poll!(hit) else { panic!("it waits") };
    assert_ids(&answer.unwrap(), &[2]);
}

#[tokio::test(start_paused = true)]
async fn clones_are_independent_and_share_what_is_kept() {
    let (service, mut upstream) = layered();
    let mut one = service.clone();
    let mut other = service.clone();
    let first = tokio::spawn(one.ready().await.unwrap().call(code(1, 1)));
    let second = tokio::spawn(other.ready().await.unwrap().call(code(1, 2)));
    drop((one, other));
    upstream.next().await.unwrap().answer(answer(1, "0x01"));
    upstream.next().await.unwrap().answer(answer(1, "0x02"));
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    for block in [1, 2] {
        assert!(call(&service, code(7, block)).await.unwrap().is_success());
    }
    assert!(upstream.is_idle());
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_is_the_answer_of_a_miss() {
    let (service, mut upstream) = layered();
    upstream.fail_ready(TransportErrorKind::backend_gone());
    let error = call(&service, code(1, 1)).await.unwrap_err();
    assert!(error.as_transport_err().unwrap().is_backend_gone());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_gives_its_permit_back() {
    let permits = Arc::new(Semaphore::new(1));
    let limit = GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&permits));
    let node = SimNode::new(&SimChain::new(7));
    node.set(Disruption::BlackHole);
    let service = layer().layer(limit.layer(node.transport()));
    let both = [code_request(1, 1), request(2, "eth_gasPrice", json!([]))];
    for packet in [code(1, 1), single(request(1, "eth_gasPrice", json!([]))), batch(both)] {
        let call = tokio::spawn(service.clone().oneshot(packet));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!((permits.available_permits(), node.in_flight()), (0, 1));
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        assert_eq!((permits.available_permits(), node.in_flight()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_never_polled_leaves_nothing() {
    let (service, mut upstream) = layered();
    drop(service.clone().call(code(1, 1)));
    drop(service.clone().call(batch([code_request(1, 1)])));
    assert!(upstream.is_idle());
    let call = tokio::spawn(service.oneshot(code(2, 1)));
    upstream.expect(&[(2, "eth_getCode")]).await.answer(answer(2, "0x"));
    assert!(call.await.unwrap().unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn the_order_of_a_batch_is_kept_also_if_the_answers_come_in_another() {
    let (service, mut upstream) = layered();
    let questions = [3, 1, 2].map(|id| code_request(id, id as u8));
    let call = tokio::spawn(service.oneshot(batch(questions)));
    let names = [(3, "eth_getCode"), (1, "eth_getCode"), (2, "eth_getCode")];
    upstream.expect(&names).await.answer_batch([1, 2, 3].map(|id| answer(id, hex(id))));
    let answers = call.await.unwrap().unwrap();
    assert_ids(&answers, &[3, 1, 2]);
    let texts: Vec<_> = answers
        .responses()
        .iter()
        .map(|r| r.payload.as_success().unwrap().get().to_owned())
        .collect();
    assert_eq!(texts, ["\"0x3\"", "\"0x1\"", "\"0x2\""]);
}

#[tokio::test(start_paused = true)]
async fn errors_pass_through_unchanged() {
    let (service, mut upstream) = layered();
    for (packet, name) in [
        (code(1, 1), "eth_getCode"),
        (single(request(1, "eth_gasPrice", json!([]))), "eth_gasPrice"),
    ] {
        let call = tokio::spawn(service.clone().oneshot(packet.clone()));
        let own = ErrorObject::new(-32099, "something of its own").with_data("and more");
        upstream.expect(&[(1, name)]).await.answer(error_object(1, own));
        let answer = call.await.unwrap().unwrap();
        let error = answer.as_error().unwrap();
        assert_eq!((error.code, &*error.message), (-32099, "something of its own"));
        assert_eq!(error.data.as_ref().unwrap().get(), "\"and more\"");

        let call = tokio::spawn(service.clone().oneshot(packet));
        let refused = TransportErrorKind::http_error(403, "no".to_owned());
        upstream.next().await.unwrap().fail(refused);
        let error = call.await.unwrap().unwrap_err();
        let error = error.as_transport_err().unwrap().as_http_error().unwrap();
        assert_eq!((error.status, &*error.body), (403, "no"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_whole_batch_passes_through_unchanged() {
    let (service, mut upstream) = layered();
    let call = tokio::spawn(service.oneshot(batch([1, 2].map(|id| code_request(id, id as u8)))));
    upstream.next().await.unwrap().fail(TransportErrorKind::http_error(403, "no".to_owned()));
    let error = call.await.unwrap().unwrap_err();
    let error = error.as_transport_err().unwrap().as_http_error().unwrap();
    assert_eq!((error.status, &*error.body), (403, "no"));
}

#[tokio::test(start_paused = true)]
async fn what_passes_goes_down_byte_for_byte() {
    let (service, mut upstream) = layered();
    let params = json!([{ "data": "0xAB", "to": null }, "latest"]);
    for method in ["eth_call", "eth_sendRawTransaction", "eth_subscribe", "foo_bar"] {
        let question = request(9, method, params.clone());
        let text = question.serialized().get().to_owned();
        let call = tokio::spawn(service.clone().oneshot(single(question)));
        let packet = upstream.expect(&[(9, method)]).await;
        assert_eq!(packet.packet().requests()[0].serialized().get(), text);
        packet.answer(answer(9, "0x"));
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_miss_goes_down_byte_for_byte_too() {
    let (service, mut upstream) = layered();
    let params = json!(["0xABABABABABABABABABABABABABABABABABABABAB", { "blockHash": format!("0x{}", "AB".repeat(32)) }]);
    let question = request(9, "eth_getCode", params);
    let text = question.serialized().get().to_owned();
    let call = tokio::spawn(service.clone().oneshot(single(question)));
    let packet = upstream.expect(&[(9, "eth_getCode")]).await;
    assert_eq!(packet.packet().requests()[0].serialized().get(), text);
    packet.answer(answer(9, "0x"));
    call.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_id_is_no_answer_and_not_kept() {
    let (service, mut upstream) = layered();
    for _ in 0..2 {
        let call = tokio::spawn(service.clone().oneshot(code(1, 1)));
        upstream.expect(&[(1, "eth_getCode")]).await.answer(answer(2, "0x"));
        call.await.unwrap().unwrap_err();
    }
}

async fn works_with_one_permit(transport: BoxTransport, mut upstream: MockUpstream) {
    let calls = [1, 2].map(|id| tokio::spawn(transport.clone().oneshot(code(id, id as u8))));
    for id in [1, 2] {
        upstream.expect(&[(id, "eth_getCode")]).await.answer(answer(id, "0x"));
    }
    for call in calls {
        assert!(call.await.unwrap().unwrap().is_success());
    }
}

#[tokio::test(start_paused = true)]
async fn it_works_over_a_concurrency_limit_of_one() {
    let limit = ConcurrencyLimitLayer::new(1);
    let (transport, upstream) = mock();
    let limited = layer().layer(limit.layer(transport));
    works_with_one_permit(limited.into_box_transport(), upstream).await;
    let (transport, upstream) = mock();
    let limited = layer().layer(TransportLayers(limit).layer(transport));
    works_with_one_permit(limited.into_box_transport(), upstream).await;
}

#[tokio::test(start_paused = true)]
async fn its_own_questions_need_no_second_permit() {
    let chain = SimChain::new(7);
    chain.mine(200);
    let node = SimNode::new(&chain);
    let limited = ConcurrencyLimitLayer::new(1).layer(node.transport());
    let service = BlockCacheLayer::new().layer(limited);
    let question = single(request(1, "eth_getBlockByNumber", json!(["0x7", false])));
    let answer = tokio::time::timeout(Duration::from_secs(60), call(&service, question));
    assert!(answer.await.expect("no deadlock").unwrap().is_success());
    assert_eq!((node.calls("eth_chainId"), node.in_flight()), (1, 0));
}

#[test]
fn all_is_send_and_sync_and_says_what_it_is() {
    fn check<T: Send + Sync + Clone + std::fmt::Debug + 'static>(_: &T) {}
    fn future<F: Future + Send + Unpin + 'static>(_: F) {}
    let layer = layer();
    check(&layer);
    check::<BlockCache>(&layer.store());
    let mut service = layer.layer(SimNode::new(&SimChain::new(7)).transport());
    check(&service);
    future(service.call(code(1, 1)));
    for text in [format!("{layer:?}"), format!("{service:?}"), format!("{:?}", layer.store())] {
        assert!(text.starts_with("BlockCache"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_scope_reaches_the_call() {
    let (service, mut upstream) = layered();
    for _ in 0..2 {
        let service = service.clone();
        let asking = async move { service.oneshot(code(1, 1)).await };
        let call = tokio::spawn(CallOptions::new().without_cache().scope(asking));
        upstream.expect(&[(1, "eth_getCode")]).await.answer(answer(1, "0x"));
        call.await.unwrap().unwrap();
    }
}
