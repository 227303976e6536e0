//! What a verified endpoint is not asked.

mod support;

use alclad_chain_guard::ChainGuardLayer;
use alclad_core::{CallOptions, Fault, classify, note};
use alclad_testkit::{
    Disruption, SimChain, SimNode, answer, answers, batch, mock, request, request_with_id, single,
};
use alloy_json_rpc::Id;
use serde_json::json;
use support::{CHAIN, ask, serve_chain_id};
use tower::{Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn the_chain_id_is_asked_once() {
    let node = SimNode::new(&SimChain::new(7).twin(1337));
    let service = ChainGuardLayer::expect(1337).layer(node.transport());
    for _ in 0..10 {
        assert_eq!(ask(&service, "eth_chainId", json!([])).await.unwrap(), json!("0x539"));
        assert_eq!(ask(&service, "net_version", json!([])).await.unwrap(), json!("1337"));
    }
    assert_eq!(node.total_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_is_passed_on_if_the_endpoint_is_to_answer_or_the_caller_wants_no_cache() {
    let node = SimNode::new(&SimChain::new(7));
    let layer = ChainGuardLayer::expect(CHAIN);
    let asks = layer.clone().without_local_answers().layer(node.transport());
    ask(&asks, "eth_chainId", json!([])).await.unwrap();
    ask(&asks, "net_version", json!([])).await.unwrap();
    assert_eq!((node.calls("eth_chainId"), node.calls("net_version")), (2, 1));

    let service = layer.layer(node.transport());
    let call = ask(&service, "eth_chainId", json!([]));
    CallOptions::new().without_cache().scope(call).await.unwrap();
    assert_eq!(node.calls("eth_chainId"), 4);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_names_another_chain_is_not_passed_up() {
    let chain = SimChain::new(7);
    let node = SimNode::new(&chain);
    let service = ChainGuardLayer::expect(CHAIN).without_local_answers().layer(node.transport());
    ask(&service, "eth_chainId", json!([])).await.unwrap();
    node.set(Disruption::WrongChain(chain.twin(1337)));
    for _ in 0..2 {
        let error = ask(&service, "eth_chainId", json!([])).await.unwrap_err();
        assert_eq!(Fault::of_error("eth_chainId", &error), Fault::WrongChain);
    }
}

#[tokio::test(start_paused = true)]
async fn the_members_of_a_batch_that_are_known_do_not_go_down() {
    let (transport, mut upstream) = mock();
    let service = ChainGuardLayer::expect(CHAIN).layer(transport);
    let packet = batch([
        request_with_id(Id::String("a".into()), "eth_chainId", ()),
        request(7, "eth_call", ()),
        request_with_id(Id::None, "net_version", ()),
        request(8, "eth_gasPrice", ()),
        request(9, "eth_chainId", ()),
    ]);
    let call = tokio::spawn(service.clone().oneshot(packet));
    serve_chain_id(&mut upstream, CHAIN).await;
    let rest = upstream.expect(&[(7, "eth_call"), (8, "eth_gasPrice")]).await;
    rest.respond(answers([answer(8, "0x8"), answer(7, "0x7")]));
    let answer = call.await.unwrap().unwrap();
    let got = answer.responses().iter();
    let got: Vec<_> = got.map(|a| (a.id.clone(), a.payload.as_success().unwrap().get())).collect();
    let expected = [
        (Id::String("a".into()), "\"0x1\""),
        (Id::Number(7), "\"0x7\""),
        (Id::None, "\"1\""),
        (Id::Number(8), "\"0x8\""),
        (Id::Number(9), "\"0x1\""),
    ];
    assert_eq!(got, expected);

    let known = [request(1, "eth_chainId", ()), request(2, "net_version", ())];
    let call = note::capture_at("a".into(), service.oneshot(batch(known)));
    let (answer, notes) = call.await;
    assert!(answer.unwrap().is_success() && upstream.is_idle());
    assert_eq!(notes.of(&Id::Number(2)).endpoint, Some("a".into()));
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_batch_may_fail_alone() {
    let node = SimNode::new(&SimChain::new(7));
    let service = ChainGuardLayer::expect(CHAIN).layer(node.transport());
    ask(&service, "eth_chainId", json!([])).await.unwrap();
    node.set(Disruption::http_status(503));
    let members = [request(1, "eth_chainId", ()), request(2, "eth_gasPrice", ())];
    let answer = service.clone().oneshot(batch(members)).await.unwrap();
    let [known, failed] = answer.responses() else { panic!("two answers") };
    assert!(known.is_success());
    let fault = classify("eth_gasPrice", failed).fault();
    assert_eq!(fault, Some(Fault::ServerError));
    let alone = service.oneshot(single(request(3, "eth_gasPrice", ()))).await;
    assert!(alone.unwrap_err().as_transport_err().unwrap().is_http_error());
}
