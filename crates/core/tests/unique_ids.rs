//! On a connection that several clients share, nobody gets another one's answer.

use alclad_core::{CallOptions, UniqueIds, UniqueIdsLayer};
use alclad_testkit::{
    MockCall, StrictTransport, answer, answers, assert_ids, batch, error, mock, request,
    request_with_id, single,
};
use alloy_json_rpc::{Id, Response, ResponsePacket};
use alloy_transport::{IntoBoxTransport, TransportErrorKind};
use serde_json::{Value, json};
use std::collections::HashSet;
use tower::{Layer, ServiceExt};

fn ids(call: &MockCall) -> Vec<u64> {
    call.packet().requests().iter().map(|request| request.id().as_number().unwrap()).collect()
}

/// What goes over the wire.
fn wire(call: &MockCall) -> Value {
    serde_json::to_value(call.packet()).unwrap()
}

fn first_result(answer: &ResponsePacket) -> &str {
    answer.first_payload().unwrap().as_success().unwrap().get()
}

#[tokio::test]
async fn two_clients_with_the_same_ids_get_their_own_answers() {
    let (transport, mut upstream) = mock();
    let ask = || single(request(1, "eth_chainId", ()));
    let calls = [UniqueIdsLayer::new(), UniqueIdsLayer::new()]
        .map(|layer| tokio::spawn(layer.layer(transport.clone()).oneshot(ask())));
    let (one, other) = (upstream.next().await.unwrap(), upstream.next().await.unwrap());
    let (first, second) = (ids(&one)[0], ids(&other)[0]);
    assert_ne!(first, second);
    other.answer(answer(second, "second"));
    one.answer(answer(first, "first"));
    for (call, result) in calls.into_iter().zip(["\"first\"", "\"second\""]) {
        let answer = call.await.unwrap().unwrap();
        assert_eq!((answer.responses()[0].id.clone(), first_result(&answer)), (1.into(), result));
    }
}

#[tokio::test]
async fn the_request_changes_in_nothing_but_its_id() {
    let (transport, mut upstream) = mock();
    let service = UniqueIds::new(transport);
    let options = CallOptions::new().without_retry();
    let mut marked = request(7, "acme_watch", (json!({ "deep": [1, 2] }), "latest"));
    marked.meta_mut().extensions_mut().insert(options.clone());
    marked.set_is_subscription();
    let bare = request(8, "eth_chainId", ());
    for before in [marked, bare] {
        tokio::spawn(service.clone().oneshot(single(before.clone())));
        let call = upstream.next().await.unwrap();
        let mut expected = serde_json::to_value(&before).unwrap();
        expected["id"] = json!(ids(&call)[0]);
        assert_eq!(wire(&call), expected);
        let after = call.packet().as_single().unwrap();
        assert_eq!(after.method(), before.method());
        assert_eq!(after.is_subscription(), before.is_subscription());
        assert_eq!(CallOptions::of(after), CallOptions::of(&before));
    }
}

#[tokio::test]
async fn a_batch_gets_its_ids_back_in_whatever_order_and_however_many() {
    let (transport, mut upstream) = mock();
    let strange = request_with_id(Id::String("c".into()), "eth_call", ());
    let none = request_with_id(Id::None, "eth_call", ());
    let packet = batch([request(3, "eth_call", ()), strange, none, request(0, "eth_call", ())]);
    let call = tokio::spawn(UniqueIds::new(transport).oneshot(packet));
    let waiting = upstream.next().await.unwrap();
    let sent = ids(&waiting);
    assert_eq!(HashSet::<_>::from_iter(&sent).len(), 4);
    let wire = wire(&waiting);
    assert!(wire.as_array().unwrap().iter().zip(&sent).all(|(one, id)| one["id"] == json!(id)));
    waiting.answer_batch([
        answer(sent[3], "d"),
        answer(sent[1], "b"),
        error(sent[0], 3, "execution reverted"),
        answer(sent[1], "again"),
    ]);
    let answer = call.await.unwrap().unwrap();
    let back: Vec<_> = answer.response_ids().cloned().collect();
    let text = || Id::String("c".into());
    assert_eq!(back, [Id::Number(0), text(), Id::Number(3), text()]);
}

#[tokio::test]
async fn an_answer_to_nobody_stays_one() {
    let (transport, mut upstream) = mock();
    let call = tokio::spawn(
        UniqueIds::new(transport)
            .oneshot(batch([request(1, "eth_call", ()), request(2, "eth_call", ())])),
    );
    let waiting = upstream.next().await.unwrap();
    let last = ids(&waiting)[1];
    let anonymous = Response { id: Id::None, ..answer(0, "0x") };
    let text = Response { id: Id::String(last.to_string()), ..answer(0, "0x") };
    let strangers = [answer(last + 1, "0x"), answer(0, "0x"), answer(u64::MAX, "0x")];
    let strangers = strangers.into_iter().chain([anonymous, text]);
    waiting.respond(answers(strangers.clone()));
    let back = call.await.unwrap().unwrap();
    assert!(back.response_ids().eq(answers(strangers).response_ids()));
}

/// Found by the model that packets are fuzzed against: it was taken for the answer to the caller's
/// request of that id.
#[tokio::test]
async fn an_answer_to_an_id_that_was_not_sent_answers_nobody() {
    let (transport, mut upstream) = mock();
    let callers =
        [request(1, "eth_call", ()), request_with_id(Id::String("a".into()), "eth_call", ())];
    let call = tokio::spawn(UniqueIds::new(transport).oneshot(batch(callers)));
    let waiting = upstream.next().await.unwrap();
    let named = Response { id: Id::String("a".into()), ..answer(0, "0x") };
    let last = ids(&waiting)[1];
    waiting.respond(answers([answer(1, "0x"), named, answer(last, "0x")]));
    let back = call.await.unwrap().unwrap();
    let asked = [Id::Number(1), Id::String("a".into())];
    assert_eq!(back.response_ids().filter(|id| asked.contains(id)).count(), 1);
    assert_eq!(back.responses()[2].id, asked[1]);
}

#[tokio::test]
async fn errors_pass_through_unchanged() {
    let (transport, mut upstream) = mock();
    let call = UniqueIds::new(transport).oneshot(single(request(1, "eth_call", ())));
    let call = tokio::spawn(call);
    upstream.next().await.unwrap().fail(TransportErrorKind::backend_gone());
    let error = call.await.unwrap().unwrap_err();
    assert!(error.as_transport_err().unwrap().is_backend_gone());
}

#[tokio::test]
async fn over_anything_but_pubsub_it_does_nothing() {
    let (transport, mut upstream) = mock();
    let service: UniqueIds<StrictTransport> = UniqueIds::only_if(false, transport);
    let call = service.into_box_transport().oneshot(single(request(1, "eth_call", ())));
    let call = tokio::spawn(call);
    upstream.expect(&[(1, "eth_call")]).await.answer(answer(1, "0x"));
    assert_ids(&call.await.unwrap().unwrap(), &[1]);
}
