//! What nobody sane would do to a rotation.

mod nodes;

use alclad_core::{
    CallOptions, Fault,
    error::{AllParked, TypedError},
};
use alclad_rotation::{Endpoint, EndpointState, Rotation, RotationBuilder};
use alclad_testkit::{
    Disruption, RetryAfter, SimNode, answer, assert_ids, batch, error, request, single,
};
use alloy_json_rpc::{ErrorPayload, Id, RequestPacket, Response, ResponsePacket, ResponsePayload};
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};
use futures::future::join_all;
use nodes::{Nodes, in_order, value};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::{advance, sleep, timeout};
use tower::{ServiceExt, service_fn};

type Answer = Result<ResponsePacket, TransportError>;

/// Adds an endpoint whose answers this function makes, from how many packets there were before.
fn scripted(
    builder: RotationBuilder,
    label: &str,
    answer: impl Fn(u64, RequestPacket) -> (Duration, Answer) + Clone + Send + Sync + 'static,
) -> RotationBuilder {
    let calls = Arc::new(AtomicU64::new(0));
    builder.endpoint(Endpoint::new(
        label,
        service_fn(move |packet: RequestPacket| -> TransportFut<'static> {
            let (wait, answer) = answer(calls.fetch_add(1, Relaxed), packet);
            Box::pin(async move {
                sleep(wait).await;
                answer
            })
        }),
    ))
}

fn every(packet: &RequestPacket, make: impl Fn(u64) -> Response) -> Answer {
    let number = |id: &Id| id.as_number().expect("a number");
    Ok(match packet {
        RequestPacket::Single(request) => ResponsePacket::Single(make(number(request.id()))),
        RequestPacket::Batch(all) => {
            all.iter().map(|r| make(number(r.id()))).collect::<Vec<_>>().into()
        }
    })
}

fn well(packet: &RequestPacket) -> (Duration, Answer) {
    (Duration::ZERO, every(packet, |id| answer(id, "0x1")))
}

/// `a` as scripted, and `b`, which is well.
fn beside_a_good_one(
    answer: impl Fn(u64, RequestPacket) -> (Duration, Answer) + Clone + Send + Sync + 'static,
) -> Rotation {
    let builder = scripted(in_order(), "a", answer);
    scripted(builder, "b", |_, packet| well(&packet)).build()
}

fn limited(seconds: Option<u64>) -> TransportError {
    let hint = seconds.map(Duration::from_secs);
    TransportErrorKind::http_error_with_retry_after(429, "slow down".into(), hint)
}

fn chain_id(id: u64) -> RequestPacket {
    single(request(id, "eth_chainId", ()))
}

/// The first node's circuit is open.
async fn with_the_first_open() -> Nodes {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::Reset);
    for _ in 0..5 {
        nodes.read_well().await;
    }
    assert!(matches!(nodes.state(0), EndpointState::Open { .. }));
    nodes.nodes[0].reset_counters();
    nodes
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_refusals_without_a_hint_is_one_refusal() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::SlowBy(Duration::from_millis(10)));
    nodes.nodes[0].add(Disruption::too_many_requests(None));
    join_all((0..16).map(|_| nodes.read_well())).await;
    let EndpointState::Parked { left, .. } = nodes.state(0) else { panic!("it is parked") };
    assert!(left <= Duration::from_secs(1), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_late_and_shorter_hint_does_not_cut_a_longer_one_short() {
    let rotation = beside_a_good_one(|call, _| match call {
        0 => (Duration::from_millis(10), Err(limited(Some(60)))),
        _ => (Duration::from_millis(20), Err(limited(Some(1)))),
    });
    join_all([1, 2].map(|id| rotation.clone().oneshot(chain_id(id)))).await;
    let EndpointState::Parked { left, .. } = rotation.snapshot()[0].state else { panic!() };
    assert!(left > Duration::from_secs(50), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_says_now_for_ever_is_not_asked_for_ever() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::too_many_requests(Some(RetryAfter::Seconds(0))));
    for _ in 0..100 {
        nodes.read_well().await;
    }
    assert!(nodes.nodes[0].total_calls() <= 10, "{:?}", nodes.calls());
}

#[tokio::test(start_paused = true)]
async fn a_write_goes_to_a_dead_endpoint_neither_with_a_probe_nor_with_a_pinned_member() {
    let mut pinned = request(1, "eth_blockNumber", ());
    pinned.meta_mut().extensions_mut().insert(CallOptions::new().pinned_to("a"));
    for (first, wait) in [(request(1, "eth_chainId", ()), 1001), (pinned, 0)] {
        let nodes = with_the_first_open().await;
        advance(Duration::from_millis(wait)).await;
        let write = request(2, "eth_sendTransaction", ());
        let _ = nodes.send(batch([first, write])).await;
        assert_eq!(nodes.nodes[0].calls("eth_sendTransaction"), 0, "after {wait} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_filter_can_be_pinned_to_an_endpoint_that_is_not_the_first() {
    let nodes = Nodes::new();
    let packet = single(request(1, "eth_newBlockFilter", ()));
    nodes.rotation.pinned("c").oneshot(packet).await.expect("c is there");
}

#[tokio::test(start_paused = true)]
async fn an_error_without_words_does_not_agree_with_an_earlier_one() {
    let unknown = |id| error(id, -32099, "the flux capacitor is cold");
    let answer = move |_, packet: RequestPacket| (Duration::ZERO, every(&packet, unknown));
    let builder = scripted(in_order(), "a", answer);
    let builder = scripted(builder, "b", |_, _| {
        let strange = TransportErrorKind::custom_str("the tachyons ran out");
        assert_eq!(Fault::of_error("eth_chainId", &strange), Fault::Unknown);
        (Duration::ZERO, Err(strange))
    });
    let rotation = scripted(builder, "c", |_, packet| well(&packet)).build();
    let answer = rotation.oneshot(chain_id(1)).await.expect("an answer");
    assert!(answer.is_success(), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn our_own_limiter_says_nothing_good_of_an_endpoint_in_trouble() {
    let rotation = beside_a_good_one(|call, _| match call {
        0..5 => (Duration::ZERO, Err(TransportErrorKind::backend_gone())),
        _ => (Duration::ZERO, Err(AllParked::new(Duration::from_secs(1)).into_transport_error())),
    });
    for id in 0..5 {
        rotation.clone().oneshot(chain_id(id)).await.expect("b's answer");
    }
    advance(Duration::from_millis(1001)).await;
    for id in 0..3 {
        rotation.clone().oneshot(chain_id(id)).await.expect("b's answer");
    }
    assert_ne!(rotation.snapshot()[0].state, EndpointState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_null_that_the_next_one_cannot_confirm_is_asked_for_at_the_one_after() {
    let nodes = Nodes::new();
    nodes.nodes[0].set_lag(5);
    nodes.nodes[1].set(Disruption::Dead);
    let block = nodes.ask("eth_getBlockByNumber", json!(["0x14", false])).await;
    assert_eq!(value(&block)["number"], "0x14");
}

#[tokio::test(start_paused = true)]
async fn a_null_where_only_a_value_can_stand_is_not_believed() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::NullAnswers);
    nodes.read_well().await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_endpoint_is_found_out_though_a_member_fails_everywhere() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::rpc_error(-32603, "Internal error"));
    for node in &nodes.nodes[1..] {
        node.set(Disruption::rpc_error(-32603, "Internal error").on("eth_getCode"));
    }
    let poison = json!([nodes.chain.accounts()[0], "0x5"]);
    for _ in 0..20 {
        let members = [request(1, "eth_chainId", ()), request(2, "eth_getCode", poison.clone())];
        let answer = nodes.send(batch(members)).await.expect("answers");
        assert_eq!(value(&answer.responses()[0]), json!("0x1"));
    }
    assert!(matches!(nodes.state(0), EndpointState::Open { .. }), "{:?}", nodes.state(0));
}

#[tokio::test(start_paused = true)]
async fn a_pin_outlives_a_deadline_that_is_given_elsewhere() {
    let nodes = Nodes::new();
    let pinned = nodes.rotation.pinned("c");
    let limit = CallOptions::new().with_timeout(Duration::from_secs(3));
    limit.scope(pinned.oneshot(chain_id(1))).await.expect("an answer");
    assert_eq!(nodes.calls(), [0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_does_not_hide_when_the_other_endpoint_is_free_again() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::http_status(401));
    for node in &nodes.nodes[1..] {
        node.set(Disruption::too_many_requests(Some(RetryAfter::Seconds(2))));
    }
    nodes.send(chain_id(1)).await.expect_err("nobody serves");
    let error = nodes.send(chain_id(2)).await.unwrap_err();
    let fault = Fault::of_error("eth_chainId", &error);
    assert!(matches!(fault, Fault::RateLimited { .. }), "{fault}: a retry would help in 2 s");
}

#[tokio::test(start_paused = true)]
async fn receipts_that_are_polled_leave_something_for_retries() {
    let nodes = Nodes::new();
    let hash = format!("0x{}", "ab".repeat(32));
    for _ in 0..1000 {
        nodes.ask("eth_getTransactionReceipt", json!([hash])).await;
    }
    assert!(nodes.rotation.budget().balance() >= 5, "{:?}", nodes.rotation.budget());
}

#[tokio::test(start_paused = true)]
async fn impatient_callers_get_past_a_black_hole() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::BlackHole);
    let mut answered = 0;
    for id in 0..100 {
        let options = CallOptions::new().with_timeout(Duration::from_millis(900));
        answered += u32::from(options.scope(nodes.send(chain_id(id))).await.is_ok());
    }
    assert!(answered > 50, "{answered} of 100");
}

#[tokio::test(start_paused = true)]
async fn one_forbidden_method_does_not_park_an_endpoint_that_answers_the_rest() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::rpc_error(-32000, "access denied").on("eth_getCode"));
    let forbidden = request(2, "eth_getCode", json!([nodes.chain.accounts()[0], "0x5"]));
    nodes.send(batch([request(1, "eth_chainId", ()), forbidden])).await.expect("answers");
    assert_eq!(nodes.state(0), EndpointState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_teaches_nothing_about_its_methods() {
    let refusal = |_: &RequestPacket| {
        let message = "the method batch does not exist/is not available".into();
        let payload = ErrorPayload { code: -32601, message, data: None };
        Response { id: Id::None, payload: ResponsePayload::Failure(payload) }
    };
    let rotation = beside_a_good_one(move |_, packet| match packet {
        RequestPacket::Batch(_) => (Duration::ZERO, Ok(ResponsePacket::Single(refusal(&packet)))),
        RequestPacket::Single(_) => well(&packet),
    });
    let members = [request(1, "eth_chainId", ()), request(2, "eth_blockNumber", ())];
    rotation.clone().oneshot(batch(members)).await.expect("b's answers");
    assert!(rotation.snapshot()[0].unsupported.is_empty(), "{:?}", rotation.snapshot()[0]);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_answers_garbage_proves_nothing() {
    let (to, word) = ("01".repeat(20), "01".repeat(32));
    let raw = format!("0x02f86b0180843b9aca0085174876e80082520894{to}8080c080a0{word}a0{word}");
    let send = request(1, "eth_sendRawTransaction", json!([raw]));
    assert!(alclad_core::send::transaction_hash(&send).is_some());
    for garbage in [json!(true), json!("0x1"), json!({ "hash": "0x1" })] {
        let rotation = scripted(in_order(), "a", move |call, packet| {
            let nonce = |id| error(id, -32000, "nonce too low");
            let answer = |id| answer(id, &garbage);
            let answers = if call == 0 { every(&packet, nonce) } else { every(&packet, answer) };
            (Duration::ZERO, answers)
        });
        let answer = rotation.build().oneshot(single(send.clone())).await.expect("an answer");
        assert!(!answer.is_success(), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_blames_the_endpoint_that_was_being_asked() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::MissingMembers);
    nodes.nodes[1].set(Disruption::BlackHole);
    let options = CallOptions::new().with_timeout(Duration::from_secs(2));
    let members = (0..10).map(|id| request(id, "eth_chainId", ()));
    let answer = options.scope(nodes.send(batch(members))).await.expect("some answers");
    let errors = answer.responses().iter().filter_map(|answer| answer.payload.as_error());
    let messages: Vec<_> = errors.map(|error| error.message.to_string()).collect();
    assert!(messages.iter().all(|message| message == "endpoint b: Timeout"), "{messages:?}");
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn trouble(&mut self, node: usize) -> Option<Disruption> {
        let unknown = format!("the flux capacitor {node} is cold");
        let troubles = [
            Disruption::Dead,
            Disruption::Reset,
            Disruption::MissingMembers,
            Disruption::ReorderedMembers,
            Disruption::DuplicatedMembers,
            Disruption::ForeignIds,
            Disruption::http_status(401),
            Disruption::too_many_requests(Some(RetryAfter::Seconds(1))),
            Disruption::rpc_error(-32005, "limit exceeded"),
            Disruption::rpc_error(-32000, "missing trie node 12ab"),
            Disruption::rpc_error(-32099, unknown),
        ];
        troubles.get(self.roll(16) as usize).cloned()
    }

    fn question(&mut self, nodes: &Nodes) -> (&'static str, Value) {
        let account = nodes.chain.accounts()[0];
        let block = format!("0x{:x}", 1 + self.roll(15));
        match self.roll(5) {
            0 => ("eth_chainId", json!([])),
            1 => ("eth_getBlockByNumber", json!([block, false])),
            2 => ("eth_call", json!([{ "to": account, "data": "0x12345678" }, block])),
            3 => ("eth_getBlockReceipts", json!([block])),
            _ => ("eth_getBalance", json!([account, block])),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_one_endpoint_is_well_every_member_is_answered_once_right_and_in_order() {
    for seed in (1..=20).map(|seed| seed << 40) {
        println!("seed {seed}");
        let (mut dice, nodes) = (Dice(seed), Nodes::new());
        for _ in 0..60 {
            for (index, node) in nodes.nodes[..2].iter().enumerate() {
                if dice.roll(4) == 0 {
                    node.clear();
                    let share = [1.0, 0.5][dice.roll(2) as usize];
                    dice.trouble(index).into_iter().for_each(|t| node.set(t.with_share(share)));
                }
            }
            let asked: Vec<_> = (0..=dice.roll(8)).map(|_| dice.question(&nodes)).collect();
            let members = asked.iter().zip(0..).map(|((method, p), id)| request(id, *method, p));
            let answer = nodes.send(batch(members)).await.expect("answers");
            assert_ids(&answer, &(0..asked.len() as u64).collect::<Vec<_>>());
            for ((method, params), answer) in asked.into_iter().zip(answer.responses()) {
                let truth = nodes.chain.answer(method, params).expect("the truth");
                assert_eq!(value(answer), truth, "{method}");
            }
            sleep(Duration::from_millis(dice.roll(2000))).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_dropped_anywhere_leave_nothing_behind() {
    for seed in (1..=10).map(|seed| seed << 40) {
        println!("seed {seed}");
        let (mut dice, nodes) = (Dice(seed), Nodes::new());
        for node in &nodes.nodes {
            node.set(Disruption::SlowBy(Duration::from_millis(1 + dice.roll(100))));
        }
        nodes.nodes[0].add(Disruption::Reset.with_share(0.5));
        nodes.nodes[1].add(Disruption::NullAnswers.with_share(0.3));
        let mut calls = Vec::new();
        for id in 0..200 {
            let (method, params) = dice.question(&nodes);
            let call = nodes.rotation.clone().oneshot(single(request(id, method, params)));
            let patience = Duration::from_millis(dice.roll(300));
            calls.push(tokio::spawn(timeout(patience, call)));
            sleep(Duration::from_millis(dice.roll(30))).await;
        }
        join_all(calls).await.into_iter().for_each(|call| drop(call.expect("no panic")));
        assert!(nodes.rotation.snapshot().iter().all(|seat| seat.in_flight == 0));
        nodes.nodes.iter().for_each(SimNode::clear);
        advance(Duration::from_secs(3600)).await;
        join_all((0..3).map(|_| nodes.read_well())).await;
        assert_eq!(nodes.state(0), EndpointState::Closed);
    }
}
