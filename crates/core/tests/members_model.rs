//! Whatever comes back for a batch, every member is answered once, in the caller's order: against
//! a naive model.

use alclad_core::{
    Fault, Limiter, Members, Notes, Outcome, Questions, classify,
    error::{BadAnswer, cause},
};
use alclad_testkit::{answer, answers, batch, error, request_with_id};
use alloy_json_rpc::{Id, Response, ResponsePacket, ResponsePayload};
use proptest::{prelude::*, sample::subsequence};
use std::collections::BTreeMap;

/// What an endpoint makes of one member, or of nobody's.
#[derive(Clone, Debug)]
enum Reply {
    /// The answer to this member, which may be an error.
    To(usize, Content),
    /// An answer to an id that was not asked.
    Foreign(Content),
    /// An answer without an id.
    Anonymous(Content),
}

#[derive(Clone, Debug)]
enum Content {
    Result(u32),
    Reverted,
    SlowDown,
}

impl Content {
    fn payload(&self) -> ResponsePayload {
        match self {
            Self::Result(number) => answer(0, number),
            Self::Reverted => error(0, 3, "execution reverted"),
            Self::SlowDown => error(0, -32005, "slow down"),
        }
        .payload
    }

    fn fault(&self) -> Option<Fault> {
        match self {
            Self::Result(_) => None,
            Self::Reverted => Some(Fault::Reverted),
            Self::SlowDown => Some(Fault::RateLimited { retry_after: None, by: Limiter::Vendor }),
        }
    }
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        4 => (1..u32::MAX).prop_map(Content::Result),
        1 => Just(Content::Reverted),
        1 => Just(Content::SlowDown),
    ]
}

fn id() -> impl Strategy<Value = Id> {
    prop_oneof![(0..50_u64).prop_map(Id::Number), "[a-e]{0,2}".prop_map(Id::String)]
}

/// Different ids, and what comes back: some of the answers, some of them twice, and others.
fn scene() -> impl Strategy<Value = (Vec<Id>, Vec<Reply>)> {
    let ids = proptest::collection::btree_set(id(), 1..9).prop_map(Vec::from_iter).prop_shuffle();
    ids.prop_flat_map(|ids| {
        let members = Vec::from_iter(0..ids.len());
        let to = |index| content().prop_map(move |content| Reply::To(index, content));
        let once = members.clone().into_iter().map(to).collect::<Vec<_>>();
        let once =
            (once, subsequence(members.clone(), 0..=members.len())).prop_map(|(all, kept)| {
                kept.into_iter().map(|index| all[index].clone()).collect::<Vec<_>>()
            });
        let strange = prop_oneof![
            (0..members.len(), content()).prop_map(|(index, content)| Reply::To(index, content)),
            content().prop_map(Reply::Foreign),
            content().prop_map(Reply::Anonymous),
        ];
        let strange = proptest::collection::vec(strange, 0..4);
        let replies = (once, strange).prop_map(|(once, strange)| [once, strange].concat());
        (Just(ids), replies.prop_shuffle())
    })
}

/// A batch of reads with these ids.
fn asked_with(ids: &[Id]) -> Members {
    let packet = batch(ids.iter().map(|id| request_with_id(id.clone(), "eth_call", ())));
    Members::new(Questions::new(&packet, true).expect("the ids differ"))
}

fn absorb(members: &mut Members, asked: &[usize], answer: ResponsePacket) {
    members.absorb(asked, Ok(answer), &Notes::default(), None);
}

fn response(ids: &[Id], reply: &Reply) -> Response {
    let (id, content) = match reply {
        Reply::To(index, content) => (ids[*index].clone(), content),
        Reply::Foreign(content) => (Id::Number(999), content),
        Reply::Anonymous(content) => (Id::None, content),
    };
    Response { id, payload: content.payload() }
}

/// By the letter of the rules: what each member is answered, if anything.
fn model(members: usize, replies: &[Reply]) -> Vec<Option<Content>> {
    let refusal = |reply: &Reply| match reply {
        Reply::Anonymous(content) if content.fault().is_some() => Some(content.clone()),
        _ => None,
    };
    if let (Some(last), true) = (replies.last(), replies.iter().all(|one| refusal(one).is_some())) {
        return vec![refusal(last); members];
    }
    let mut said = BTreeMap::<usize, Vec<&Content>>::new();
    for reply in replies {
        if let Reply::To(index, content) = reply {
            said.entry(*index).or_default().push(content);
        }
    }
    let alone = |index| match said.get(&index).map(Vec::as_slice) {
        Some([content]) => Some((*content).clone()),
        _ => None,
    };
    (0..members).map(alone).collect()
}

fn text(payload: &ResponsePayload) -> String {
    format!("{payload:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_member_is_answered_once_in_order_and_rightly((ids, replies) in scene()) {
        let mut members = asked_with(&ids);
        let all = Vec::from_iter(0..ids.len());
        absorb(&mut members, &all, answers(replies.iter().map(|reply| response(&ids, reply))));
        let expected = model(ids.len(), &replies);
        for (member, expected) in members.iter().zip(&expected) {
            let fault = expected.as_ref().map_or(Some(Fault::Malformed), Content::fault);
            prop_assert_eq!(member.outcome().and_then(|outcome| outcome.fault()), fault);
        }
        let answer = match members.finish() {
            Ok(answer) => answer,
            Err(error) => {
                prop_assert!(expected.iter().all(Option::is_none));
                prop_assert!(cause::<BadAnswer>(&error).is_some());
                return Ok(());
            }
        };
        prop_assert_eq!(Vec::from_iter(answer.response_ids().cloned()), ids);
        for (response, expected) in answer.responses().iter().zip(expected) {
            match expected {
                Some(content) => {
                    prop_assert_eq!(text(&response.payload), text(&content.payload()));
                }
                None => {
                    let malformed = Outcome::Fault(Fault::Malformed);
                    prop_assert_eq!(classify("eth_call", response), malformed);
                }
            }
        }
    }

    #[test]
    fn whoever_was_not_answered_is_asked_again_until_all_are((ids, replies) in scene()) {
        let mut members = asked_with(&ids);
        let all = Vec::from_iter(0..ids.len());
        absorb(&mut members, &all, answers(replies.iter().map(|reply| response(&ids, reply))));
        let lacking = |index: &usize| members[*index].outcome() != Some(Outcome::Answer);
        let again: Vec<_> = all.iter().copied().filter(lacking).collect();
        let packet = members.packet(&again);
        let asked: Vec<_> = packet.requests().iter().map(|request| request.id().clone()).collect();
        prop_assert_eq!(&asked, &again.iter().map(|index| ids[*index].clone()).collect::<Vec<_>>());
        let late = |id: &Id| Response { id: id.clone(), payload: answer(0, "late").payload };
        absorb(&mut members, &again, answers(asked.iter().rev().map(late)));
        let answer = members.finish().unwrap();
        prop_assert!(answer.is_success());
        prop_assert_eq!(Vec::from_iter(answer.response_ids().cloned()), ids);
        for index in &again {
            let given = &answer.responses()[*index].payload;
            prop_assert_eq!(text(given), text(&late(&Id::None).payload));
        }
    }
}
