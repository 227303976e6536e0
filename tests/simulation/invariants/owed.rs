//! What a call is owed: who could have answered it, and which `null` had to be filled.

use crate::{
    answers::{Call, Kind, Member, Truth},
    plan::{RingPlan, StackPlan},
    world::World,
};
use alclad::{Role, core::Method};
use serde_json::{Value, json};
use std::time::Duration;

/// The code of an error that is an answer.
const REVERTED: i64 = 3;

/// The endpoints that could have answered: healthy, fresh and without a limit of any kind since the
/// run began, there for this kind of call, and reached before the deadline though all others be
/// waited for in vain.
pub(super) fn who_could(
    world: &World,
    plan: &StackPlan,
    call: &Call,
    member: &Member,
) -> Vec<usize> {
    let is_send = Method::of(member.question.method).is_send();
    let is_unknown = matches!(member.question.kind, Kind::Write | Kind::Filter)
        || member.question.method == "foo_bar";
    // Not even the best node has it, and what the others say then is as good.
    let lasts = |truth: &Truth| truth.as_ref().map_or_else(|(code, _)| *code == REVERTED, |_| true);
    if call.is_peculiar() || is_unknown || !member.best.iter().all(lasts) {
        return Vec::new();
    }
    let nodes = 0..plan.rings.len();
    let stops = nodes.clone().any(|node| world.ailed(node).any(|episode| episode.stops_sends));
    if is_send && stops {
        return Vec::new();
    }
    let could = |node: &usize| {
        let ring = &plan.rings[*node];
        world.ailed(*node).next().is_none()
            && ring.limit.is_none()
            && ring.permits.is_none()
            && ring.timeout.is_none_or(|timeout| timeout > 2 * world.slowest(*node))
            && serves(plan, ring.role, is_send)
    };
    let reached = call.deadline.is_none_or(|deadline| is_long(plan, deadline - call.begun));
    nodes.filter(could).filter(|_| reached).collect()
}

pub(super) fn may_read(ring: &RingPlan) -> bool {
    ring.role != Role::Write
}

fn serves(plan: &StackPlan, role: Role, is_send: bool) -> bool {
    let has_writers = plan.rings.iter().any(|ring| ring.role == Role::Write);
    match (is_send, role) {
        _ if plan.rotation.is_none() => true,
        (true, Role::Write) => true,
        (true, Role::ReadWrite) => !has_writers,
        (true, _) => false,
        (false, role) => role != Role::Write,
    }
}

/// Each endpoint may be waited for twice: for its guard's question and for the call.
fn is_long(plan: &StackPlan, time: Duration) -> bool {
    let queue = |ring: &RingPlan| ring.limit.as_ref().and_then(|limit| limit.max_wait);
    let attempt = |ring: &RingPlan| {
        2 * (ring.longest().unwrap_or(Duration::from_secs(6)) + queue(ring).unwrap_or_default())
    };
    let all: Duration = plan.rings.iter().map(attempt).sum();
    let queues = plan.rings.iter().any(|ring| ring.permits.is_some());
    !queues && time > all + Duration::from_secs(2)
}

/// A `null` is asked elsewhere: at up to two endpoints more where something is known to be, at one
/// where it is likely, and otherwise as far as the spare budget goes, which is not checked.
pub(super) fn must_be_filled(world: &World, call: &Call, member: &Member) -> bool {
    let conceals = |node: &usize| world.ailed(*node).any(|episode| episode.conceals);
    let concealing = (0..world.nodes.len()).filter(conceals).count();
    let is_there = |truth: &Result<Value, _>| truth.as_ref().is_ok_and(|value| !value.is_null());
    let method = member.question.method;
    let block =
        &member.question.params[usize::from(method == "eth_getBalance" || method == "eth_call")];
    let number = block.as_str().filter(|text| text.starts_with("0x") && text.len() < 20);
    let number = number.and_then(|text| u64::from_str_radix(&text[2..], 16).ok());
    let most = match number {
        _ if !member.best.iter().all(is_there) => return false,
        Some(number) if number <= call.floor => 2,
        Some(_) => 0,
        None if method.starts_with("eth_getTransaction") => 0,
        // There is always a head and a price.
        None if member.question.params == json!([]) => 2,
        None => 1,
    };
    concealing <= most
}

/// By their roles, no endpoint may be asked this.
pub(super) fn nobody_serves(plan: &StackPlan, member: &Member) -> bool {
    let is_send = Method::of(member.question.method).is_send();
    !plan.rings.iter().any(|ring| serves(plan, ring.role, is_send))
}
