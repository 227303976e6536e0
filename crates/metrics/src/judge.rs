//! What came back to each member of a packet, without touching it.

use alclad_core::{Classify, Fault, Notes, Outcome, classify, classify_with};
use alloy_json_rpc::{Id, Response, ResponsePacket};
use alloy_transport::TransportError;
use smallvec::{SmallVec, smallvec};
use std::collections::HashMap;

/// What was asked, as far as an answer is judged by it.
pub(crate) trait Asked {
    fn id(&self) -> &Id;
    fn name(&self) -> &str;
}

/// How one member ended, and with which answer.
pub(crate) type Verdict<'a> = (Outcome, Option<&'a Response>);

const MISFIT: Verdict<'_> = (Outcome::Fault(Fault::Malformed), None);

/// Judges each member as the other layers do.
pub(crate) fn judge<'a, 'n>(
    asked: &[impl Asked],
    answer: &'a Result<ResponsePacket, TransportError>,
    notes: impl Fn() -> &'n Notes,
    custom: Option<&dyn Classify>,
) -> SmallVec<[Verdict<'a>; 1]> {
    let of = |asked: &_, answer| (outcome(asked, answer, &notes, custom), Some(answer));
    match answer {
        Err(error) => {
            let fault = |name| Outcome::Fault(Fault::of_error_with(name, error, custom));
            asked.iter().map(|asked| (fault(asked.name()), None)).collect()
        }
        Ok(ResponsePacket::Single(answer)) => match asked {
            [single] if *single.id() == answer.id => smallvec![of(single, answer)],
            _ => one_for_all(asked, answer, of),
        },
        Ok(ResponsePacket::Batch(answers)) => match answers.last() {
            // Some refuse a whole batch with a batch of errors without ids.
            Some(refusal) if answers.iter().all(is_refusal) => one_for_all(asked, refusal, of),
            _ => each(asked, answers, of),
        },
    }
}

fn outcome<'n>(
    asked: &impl Asked,
    answer: &Response,
    notes: impl Fn() -> &'n Notes,
    custom: Option<&dyn Classify>,
) -> Outcome {
    match answer.is_error() {
        true => classify_with(asked.name(), answer, notes().of(asked.id()).http(), custom),
        false => classify(asked.name(), answer),
    }
}

/// One answer to many members: an error without an id is meant for all of them.
fn one_for_all<'a, A: Asked>(
    asked: &[A],
    answer: &'a Response,
    of: impl Fn(&A, &'a Response) -> Verdict<'a>,
) -> SmallVec<[Verdict<'a>; 1]> {
    let is_meant = |asked: &A| *asked.id() == answer.id || is_refusal(answer);
    asked.iter().map(|asked| if is_meant(asked) { of(asked, answer) } else { MISFIT }).collect()
}

fn each<'a, A: Asked>(
    asked: &[A],
    answers: &'a [Response],
    of: impl Fn(&A, &'a Response) -> Verdict<'a>,
) -> SmallVec<[Verdict<'a>; 1]> {
    let in_order = asked.len() == answers.len()
        && asked.iter().zip(answers).all(|(asked, answer)| *asked.id() == answer.id);
    if in_order {
        return asked.iter().zip(answers).map(|(asked, answer)| of(asked, answer)).collect();
    }
    let mut by_id: HashMap<&Id, Option<&Response>> = HashMap::with_capacity(answers.len());
    for answer in answers {
        // Two answers to one question are none.
        by_id.entry(&answer.id).and_modify(|known| *known = None).or_insert(Some(answer));
    }
    let answer = |asked: &A| by_id.get(asked.id()).copied().flatten();
    asked.iter().map(|asked| answer(asked).map_or(MISFIT, |answer| of(asked, answer))).collect()
}

fn is_refusal(answer: &Response) -> bool {
    answer.id.is_none() && answer.is_error()
}
