//! When a verified endpoint is verified again, and what becomes of the calls in flight.

mod support;

use alclad_chain_guard::{ChainGuard, ChainGuardLayer};
use alclad_core::{
    Fault,
    error::{ChainMismatch, UnverifiedAnswer, cause},
};
use alclad_testkit::{
    Disruption, MockCall, MockUpstream, SimChain, SimNode, SimTransport, StrictTransport, answer,
    mock,
};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportErrorKind};
use serde_json::json;
use std::time::Duration;
use support::{CHAIN, INTERVAL, answer_question, ask, head, read, serve_chain_id};
use tokio::{task::JoinHandle, time::sleep};
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimitLayer};

const OTHER: u64 = 1337;

fn guard() -> ChainGuardLayer {
    ChainGuardLayer::expect(CHAIN).with_block_time(Duration::from_secs(12))
}

fn node() -> (SimNode, ChainGuard<SimTransport>) {
    let chain = SimChain::new(7);
    chain.mine(100);
    let node = SimNode::new(&chain);
    let service = guard().layer(node.transport());
    (node, service)
}

type Answered = JoinHandle<Result<ResponsePacket, TransportError>>;

/// A verified endpoint whose answers the test gives by hand.
struct Endpoint {
    service: ChainGuard<StrictTransport>,
    upstream: MockUpstream,
}

impl Endpoint {
    async fn verified() -> Self {
        let (transport, upstream) = mock();
        let mut endpoint = Self { service: guard().layer(transport), upstream };
        let call = endpoint.ask(read(0));
        endpoint.serve(CHAIN).await;
        endpoint.next().await.answer(answer(0, "0x"));
        assert!(call.await.unwrap().is_ok());
        endpoint
    }

    fn ask(&self, packet: RequestPacket) -> Answered {
        tokio::spawn(self.service.clone().oneshot(packet))
    }

    async fn next(&mut self) -> MockCall {
        self.upstream.next().await.unwrap()
    }

    async fn serve(&mut self, chain_id: u64) {
        serve_chain_id(&mut self.upstream, chain_id).await;
    }

    /// It shows this head.
    async fn show(&mut self, number: u64) -> Answered {
        let call = self.ask(head(9));
        self.next().await.answer(answer(9, format!("{number:#x}")));
        call
    }

    /// A call that fails with its connection.
    async fn lose_connection(&mut self) {
        let call = self.ask(read(8));
        self.next().await.fail(TransportErrorKind::backend_gone());
        assert!(call.await.unwrap().is_err());
    }
}

fn is_of_another_chain(answer: &Result<ResponsePacket, TransportError>) -> bool {
    answer.as_ref().is_err_and(|error| cause::<ChainMismatch>(error).is_some())
}

fn is_unverified(answer: &Result<ResponsePacket, TransportError>) -> bool {
    answer.as_ref().is_err_and(|error| {
        let lost = Fault::of_error("eth_call", error) == Fault::Connection { maybe_sent: true };
        lost && cause::<UnverifiedAnswer>(error).is_some()
    })
}

#[tokio::test(start_paused = true)]
async fn a_match_is_remembered_for_a_minute() {
    let (node, service) = node();
    let mut asked_at = Vec::new();
    for second in 0..150 {
        ask(&service, "eth_gasPrice", json!([])).await.unwrap();
        if node.calls("eth_chainId") > asked_at.len() as u64 {
            asked_at.push(second);
        }
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(asked_at, [0, 60, 120]);
}

#[tokio::test(start_paused = true)]
async fn it_is_verified_again_after_a_connection_was_lost_and_after_no_other_fault() {
    let (node, service) = node();
    ask(&service, "eth_gasPrice", json!([])).await.unwrap();
    for harmless in [Disruption::http_status(503), Disruption::Html, Disruption::NullAnswers] {
        node.set(harmless.times(1));
        let _ = ask(&service, "eth_gasPrice", json!([])).await;
    }
    ask(&service, "eth_gasPrice", json!([])).await.unwrap();
    assert_eq!(node.calls("eth_chainId"), 1);

    node.set(Disruption::Reset.times(1));
    ask(&service, "eth_gasPrice", json!([])).await.unwrap_err();
    assert_eq!(node.calls("eth_chainId"), 1);
    ask(&service, "eth_gasPrice", json!([])).await.unwrap();
    assert_eq!(node.calls("eth_chainId"), 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_when_a_verification_is_due_is_kept_for_it() {
    let mut endpoint = Endpoint::verified().await;
    let call = endpoint.ask(read(1));
    let late = endpoint.next().await;
    sleep(INTERVAL).await;
    late.answer(answer(1, "0x"));
    endpoint.serve(OTHER).await;
    assert!(is_of_another_chain(&call.await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_flight_is_kept_until_the_lost_connection_is_verified() {
    for (chain_id, right) in [(CHAIN, true), (OTHER, false)] {
        let mut endpoint = Endpoint::verified().await;
        let call = endpoint.ask(read(1));
        let in_flight = endpoint.next().await;
        endpoint.lose_connection().await;
        in_flight.answer(answer(1, "0x"));
        sleep(Duration::from_secs(1)).await;
        assert!(!call.is_finished());
        endpoint.serve(chain_id).await;
        let answer = call.await.unwrap();
        assert_eq!((answer.is_ok(), is_of_another_chain(&answer)), (right, !right));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_flight_that_cannot_be_verified_may_have_been_executed() {
    let mut endpoint = Endpoint::verified().await;
    let call = endpoint.ask(read(1));
    let in_flight = endpoint.next().await;
    endpoint.lose_connection().await;
    in_flight.answer(answer(1, "0x"));
    // To the question it was refused before it left; the call had left.
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    endpoint.next().await.fail(TransportErrorKind::custom(refused));
    assert!(is_unverified(&call.await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_a_mismatch_is_refused_also_when_that_is_mended() {
    let mut endpoint = Endpoint::verified().await;
    let call = endpoint.ask(read(1));
    let in_flight = endpoint.next().await;
    endpoint.lose_connection().await;
    for chain_id in [OTHER, CHAIN] {
        let other = endpoint.ask(read(2));
        endpoint.serve(chain_id).await;
        if chain_id == CHAIN {
            endpoint.next().await.answer(answer(2, "0x"));
        }
        assert_eq!(other.await.unwrap().is_ok(), chain_id == CHAIN);
        sleep(Duration::from_secs(5)).await;
    }
    in_flight.answer(answer(1, "0x"));
    assert!(is_of_another_chain(&call.await.unwrap()));
    assert!(endpoint.upstream.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_while_it_is_verified_puts_that_in_doubt() {
    let mut endpoint = Endpoint::verified().await;
    let in_flight = [1, 2].map(|id| endpoint.ask(read(id)));
    let [first, second] = [endpoint.next().await, endpoint.next().await];
    first.fail(TransportErrorKind::backend_gone());
    let call = endpoint.ask(read(3));
    let question = endpoint.next().await;
    second.fail(TransportErrorKind::backend_gone());
    sleep(Duration::from_secs(1)).await;
    let id = question.packet().as_single().unwrap().id().clone();
    let mut on_the_way = answer(0, "0x1");
    on_the_way.id = id;
    question.answer(on_the_way);
    // What it says is from before, so it is asked again.
    endpoint.serve(OTHER).await;
    assert!(is_of_another_chain(&call.await.unwrap()));
    for lost in in_flight {
        assert!(lost.await.unwrap().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_within_a_minutes_blocks_is_no_jump() {
    let mut endpoint = Endpoint::verified().await;
    for number in [100, 105, 100, 104, 109] {
        assert!(endpoint.show(number).await.await.unwrap().is_ok());
    }
    // It goes on while nobody looks.
    sleep(Duration::from_secs(48)).await;
    assert!(endpoint.show(118).await.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_answer_that_shows_a_jump_is_kept_until_chain_and_head_are_confirmed() {
    for jump in [1_000, 50] {
        let mut endpoint = Endpoint::verified().await;
        assert!(endpoint.show(100).await.await.unwrap().is_ok());
        let call = endpoint.show(jump).await;
        endpoint.serve(CHAIN).await;
        answer_question(&mut endpoint.upstream, "eth_blockNumber", jump).await;
        assert!(call.await.unwrap().is_ok());
        assert!(endpoint.show(jump + 2).await.await.unwrap().is_ok());

        let call = endpoint.show(jump + 1_000).await;
        endpoint.serve(OTHER).await;
        assert!(is_of_another_chain(&call.await.unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_jump_that_the_right_chain_does_not_confirm_is_of_another() {
    let mut endpoint = Endpoint::verified().await;
    assert!(endpoint.show(100).await.await.unwrap().is_ok());
    let call = endpoint.show(1_000).await;
    endpoint.serve(CHAIN).await;
    answer_question(&mut endpoint.upstream, "eth_blockNumber", 101).await;
    assert!(is_unverified(&call.await.unwrap()));
    assert!(endpoint.show(102).await.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn many_answers_that_show_one_jump_cause_few_questions() {
    let (node, service) = node();
    ask(&service, "eth_blockNumber", json!([])).await.unwrap();
    node.chain().mine(1_000);
    node.set(Disruption::SlowBy(Duration::from_millis(50)));
    let calls = (0..100).map(|_| ask(&service, "eth_blockNumber", json!([])));
    assert!(futures::future::join_all(calls).await.iter().all(Result::is_ok));
    assert!(node.calls("eth_chainId") <= 3);
    assert!(node.calls("eth_blockNumber") <= 103);
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_a_verification_do_not_hold_the_places_that_it_needs() {
    let (transport, mut upstream) = mock();
    let service = guard().layer(ConcurrencyLimitLayer::new(2).layer(transport));
    let calls = [1, 2].map(|id| tokio::spawn(service.clone().oneshot(read(id))));
    serve_chain_id(&mut upstream, CHAIN).await;
    let [first, second] = [upstream.next().await.unwrap(), upstream.next().await.unwrap()];
    // Two more stand in line for a place each.
    let [mut third, mut fourth] = [service.clone(), service.clone()];
    assert!(futures::poll!(third.ready()).is_pending());
    assert!(futures::poll!(fourth.ready()).is_pending());
    first.fail(TransportErrorKind::backend_gone());
    sleep(Duration::from_secs(1)).await;
    let id = second.packet().as_single().unwrap().id().as_number().unwrap();
    second.answer(answer(id, "0x"));
    sleep(Duration::from_secs(1)).await;
    // The answer is kept, and both places are taken by those who will wait for it.
    assert!(upstream.is_idle());
    let third = tokio::spawn(third.ready().await.unwrap().call(read(3)));
    let fourth = tokio::spawn(fourth.ready().await.unwrap().call(read(4)));
    serve_chain_id(&mut upstream, CHAIN).await;
    for _ in 0..2 {
        let call = upstream.next().await.unwrap();
        let id = call.packet().as_single().unwrap().id().as_number().unwrap();
        call.answer(answer(id, "0x"));
    }
    for call in [third, fourth] {
        assert!(call.await.unwrap().is_ok());
    }
    let answered = futures::future::join_all(calls).await;
    assert_eq!(answered.iter().filter(|answer| answer.as_ref().unwrap().is_ok()).count(), 1);
}
