//! I1, I2, I3: every call ends in time and whole; with a right answer if one could be had; and
//! never with a wrong one.

use super::{
    Invariant, filters, notes,
    owed::{may_read, must_be_filled, nobody_serves, who_could},
};
use crate::{
    answers::{Call, Kind, Member},
    plan::StackPlan,
    record::Tag,
    world::World,
};
use alclad::{
    Fault,
    core::{error, note::Notes},
};
use alloy::{
    primitives::B256,
    rpc::json_rpc::{Response, ResponsePacket, ResponsePayload},
    transports::TransportError,
};
use serde_json::Value;
use std::time::Duration;

pub(crate) type Answer = Result<ResponsePacket, TransportError>;

/// What one member was given.
#[derive(Debug)]
enum Verdict {
    Right,
    /// `null`, though there is something.
    Null,
    Failed(Fault),
    Wrong(String),
    /// An error that says something untrue.
    Untrue(String),
}

/// A timer is up to a millisecond late, and there may be two in a row.
const LATE: Duration = Duration::from_millis(2);

/// Judges what a call came to.
pub(crate) fn judge(world: &World, plan: &StackPlan, call: &Call, answer: &Answer, notes: &Notes) {
    let misshapen = answer.as_ref().ok().and_then(|packet| has_its_shape(call, packet));
    // Where nobody asks again, nobody looks at the ids of what passes either: they are the node's.
    if misshapen.is_some() && is_plain(plan) && world.ailed(0).next().is_some() {
        return;
    }
    let broken = ends_in_time(world, call).or(misshapen);
    if let Some(what) = broken {
        let what = format!("call {}: {what}", call.index);
        return world.recorder.violate(Invariant::I1Ends, what);
    }
    for (index, member) in call.members.iter().enumerate() {
        let verdict = match answer {
            Ok(packet) => of_response(world, plan, call, index, &packet.responses()[index]),
            Err(error) => of_error(world, plan, member, error),
        };
        if let Ok(packet) = answer
            && let Some(what) = notes::is_untrue(world, plan, call, index, packet, notes)
        {
            let what = format!("call {}, {}: {what}", call.index, member.question.method);
            world.recorder.violate(Invariant::I3Right, what);
        }
        weigh(world, plan, call, member, verdict);
    }
}

fn ends_in_time(world: &World, call: &Call) -> Option<String> {
    let (now, deadline) = (world.recorder.now(), call.deadline?);
    (now > deadline + LATE).then(|| format!("ends {:?} after its deadline", now - deadline))
}

fn has_its_shape(call: &Call, packet: &ResponsePacket) -> Option<String> {
    let is_batch = matches!(packet, ResponsePacket::Batch(_));
    let ids: Vec<_> = packet.responses().iter().map(|response| response.id.clone()).collect();
    let expected: Vec<_> = (0..call.members.len()).map(|member| call.id(member)).collect();
    (is_batch != call.is_batch || ids != expected)
        .then(|| format!("was asked {expected:?} and is answered {ids:?}"))
}

fn of_error(world: &World, plan: &StackPlan, member: &Member, error: &TransportError) -> Verdict {
    let fault = Fault::of_error(member.question.method, error);
    let refused = error::cause::<error::RefusedTransaction>(error).is_some();
    let nobody = error::cause::<error::NoEndpoint>(error).is_some();
    match (member.question.kind, fault) {
        (Kind::Send { foreign: true, .. }, _) if refused => Verdict::Right,
        (Kind::Send { foreign: true, .. }, _) => Verdict::Untrue(format!("{fault}: {error}")),
        _ if nobody && nobody_serves(plan, member) => Verdict::Right,
        (Kind::Send { hash, .. }, fault) if is_plainly_there(world, plan, hash, fault) => {
            Verdict::Right
        }
        // The others of its batch are not what was refused.
        _ if refused => Verdict::Untrue(format!("{fault}: {error}")),
        (Kind::Filter, fault) => Verdict::Failed(fault),
        _ if is_final(fault) => Verdict::Untrue(format!("{fault}: {error}")),
        _ => Verdict::Failed(fault),
    }
}

/// After these nobody asks again: so they had better be true.
const fn is_final(fault: Fault) -> bool {
    matches!(fault, Fault::Reverted | Fault::InvalidRequest | Fault::TxRejected)
}

/// No layer asks more than once.
fn is_plain(plan: &StackPlan) -> bool {
    plan.rotation.is_none() && plan.retry.is_none()
}

/// The node's own words for a transaction that it has: without a layer that knows better.
fn is_plainly_there(world: &World, plan: &StackPlan, hash: B256, fault: Fault) -> bool {
    let says_so = matches!(fault, Fault::AlreadyKnown | Fault::NonceTooLow);
    is_plain(plan) && says_so && world.chain.submissions(hash) > 1
}

fn of_response(
    world: &World,
    plan: &StackPlan,
    call: &Call,
    index: usize,
    response: &Response,
) -> Verdict {
    let (member, tag) = (&call.members[index], Tag { call: call.index, member: index });
    let method = member.question.method;
    let result = match &response.payload {
        ResponsePayload::Success(result) => result,
        ResponsePayload::Failure(error) => {
            let truth = Err((error.code, error.message.to_string()));
            let fault = alclad::core::classify(method, response).fault();
            return match (member.question.kind, fault.unwrap_or(Fault::Unknown)) {
                _ if member.best.contains(&truth) => Verdict::Right,
                (Kind::Send { foreign: true, .. }, Fault::TxRejected) => Verdict::Right,
                (Kind::Send { foreign: true, .. }, fault) => Verdict::Untrue(fault.to_string()),
                (Kind::Send { hash, .. }, fault) if is_plainly_there(world, plan, hash, fault) => {
                    Verdict::Right
                }
                // The stand-in for it in a batch.
                (_, Fault::InvalidRequest) if nobody_serves(plan, member) => Verdict::Right,
                // It may have been forgotten.
                (Kind::Filter, fault) => Verdict::Failed(fault),
                // True to one that lags.
                (_, fault) if is_final(fault) && !member.truths.contains(&truth) => {
                    Verdict::Untrue(format!("{} {}", error.code, error.message))
                }
                (_, fault) => Verdict::Failed(fault),
            };
        }
    };
    let Ok(result) = serde_json::from_str::<Value>(result.get()) else {
        return Verdict::Wrong("no JSON".to_owned());
    };
    match member.question.kind {
        _ if member.best.contains(&Ok(result.clone())) => Verdict::Right,
        _ if result.is_null() => Verdict::Null,
        Kind::Read | Kind::Write if member.truths.contains(&Ok(result.clone())) => Verdict::Right,
        Kind::Read if was_true(world, plan, call, member, &result) => {
            world.recorder.record().tally.outdated += 1;
            Verdict::Right
        }
        Kind::Filter => {
            filters::judge(world, &member.question, &result).map_or(Verdict::Right, Verdict::Wrong)
        }
        Kind::Read | Kind::Write => {
            let mut shown = result.to_string();
            shown.truncate(200);
            Verdict::Wrong(format!("{shown} was never true while it was asked"))
        }
        Kind::Head => of_head(world, plan, call, tag, &result),
        Kind::Send { foreign: true, .. } => {
            Verdict::Wrong("a transaction for another chain was sent".to_owned())
        }
        Kind::Send { hash, .. } => {
            let is_known = world.chain.submissions(hash) > 0;
            let own = serde_json::from_value::<B256>(result).ok() == Some(hash);
            match own && is_known {
                true => Verdict::Right,
                false => Verdict::Wrong("not the transaction's hash, or nobody has it".to_owned()),
            }
        }
    }
}

/// Whether a cache may say this, because it was true a moment ago.
fn was_true(world: &World, plan: &StackPlan, call: &Call, member: &Member, result: &Value) -> bool {
    plan.cache.as_ref().is_some_and(|cache| {
        let reach = cache.reach(call, &member.question).saturating_add(LATE);
        world.was_true(call.begun.saturating_sub(reach), &member.question, result)
    })
}

/// The newest block: one that stood while it was asked, and none that is older than what the client
/// has been given. A member of a batch may have been answered while others were still asked for.
///
/// Above a rotation the newest block is remembered, so that it never goes back: an orphaned one is
/// wrong as soon as any endpoint has shown another one in its place.
fn of_head(world: &World, plan: &StackPlan, call: &Call, tag: Tag, result: &Value) -> Verdict {
    let number = result.as_str().or_else(|| result["number"].as_str());
    let number =
        number.and_then(|text| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok());
    let Some(number) = number else { return Verdict::Wrong(format!("{result} is no head")) };
    let mut past = world.past();
    let hash = serde_json::from_value::<B256>(result["hash"].clone()).ok();
    let is_remembered = plan.rotation.is_some() && !call.is_peculiar();
    let stands = |hash, orphaned: Option<Duration>| match orphaned {
        Some(orphaned) if orphaned < call.begun => {
            let mut record = world.recorder.record();
            record.tally.unseen_orphans += 1;
            is_remembered && !record.is_refuted(tag, number, hash, orphaned)
        }
        _ => true,
    };
    let stood = hash.is_none_or(|hash| {
        past.blocks.get(&hash).is_some_and(|(_, orphaned)| stands(hash, *orphaned))
    });
    let head = world.chain.block_number();
    let floor = match (is_remembered, call.is_batch) {
        (false, _) => 0,
        (true, true) => call.floor,
        (true, false) => past.floor,
    };
    if !stood {
        return Verdict::Wrong(format!("block {number} {hash:?} was orphaned before it was asked"));
    }
    if number > head || number < call.lowest {
        let lowest = call.lowest;
        return Verdict::Wrong(format!("head {number}, and the nodes are at {lowest}..={head}"));
    }
    if number < floor {
        return Verdict::Wrong(format!("head {number} after the client has seen {floor}"));
    }
    past.floor = past.floor.max(number);
    Verdict::Right
}

fn weigh(world: &World, plan: &StackPlan, call: &Call, member: &Member, verdict: Verdict) {
    let method = member.question.method;
    let who = format!("call {}, {method} {}", call.index, member.question.params);
    world.recorder.note(format_args!("{who:.120}: {verdict:?}"));
    let healthy = who_could(world, plan, call, member);
    count(world, call, member, &verdict, !healthy.is_empty());
    if let Verdict::Right = verdict {
        return;
    }
    // An honest limit of guards.
    if world.may_be_on_other_chain(call.begun, plan.guard_interval()) {
        world.recorder.record().tally.other_chain += 1;
        return;
    }
    let could = || format!("{healthy:?} could have answered");
    match verdict {
        Verdict::Right => {}
        Verdict::Wrong(what) => {
            world.recorder.violate(Invariant::I3Right, format!("{who}: {what}"))
        }
        Verdict::Untrue(what) => {
            world.recorder.violate(Invariant::I1Ends, format!("{who} ends in {what}"));
        }
        Verdict::Null if !healthy.is_empty() && must_be_filled(world, call, member) => {
            world.recorder.violate(Invariant::I3Right, format!("{who}: null, and {}", could()));
        }
        // Nobody well could say whose nonce it was.
        Verdict::Failed(Fault::NonceTooLow) if !plan.rings.iter().any(may_read) => {}
        Verdict::Failed(fault) if !healthy.is_empty() => {
            let what = format!("{who} ends in {fault}, and {}", could());
            world.recorder.violate(Invariant::I2Answers, what);
        }
        Verdict::Null | Verdict::Failed(_) => {}
    }
}

fn count(world: &World, call: &Call, member: &Member, verdict: &Verdict, is_owed: bool) {
    let ails = (0..world.nodes.len()).any(|node| world.ailed(node).next().is_some());
    let is_owed = is_owed && ails;
    let is_null_owed = is_owed && must_be_filled(world, call, member);
    let mut record = world.recorder.record();
    let tally = &mut record.tally;
    tally.right += u64::from(matches!(verdict, Verdict::Right));
    tally.failed += u64::from(matches!(verdict, Verdict::Failed(_)));
    tally.nulls += u64::from(matches!(verdict, Verdict::Null));
    tally.owed += u64::from(is_owed);
    tally.owed_nulls += u64::from(is_null_owed);
}
