//! Policies and classifiers of one's own, and what the layer tells them.

mod support;

use alclad_core::{Budget, EndpointId, Evidence, Fault, note};
use alclad_retry::{Decision, RetryEvent, RetryLayer, RetryPolicy};
use alclad_testkit::{answer, error};
use alloy_json_rpc::Id;
use alloy_transport::{TransportErrorKind, TransportFut};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use support::{Answer, Conversation, ask, errors, exact, http, read, reads};
use tower::{Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn a_closure_decides() {
    let layer = RetryLayer::with_policy(|event: RetryEvent| match event.attempt {
        1 => Decision::RetryAfter(Duration::from_millis(7)),
        _ => Decision::Stop,
    });
    let mut talk = Conversation::of(&layer, read());
    talk.hears_read(0).await.fail(http(400));
    talk.hears_read(7).await.fail(http(400));
    assert!(talk.ends(7).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_policy_need_not_be_clone() {
    struct Once(Mutex<u32>);
    impl RetryPolicy for Once {
        fn decide(&self, _: RetryEvent) -> Decision {
            *self.0.lock().unwrap() += 1;
            Decision::Stop
        }
    }
    let layer = RetryLayer::with_policy(Once(Mutex::new(0))).with_budget(Budget::unlimited());
    let mut talk = Conversation::of(&layer.clone(), read());
    talk.hears_read(0).await.fail(http(503));
    assert!(talk.ends(0).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_policy_behind_an_arc_is_a_policy() {
    let never: Arc<dyn RetryPolicy> = Arc::new(|_: RetryEvent| Decision::Stop);
    let mut talk = Conversation::of(&RetryLayer::with_policy(never), read());
    talk.hears_read(0).await.fail(http(503));
    assert!(talk.ends(0).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_told_what_happened() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&events);
    let layer = RetryLayer::with_policy(move |event: RetryEvent| {
        log.lock().unwrap().push(event);
        Decision::RetryAfter(Duration::from_millis(50))
    });
    let mut talk = Conversation::of(&layer, ask("eth_getLogs"));
    let logs = &[(1, "eth_getLogs")];
    talk.hears(0, logs).await.fail(http(503));
    talk.hears(50, logs).await.answer(error(1, -32000, "header not found"));
    talk.hears(100, logs).await.answer(answer(1, ()));
    assert!(talk.ends(100).await.is_ok());

    let events = events.lock().unwrap();
    let told = events.iter().map(|event| (event.fault, event.attempt, event.elapsed));
    let expected = [
        (Fault::ServerError, 1, Duration::ZERO),
        (Fault::MissingData, 2, Duration::from_millis(50)),
    ];
    assert_eq!(Vec::from_iter(told), expected);
    assert!(events.iter().all(|event| event.method.name == "eth_getLogs"));
    assert!(events.iter().all(|event| (0.0..1.0).contains(&event.spread)));
}

#[tokio::test(start_paused = true)]
async fn members_that_failed_together_have_the_same_dice() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    fastrand::seed(seed);
    let layer = RetryLayer::with_policy(|event: RetryEvent| match event.attempt {
        1 | 2 => Decision::RetryAfter(Duration::from_secs(1).mul_f64(event.spread)),
        _ => Decision::Stop,
    });
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut at = 0;
    let mut talk = Conversation::of(&layer, reads(1..=3));
    for _ in 0..2 {
        let all = [(1, "eth_call"), (2, "eth_call"), (3, "eth_call")];
        talk.hears(at, &all).await.fail(http(503));
        // The clock counts in milliseconds, and wakes nobody early.
        at += (dice.f64() * 1_000.0).ceil() as u64;
    }
    talk.hears(at, &[(1, "eth_call"), (2, "eth_call"), (3, "eth_call")]).await.fail(http(503));
    assert!(talk.ends(at).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_classifier_of_ones_own_is_heard_first() {
    let lunch = |e: &Evidence<'_>| e.message.contains("lunch").then_some(Fault::ServerError);
    let mut talk = Conversation::of(&exact().with_classifier(lunch), read());
    talk.hears_read(0).await.answer(error(1, 3, "execution reverted: lunch break"));
    let failure = TransportErrorKind::http_error(400, "still at lunch".to_owned());
    talk.hears_read(100).await.fail(failure);
    talk.hears_read(300).await.answer(error(1, 3, "execution reverted: dinner"));
    let answer = talk.ends(300).await.unwrap();
    assert_eq!(errors(&answer), [Some((3, "execution reverted: dinner"))]);
}

#[tokio::test(start_paused = true)]
async fn the_layer_above_is_told_how_often_and_whom_it_asked() {
    let mut talk = Conversation::during(|transport| async {
        let at = EndpointId::new("a");
        let (answer, notes) =
            note::capture_at(at.clone(), exact().layer(transport).oneshot(read())).await;
        let note = notes.of(&Id::Number(1));
        assert_eq!((note.attempts, note.endpoint.as_ref()), (3, Some(&at)));
        answer
    });
    talk.hears_read(0).await.fail(http(503));
    talk.hears_read(100).await.fail(http(503));
    talk.hears_read(300).await.answer(answer(1, "0x"));
    assert!(talk.ends(300).await.is_ok());
}

/// As an HTTP transport would.
async fn noting_the_status(answer: TransportFut<'static>) -> Answer {
    let answer = answer.await;
    let status = if answer.is_ok() { 200 } else { 503 };
    note::record(|note| note.http_status = Some(status));
    answer
}

#[tokio::test(start_paused = true)]
async fn what_was_noted_below_reaches_the_layer_above() {
    let mut talk = Conversation::during(|transport| async {
        let service = exact().layer(transport.map_future(noting_the_status));
        for attempts in [0, 2] {
            let (answer, notes) = note::capture(service.clone().oneshot(read())).await;
            assert!(answer.unwrap().is_success());
            let note = notes.of(&Id::Number(1));
            assert_eq!((note.http_status, note.attempts), (Some(200), attempts));
        }
        service.oneshot(read()).await
    });
    talk.hears_read(0).await.answer(answer(1, "0x"));
    talk.hears_read(0).await.fail(http(503));
    talk.hears_read(100).await.answer(answer(1, "0x"));
    talk.hears_read(100).await.answer(answer(1, "0x"));
    assert!(talk.ends(100).await.is_ok());
}
