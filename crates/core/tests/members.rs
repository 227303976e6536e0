//! A packet is judged member by member, and its answers are put together again.

use alclad_core::{
    AnswerNote, CallOptions, EndpointId, Fault, Limiter, Members, Notes, Outcome, Questions,
    classify,
    error::{BadAnswer, DuplicateId, Misfit, NoEndpoint, TypedError, cause},
    note, send,
};
use alclad_testkit::{answer, answers, assert_packet, batch, error, request, single};
use alloy_json_rpc::{Id, RequestPacket, Response, ResponsePacket};
use alloy_transport::TransportErrorKind;
use std::time::Duration;

const ALL: [usize; 3] = [0, 1, 2];

/// Three reads with the ids 1, 2 and 3.
fn three() -> Members {
    members(&batch((1..=3).map(|id| request(id, "eth_call", ()))))
}

fn members(packet: &RequestPacket) -> Members {
    Members::new(Questions::new(packet, true).expect("the ids differ"))
}

fn absorb(members: &mut Members, asked: &[usize], answer: ResponsePacket) {
    members.absorb(asked, Ok(answer), &Notes::default(), None);
}

#[test]
fn what_is_sent_again_is_a_batch_if_the_callers_was_one() {
    let batch = members(&batch([request(7, "eth_call", ()), request(8, "eth_gasPrice", ())]));
    assert_packet(&batch.packet(&[1]), &[(8, "eth_gasPrice")]);
    assert!(batch.packet(&[1]).as_batch().is_some());
    assert_packet(&batch.packet(&[0, 1]), &[(7, "eth_call"), (8, "eth_gasPrice")]);
    let single = members(&single(request(7, "eth_call", ())));
    assert!(single.packet(&[0]).as_single().is_some());
}

#[test]
fn two_members_with_one_id_are_no_questions() {
    let twice = batch([1, 2, 1].map(|id| request(id, "eth_call", ())));
    let error = Questions::new(&twice, false).unwrap_err();
    assert_eq!(cause::<DuplicateId>(&error).unwrap().id, Id::Number(1));
    assert!(error.as_transport_err().unwrap().is_non_retryable());
}

#[test]
fn a_member_that_was_given_away_still_knows_what_it_asked() {
    let mut read = request(1, "eth_call", ());
    let options = CallOptions::new().ignoring_errors();
    read.meta_mut().extensions_mut().insert(options.clone());
    let members = Members::new(Questions::new(&single(read), false).unwrap());
    let question = members[0].question();
    assert_eq!((question.id(), question.name()), (&Id::Number(1), "eth_call"));
    assert_eq!((question.options(), question.request().is_none()), (Some(&options), true));
}

#[test]
fn a_send_is_kept_so_that_its_hash_can_decide() {
    let packet = single(request(1, send::SEND_RAW_TRANSACTION, ("0x00",)));
    let members = Members::new(Questions::new(&packet, false).unwrap());
    assert!(members[0].question().request().is_some());
}

#[test]
fn an_answer_is_good_at_first_sight_only_in_full_and_in_order() {
    let questions = |packet: &RequestPacket| Questions::new(packet, false).unwrap();
    let one = questions(&single(request(1, "eth_call", ())));
    assert!(one.are_answered_by(&ResponsePacket::Single(answer(1, "0x"))));
    assert!(!one.are_answered_by(&ResponsePacket::Single(answer(2, "0x"))));
    assert!(!one.are_answered_by(&ResponsePacket::Single(error(1, 3, "execution reverted"))));
    assert!(!one.are_answered_by(&answers([answer(1, "0x")])));
    for (method, null_is_answer) in
        [("eth_getTransactionReceipt", false), ("eth_call", false), ("acme_frobnicate", true)]
    {
        let question = questions(&single(request(1, method, ())));
        let null = ResponsePacket::Single(answer(1, ()));
        assert_eq!(question.are_answered_by(&null), null_is_answer, "{method}");
    }
    let two = questions(&batch([1, 2].map(|id| request(id, "eth_call", ()))));
    assert!(two.are_answered_by(&answers([answer(1, "0x"), answer(2, "0x")])));
    assert!(!two.are_answered_by(&answers([answer(2, "0x"), answer(1, "0x")])));
    assert!(!two.are_answered_by(&answers([answer(1, "0x")])));
    assert!(!two.are_answered_by(&ResponsePacket::Single(answer(1, "0x"))));
}

#[test]
fn a_single_answer_to_a_batch_is_that_members() {
    let mut members = three();
    absorb(&mut members, &ALL, ResponsePacket::Single(answer(2, "0x1")));
    let outcomes: Vec<_> = members.iter().map(|member| member.outcome().unwrap()).collect();
    let malformed = Outcome::Fault(Fault::Malformed);
    assert_eq!(outcomes, [malformed, Outcome::Answer, malformed]);
}

#[test]
fn the_error_that_no_member_caused_says_what_does_not_fit() {
    for (wrong, misfit) in [
        (answers([]), Misfit::Missing),
        (answers([answer(8, "0x"), answer(9, "0x")]), Misfit::Missing),
        (answers((0..6).map(|n| answer(n / 2 + 1, "0x"))), Misfit::Duplicate),
        (ResponsePacket::Single(answer(9, "0x")), Misfit::Foreign),
    ] {
        let mut members = three();
        absorb(&mut members, &ALL, wrong);
        let error = members.finish().unwrap_err();
        assert_eq!(cause::<BadAnswer>(&error).unwrap().problem, misfit);
    }
}

#[test]
fn a_doubled_answer_is_none_even_if_an_earlier_attempt_had_one() {
    let mut members = three();
    let limited = [1, 2, 3].map(|id| error(id, -32005, "slow down"));
    absorb(&mut members, &ALL, answers(limited));
    absorb(&mut members, &[1], answers([answer(2, "0x1"), answer(2, "0x2")]));
    assert!(members[1].last_answer().is_none());
    let answer = members.finish().unwrap();
    assert_eq!(classify("eth_call", &answer.responses()[1]), Outcome::Fault(Fault::Malformed));
}

/// Found by the model that packets are fuzzed against: each member was given the error of all, and
/// a layer above took it for the success of every send in the batch.
#[test]
fn an_error_without_an_id_makes_no_member_of_a_batch_known() {
    let sends = || batch((1..=2).map(|id| request(id, send::SEND_RAW_TRANSACTION, ["0x"])));
    let refusal = || Response { id: Id::None, ..error(0, -32000, "already known") };
    for refusal in [ResponsePacket::Single(refusal()), answers([refusal(), refusal()])] {
        let mut members = members(&sends());
        absorb(&mut members, &[0, 1], refusal);
        let answer = members.finish().unwrap();
        for response in answer.responses() {
            let outcome = classify(send::SEND_RAW_TRANSACTION, response);
            assert_eq!(outcome, Outcome::Fault(Fault::Malformed));
        }
    }
}

#[tokio::test]
async fn a_later_failure_does_not_take_the_last_real_answer_away() {
    let mut members = members(&single(request(1, "eth_call", ())));
    absorb(&mut members, &[0], ResponsePacket::Single(error(1, -32005, "slow down")));
    let gone = Err(TransportErrorKind::backend_gone());
    members.absorb(&[0], gone, &Notes::default(), None);
    let unsure = Outcome::Fault(Fault::Connection { maybe_sent: true });
    assert_eq!(members[0].outcome(), Some(unsure));
    assert_eq!(members.finish().unwrap().first_error_message(), Some("slow down"));
}

#[tokio::test]
async fn who_is_asked_in_vain_is_not_noted_for_the_answer_of_another() {
    let mut members = members(&single(request(1, "eth_getTransactionReceipt", ())));
    let (_, notes) = note::capture_at("a".into(), async {}).await;
    members.absorb(&[0], Ok(answers([answer(1, ())])), &notes, None);
    members[0].asked_in_vain("b".into());
    let (_, notes) = note::capture_at("c".into(), async {}).await;
    let gone = Err(TransportErrorKind::backend_gone());
    members.absorb(&[0], gone, &notes, None);
    let AnswerNote { endpoint, attempts, .. } = members[0].note().clone();
    assert_eq!((endpoint, attempts), (Some("a".into()), 3));
}

#[test]
fn giving_up_is_for_those_who_have_nothing() {
    let mut members = three();
    members[0].answer(answer(1, "0x"));
    for index in [1, 2] {
        members.give_up(index, TransportErrorKind::backend_gone());
    }
    assert!(!members.any_open());
    let answer = members.finish().unwrap();
    assert!(answer.responses()[0].is_success());
    assert_eq!(answer.responses()[1].error_code(), Some(-32603));

    let mut members = three();
    (0..3).for_each(|index| members.give_up(index, TransportErrorKind::backend_gone()));
    assert!(members.finish().unwrap_err().as_transport_err().unwrap().is_backend_gone());
}

#[test]
fn one_error_does_not_stand_for_members_that_ended_in_others() {
    let mut members = three();
    members.give_up(1, NoEndpoint::Unwilling.into_transport_error());
    members.absorb(&[0, 2], Err(TransportErrorKind::backend_gone()), &Notes::default(), None);
    let answer = members.finish().unwrap();
    let fault = |index: usize| classify("eth_call", &answer.responses()[index]).fault();
    let gone = Some(Fault::Connection { maybe_sent: true });
    assert_eq!([0, 1, 2].map(fault), [gone, Some(Fault::InvalidRequest), gone]);
}

#[tokio::test]
async fn notes_add_up_and_reach_the_layer_above_member_by_member() {
    let attempt = |label: &'static str, status| async move {
        let call = async { note::record(|note| note.http_status = Some(status)) };
        note::capture_at(EndpointId::new(label), call).await.1
    };
    let (answer, notes) = note::capture(async {
        let mut members = three();
        let first = answers([answer(1, "0x"), error(2, -32000, "out of cheese"), answer(3, "0x")]);
        members.absorb(&ALL, Ok(first), &attempt("a", 429).await, None);
        let limited = Fault::RateLimited { retry_after: None, by: Limiter::Vendor };
        assert_eq!(members[1].open_fault(), Some(limited));
        members.absorb(&[1], Ok(answers([answer(2, "0x")])), &attempt("b", 200).await, None);
        members.finish()
    })
    .await;
    assert!(answer.unwrap().is_success());
    let of = |id| {
        let AnswerNote { endpoint, http_status, attempts, .. } = notes.of(&Id::Number(id));
        (endpoint.unwrap().to_string(), http_status, attempts)
    };
    assert_eq!(of(1), ("a".to_owned(), Some(429), 1));
    assert_eq!(of(2), ("b".to_owned(), Some(200), 2));
}

#[test]
fn what_alloys_own_transport_keeps_of_http_is_not_lost() {
    let mut members = three();
    absorb(&mut members, &[0, 1], answers([answer(1, "0x1"), answer(2, "0x2")]));
    let hint = Some(Duration::from_secs(7));
    let down = TransportErrorKind::http_error_with_retry_after(503, String::new(), hint);
    members.absorb(&[2], Err(down), &Notes::default(), None);
    assert_eq!(members[2].note().retry_after, hint);
    let answer = members.finish().unwrap();
    let told = answer.responses()[2].payload.as_error().unwrap().data.as_ref().unwrap();
    assert!(told.get().contains(r#""status":503"#));
}
