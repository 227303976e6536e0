//! Who is sent a transaction, and whose word counts.

mod nodes;
mod stage;

use alclad_core::{CallOptions, Fault, classify};
use alclad_rotation::{EndpointState, Role, Sends};
use alclad_testkit::{Disruption, batch, request};
use nodes::{Nodes, code, in_order, value};
use serde_json::json;
use stage::{dressed, ms, secs, three, transfer};
use std::num::NonZeroUsize;
use tokio::time::{Instant, sleep};

const SEND: &str = "eth_sendRawTransaction";

fn some(count: usize) -> Sends {
    Sends::Some(NonZeroUsize::new(count).expect("not zero"))
}

fn poor() -> Disruption {
    Disruption::rpc_error(-32000, "insufficient funds for gas * price + value")
}

#[tokio::test(start_paused = true)]
async fn a_transaction_goes_to_as_many_as_the_policy_says() {
    for (sends, expected) in
        [(Sends::One, [1, 0, 0]), (some(2), [1, 1, 0]), (some(9), [1, 1, 1]), (Sends::All, [1; 3])]
    {
        let nodes = three(in_order().with_sends(sends));
        let (raw, hash) = transfer(0);
        assert_eq!(value(&nodes.submit(&raw).await.expect("an answer")), json!(hash));
        sleep(secs(1)).await;
        assert_eq!(nodes.sends(), expected, "{sends:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_acceptance_is_the_answer_and_the_other_sends_go_on() {
    let nodes = three(in_order().with_sends(Sends::All));
    for (node, time) in nodes.nodes.iter().zip([500, 100, 300]) {
        node.set(Disruption::SlowBy(ms(time)));
    }
    let begun = Instant::now();
    let (raw, hash) = transfer(0);
    assert_eq!(value(&nodes.submit(&raw).await.expect("an answer")), json!(hash));
    assert_eq!(begun.elapsed(), ms(100));
    sleep(secs(1)).await;
    assert_eq!(nodes.chain.submissions(hash), 3);
    assert!(nodes.nodes.iter().all(|node| node.answered() == 1));
    assert!(nodes.rotation.snapshot().iter().all(|endpoint| endpoint.in_flight == 0));
    assert_eq!([0, 1, 2].map(|node| nodes.state(node)), [EndpointState::Closed; 3]);
}

#[tokio::test(start_paused = true)]
async fn already_known_is_the_hash_wherever_it_is_said() {
    for sends in [Sends::One, Sends::All] {
        let nodes = three(in_order().with_sends(sends));
        nodes.nodes[0].set(Disruption::SlowBy(ms(500)));
        for node in &nodes.nodes[1..] {
            node.set(Disruption::rpc_error(-32000, "already known"));
        }
        let (raw, hash) = transfer(0);
        assert_eq!(value(&nodes.submit(&raw).await.expect("an answer")), json!(hash));
    }
}

#[tokio::test(start_paused = true)]
async fn one_of_three_that_rejects_does_not_beat_an_acceptance() {
    for rejecting in 0..3 {
        let nodes = three(in_order().with_sends(Sends::All));
        nodes.nodes.iter().for_each(|node| node.set(Disruption::SlowBy(ms(100))));
        nodes.nodes[rejecting].set(poor().on(SEND));
        let (raw, hash) = transfer(0);
        assert_eq!(value(&nodes.submit(&raw).await.expect("an answer")), json!(hash));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_believed_once_none_of_the_others_can_accept_any_more() {
    let nodes = three(in_order().with_sends(Sends::All));
    nodes.nodes[0].set(poor().on(SEND));
    nodes.nodes[1].set(poor().on(SEND));
    nodes.nodes[2].set(Disruption::SlowBy(secs(5)));
    nodes.nodes[2].add(poor().on(SEND));
    let begun = Instant::now();
    let answer = nodes.submit(&transfer(0).0).await.expect("an answer");
    assert_eq!(classify(SEND, &answer).fault(), Some(Fault::TxRejected));
    assert_eq!(begun.elapsed(), secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_reported_at_once_in_its_own_words_and_tried_nowhere_else() {
    for (rejection, number) in [
        ("insufficient funds for gas * price + value", -32000),
        ("replacement transaction underpriced", -32000),
        ("intrinsic gas too low", -32000),
        ("nonce too high", -32003),
    ] {
        let nodes = Nodes::new();
        nodes.nodes[0].set(Disruption::rpc_error(number, rejection).on(SEND));
        let answer = nodes.submit(&transfer(0).0).await.expect("an answer");
        let error = answer.payload.as_error().expect("an error");
        assert_eq!((error.code, &*error.message), (number, rejection));
        assert_eq!(nodes.calls(), [1, 0, 0], "{rejection}");
        assert_eq!(nodes.state(0), EndpointState::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn with_one_writer_at_a_time_a_second_is_asked_only_after_a_fault_that_allows_it() {
    let allowed = [
        (Disruption::Dead, true),
        (Disruption::Reset, true),
        (Disruption::LoseAnswer, true),
        (Disruption::http_status(503), true),
        (Disruption::http_status(401), true),
        (Disruption::http_status(402), true),
        (Disruption::too_many_requests(None), true),
        (Disruption::TruncatedJson, false),
        (poor(), false),
        (Disruption::rpc_error(-32601, "the method does not exist"), false),
        (Disruption::rpc_error(-32000, "the flux capacitor is cold"), false),
        (Disruption::SlowBy(secs(5)), false),
    ];
    for (trouble, may_move) in allowed {
        let nodes = Nodes::new();
        nodes.nodes[0].set(trouble.clone().on(SEND));
        let _ = nodes.submit(&transfer(0).0).await;
        assert_eq!(nodes.sends()[1..], [u64::from(may_move), 0], "{trouble:?}");
    }
}

/// `a` reads, `b` writes, `c` does both.
fn with_roles(sends: Sends) -> Nodes {
    dressed(in_order().with_sends(sends), |label, endpoint| {
        endpoint.with_role(match label {
            "a" => Role::Read,
            "b" => Role::Write,
            _ => Role::ReadWrite,
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_writer_is_the_only_one_to_be_sent_transactions_and_is_asked_nothing_else() {
    for sends in [Sends::One, Sends::All] {
        let nodes = with_roles(sends);
        for nonce in 0..5 {
            nodes.submit(&transfer(nonce).0).await.expect("an answer");
            nodes.read_well().await;
            nodes.head().await;
            nodes.chain.mine(1);
        }
        assert_eq!(nodes.sends(), [0, 5, 0], "{sends:?}");
        assert_eq!(nodes.nodes[1].total_calls(), 5);
        // A used up nonce is looked up at a reader.
        let (raw, hash) = transfer(0);
        assert_eq!(value(&nodes.submit(&raw).await.expect("an answer")), json!(hash));
        assert_eq!(nodes.nodes[1].total_calls(), 6);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_leaks_to_the_others_when_the_writer_is_gone() {
    for trouble in [Disruption::Dead, Disruption::http_status(401), Disruption::http_status(503)] {
        let nodes = with_roles(Sends::All);
        nodes.nodes[1].set(trouble.on(SEND));
        for nonce in 0..10 {
            nodes.submit(&transfer(nonce).0).await.expect_err("the writer's error");
        }
        assert_eq!([nodes.sends()[0], nodes.sends()[2]], [0, 0]);
    }
    let nodes = with_roles(Sends::One);
    nodes.rotation.disable(&"b".into());
    nodes.submit(&transfer(0).0).await.expect_err("nobody may take it");
    assert_eq!(nodes.sends(), [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_pin_does_not_lead_a_transaction_past_its_writer_nor_a_read_to_it() {
    for pin in ["a", "b", "c"] {
        let nodes = with_roles(Sends::One);
        let options = || CallOptions::new().pinned_to(pin);
        options().scope(nodes.submit(&transfer(0).0)).await.expect("an answer");
        assert_eq!(nodes.sends(), [0, 1, 0], "pinned to {pin}");
        options().scope(nodes.read_well()).await;
        assert_eq!(nodes.nodes[1].total_calls(), 1, "pinned to {pin}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_reads_and_sends_is_split_by_role() {
    let nodes = with_roles(Sends::One);
    let (raw, hash) = transfer(0);
    let members = [
        request(1, "eth_blockNumber", ()),
        request(2, SEND, json!([raw])),
        request(3, "eth_chainId", ()),
    ];
    let answer = nodes.send(batch(members)).await.expect("answers");
    let values: Vec<_> = answer.responses().iter().map(value).collect();
    assert_eq!(values, [json!("0x14"), json!(hash), json!("0x1")]);
    assert_eq!(nodes.calls(), [2, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn other_writes_go_to_one_writer_whatever_the_policy() {
    for method in ["eth_sendTransaction", "eth_sendBundle", "eth_sendPrivateTransaction"] {
        let nodes = with_roles(Sends::All);
        let answer = nodes.try_ask(method, json!([{}])).await.expect("an answer");
        assert_eq!(code(&answer), -32601, "the testkit knows none of them");
        assert_eq!(nodes.calls(), [0, 1, 0], "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_that_may_not_be_repeated_goes_to_one() {
    let nodes = three(in_order().with_sends(Sends::All));
    nodes.nodes[0].set(Disruption::Dead);
    let once = CallOptions::new().without_retry();
    once.scope(nodes.submit(&transfer(0).0)).await.expect_err("a is dead");
    assert_eq!(nodes.sends(), [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_a_vendor_calls_a_send_is_one_and_no_public_endpoint_sees_it() {
    let nodes = dressed(in_order(), |label, endpoint| match label {
        "c" => endpoint.with_role(Role::Write),
        _ => endpoint,
    });
    for method in [
        "eth_sendPrivateRawTransaction",
        "mev_sendBundle",
        "eth_cancelBundle",
        "eth_callBundle",
        "mev_simBundle",
    ] {
        let _ = nodes.try_ask(method, json!([{}])).await;
        assert_eq!(nodes.calls_of(method), [0, 0, 1], "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_failed_is_tried_again_with_transactions_and_heals() {
    let nodes = dressed(in_order(), |label, endpoint| match label {
        "a" => endpoint,
        _ => endpoint.with_role(Role::Write),
    });
    nodes.nodes[1].set(Disruption::Dead);
    for nonce in 0..5 {
        nodes.submit(&transfer(nonce).0).await.expect("c accepts it");
    }
    assert!(matches!(nodes.state(1), EndpointState::Open { .. }));
    nodes.nodes[1].clear();
    sleep(secs(2)).await;
    for nonce in 5..9 {
        nodes.submit(&transfer(nonce).0).await.expect("it is accepted");
    }
    assert_eq!(nodes.state(1), EndpointState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_send_goes_to_all_writers_wherever_it_stands_in_a_batch() {
    let nodes = three(in_order().with_sends(Sends::All));
    let send = request(2, "eth_sendRawTransaction", json!([transfer(0).0]));
    let packet = batch([request(1, "eth_blockNumber", json!([])), send]);
    nodes.send(packet).await.expect("an answer");
    sleep(ms(1)).await;
    assert_eq!(nodes.sends(), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn who_takes_errors_for_answers_sends_to_one_writer() {
    let nodes = three(in_order().with_sends(Sends::All));
    let refusal = "insufficient funds for gas * price + value";
    nodes.nodes[0].set(Disruption::rpc_error(-32000, refusal));
    let options = CallOptions::new().ignoring_errors();
    let (raw, _) = transfer(0);
    let answer = options.scope(nodes.submit(&raw)).await.expect("an answer");
    assert_eq!((code(&answer), nodes.sends()), (-32000, [1, 0, 0]));
}
