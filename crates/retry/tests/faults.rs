//! After which faults it asks again, and after which not.

mod support;

use alclad_testkit::{ErrorObject, REVERT_DATA, answer, answers, error, error_object};
use alloy_json_rpc::{ErrorPayload, Id, Response, ResponsePacket, ResponsePayload};
use alloy_transport::{TransportError, TransportErrorKind};
use std::io;
use support::{Conversation, errors, exact, http, io, read};

/// The first attempt fails so, and the second is answered.
async fn is_retried(failure: Result<ResponsePacket, TransportError>) {
    let mut talk = Conversation::of(&exact(), read());
    let first = talk.hears_read(0).await;
    match failure {
        Ok(packet) => first.respond(packet),
        Err(error) => first.fail(error),
    }
    talk.hears_read(100).await.answer(answer(1, "0x"));
    assert!(talk.ends(100).await.unwrap().is_success());
}

/// The answer is the caller's, as it is.
async fn is_final(code: i64, message: &'static str) {
    let mut talk = Conversation::of(&exact(), read());
    talk.hears_read(0).await.answer(error(1, code, message));
    assert_eq!(errors(&talk.ends(0).await.unwrap()), [Some((code, message))]);
}

#[tokio::test(start_paused = true)]
async fn failures_of_the_server_are_retried() {
    for status in [408, 500, 502, 503, 504, 520] {
        is_retried(Err(http(status))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn failures_of_the_connection_are_retried() {
    for kind in [
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::UnexpectedEof,
        io::ErrorKind::TimedOut,
    ] {
        is_retried(Err(io(kind))).await;
    }
    is_retried(Err(TransportErrorKind::backend_gone())).await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_in_a_success_is_retried() {
    let limited = error(1, -32005, "limit exceeded");
    is_retried(Ok(ResponsePacket::Single(limited))).await;
    is_retried(Err(http(429))).await;
}

#[tokio::test(start_paused = true)]
async fn a_page_instead_of_an_answer_is_retried() {
    let page = "<html>502</html>";
    let error = serde_json::from_str::<()>(page).unwrap_err();
    is_retried(Err(TransportError::deser_err(error, page))).await;
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_another_question_is_retried() {
    is_retried(Ok(ResponsePacket::Single(answer(2, "0x")))).await;
    is_retried(Ok(answers([answer(2, "0x")]))).await;
    is_retried(Ok(answers([]))).await;
    is_retried(Ok(answers([answer(1, "0x1"), answer(1, "0x2")]))).await;
    is_retried(Ok(ResponsePacket::Single(anonymous(ResponsePayload::internal_error())))).await;
}

fn anonymous(payload: ResponsePayload) -> Response {
    Response { id: Id::None, payload }
}

#[tokio::test(start_paused = true)]
async fn an_error_without_an_id_is_the_errors_of_the_question() {
    let limited = ErrorPayload { code: -32005, message: "slow down".into(), data: None };
    for batch in [false, true] {
        let limited = anonymous(ResponsePayload::Failure(limited.clone()));
        let mut talk = Conversation::of(&exact(), read());
        for at in [0, 100, 300, 700, 1_500] {
            let call = talk.hears_read(at).await;
            match batch {
                false => call.answer(limited.clone()),
                true => call.answer_batch([limited.clone()]),
            }
        }
        let answer = talk.ends(1_500).await.unwrap();
        assert_eq!(errors(&answer), [Some((-32005, "slow down"))]);
        assert_eq!(answer.responses()[0].id, Id::Number(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_in_a_batch_of_one_is_the_answer() {
    let mut talk = Conversation::of(&exact(), read());
    talk.hears_read(0).await.answer_batch([answer(1, "0x7")]);
    let answer = talk.ends(0).await.unwrap();
    assert_eq!(answer.as_single().unwrap().payload.as_success().unwrap().get(), "\"0x7\"");
}

#[tokio::test(start_paused = true)]
async fn what_the_endpoint_would_say_again_is_not_asked_again() {
    is_final(-32602, "invalid argument 0: hex string without 0x prefix").await;
    is_final(-32600, "invalid request").await;
    is_final(-32601, "the method eth_call does not exist/is not available").await;
    is_final(-32005, "query returned more than 10000 results").await;
    is_final(-32000, "gas required exceeds allowance (21000)").await;
    is_final(-32000, "out of cheese").await;
    is_final(-32001, "invalid api key").await;
}

#[tokio::test(start_paused = true)]
async fn a_revert_is_final_whatever_its_reason_says() {
    is_final(3, "execution reverted: rate limit exceeded, try again in 5s").await;
    let mut talk = Conversation::of(&exact(), read());
    let reverted = error_object(1, ErrorObject::reverted(REVERT_DATA));
    talk.hears_read(0).await.answer(reverted.clone());
    let answer = talk.ends(0).await.unwrap();
    let data = |payload: &ResponsePayload| payload.as_error().unwrap().data.clone().unwrap();
    assert_eq!(data(answer.first_payload().unwrap()).get(), data(&reverted.payload).get());
}

#[tokio::test(start_paused = true)]
async fn a_status_that_waiting_does_not_change_is_final() {
    for status in [400, 401, 402, 403] {
        let mut talk = Conversation::of(&exact(), read());
        talk.hears_read(0).await.fail(http(status));
        let error = talk.ends(0).await.unwrap_err();
        assert_eq!(error.as_transport_err().unwrap().as_http_error().unwrap().status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn null_is_not_a_fault() {
    for method in ["eth_call", "eth_getTransactionReceipt"] {
        let mut talk = Conversation::of(&exact(), support::ask(method));
        talk.hears(0, &[(1, method)]).await.answer(answer(1, ()));
        assert!(talk.ends(0).await.unwrap().is_success());
    }
}

#[tokio::test(start_paused = true)]
async fn exhaustion_returns_the_last_real_answer() {
    let mut talk = Conversation::of(&exact(), read());
    talk.hears_read(0).await.answer(error(1, -32005, "first"));
    let last = ErrorObject::new(-32005, "second").with_data("whole");
    talk.hears_read(100).await.answer(error_object(1, last));
    for at in [300, 700, 1_500] {
        talk.hears_read(at).await.fail(http(503));
    }
    let answer = talk.ends(1_500).await.unwrap();
    assert_eq!(errors(&answer), [Some((-32005, "second"))]);
    assert_eq!(answer.first_error_data().unwrap().get(), "\"whole\"");
}
