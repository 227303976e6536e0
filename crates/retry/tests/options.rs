//! What the caller wants of one call, in its extensions and by a scope around it.

mod support;

use alclad_core::{CallOptions, error::DeadlineExceeded, error::cause};
use alclad_testkit::{StrictTransport, answer, assert_ids, batch, error, request, single};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::TransportError;
use std::time::Duration;
use support::{Conversation, errors, exact, http, read};
use tower::{Layer, ServiceExt};

fn with(options: CallOptions) -> RequestPacket {
    let mut read = request(1, "eth_call", ());
    read.meta_mut().extensions_mut().insert(options);
    single(read)
}

/// The packet goes through the layer inside a scope.
async fn scoped(
    options: CallOptions,
    packet: RequestPacket,
    transport: StrictTransport,
) -> Result<ResponsePacket, TransportError> {
    options.scope(exact().layer(transport).oneshot(packet)).await
}

/// The same options, once in the extensions and once around the call.
const WAYS: [fn(CallOptions) -> Conversation; 2] = [
    |options| Conversation::of(&exact(), with(options)),
    |options| Conversation::during(|transport| scoped(options, read(), transport)),
];

#[tokio::test(start_paused = true)]
async fn a_call_that_wants_no_retry_is_asked_once() {
    for way in WAYS {
        let mut talk = way(CallOptions::new().without_retry());
        talk.hears_read(0).await.fail(http(503));
        assert!(talk.ends(0).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ignores_errors_takes_them_for_answers() {
    for way in WAYS {
        let mut talk = way(CallOptions::new().ignoring_errors());
        talk.hears_read(0).await.answer(error(1, -32005, "slow down"));
        assert_eq!(errors(&talk.ends(0).await.unwrap()), [Some((-32005, "slow down"))]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_holds_whichever_way_it_came() {
    for way in WAYS {
        let mut talk = way(CallOptions::new().with_timeout(Duration::from_millis(150)));
        talk.hears_read(0).await.fail(http(503));
        let _unanswered = talk.hears_read(100).await;
        let error = talk.ends(150).await.unwrap_err();
        assert_eq!(cause::<DeadlineExceeded>(&error).unwrap().attempts, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_calls_own_options_win_over_those_around_it() {
    let within = |millis| CallOptions::new().with_timeout(Duration::from_millis(millis));
    let (around, own) = (within(50), with(within(150)));
    let mut talk = Conversation::during(|transport| scoped(around, own, transport));
    talk.hears_read(0).await.fail(http(503));
    talk.hears_read(100).await.answer(answer(1, "0x"));
    assert!(talk.ends(100).await.unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn the_innermost_scope_wins() {
    let (outer, inner) = (CallOptions::new().without_retry(), CallOptions::new());
    let mut talk = Conversation::during(|transport| outer.scope(scoped(inner, read(), transport)));
    talk.hears_read(0).await.fail(http(503));
    talk.hears_read(100).await.answer(answer(1, "0x"));
    assert!(talk.ends(100).await.unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn options_of_one_member_do_not_bind_the_others() {
    let mut once = request(1, "eth_call", ());
    once.meta_mut().extensions_mut().insert(CallOptions::new().without_retry());
    let mut talk = Conversation::of(&exact(), batch([once, request(2, "eth_call", ())]));
    let slow_down = [1, 2].map(|id| error(id, -32005, "slow down"));
    talk.hears(0, &[(1, "eth_call"), (2, "eth_call")]).await.answer_batch(slow_down);
    talk.hears(100, &[(2, "eth_call")]).await.answer_batch([answer(2, "0x")]);
    let answer = talk.ends(100).await.unwrap();
    assert_ids(&answer, &[1, 2]);
    assert_eq!(errors(&answer), [Some((-32005, "slow down")), None]);
}

#[tokio::test(start_paused = true)]
async fn the_layers_below_find_the_scopes_options_in_the_extensions() {
    let options = CallOptions::new().pinned_to("archive").without_cache();
    let around = options.clone();
    let mut talk = Conversation::during(|transport| scoped(around, read(), transport));
    for at in [0, 100] {
        let call = talk.hears_read(at).await;
        assert_eq!(CallOptions::of(call.packet().as_single().unwrap()), Some(&options));
        match at {
            0 => call.fail(http(503)),
            _ => call.answer(answer(1, "0x")),
        }
    }
    assert!(talk.ends(100).await.is_ok());
}
