//! A part of I3: what is noted about an answer is about that answer.

use crate::{
    answers::{Call, Kind},
    plan::StackPlan,
    record::{Ending, Place, Tag},
    stack::name,
    world::World,
};
use alclad::core::{AnswerNote, CacheState, note::Notes};
use alloy::rpc::json_rpc::ResponsePacket;

/// What is wrong with the note about this answer.
pub(super) fn is_untrue(
    world: &World,
    plan: &StackPlan,
    call: &Call,
    member: usize,
    packet: &ResponsePacket,
    notes: &Notes,
) -> Option<String> {
    if !packet.responses()[member].payload.is_success() {
        return None;
    }
    let note = notes.of(&call.id(member));
    let mut record = world.recorder.record();
    record.tally.hits += u64::from(note.cache == Some(CacheState::Hit));
    record.tally.joined += u64::from(note.cache == Some(CacheState::Joined));
    let tag = Tag { call: call.index, member };
    let was_asked = record.flights_of(tag, |place| place == Place::Joint).next().is_some();
    let is_fine = match note.cache {
        None => was_asked,
        Some(_) if plan.cache.is_none() => false,
        // Equal members of a batch are asked once.
        Some(CacheState::Miss) => was_asked || call.is_batch,
        Some(_) => !was_asked,
    };
    if !is_fine {
        return Some(format!("asked: {was_asked}, and it is noted {:?}", note.cache));
    }
    let is_send = matches!(call.members[member].question.kind, Kind::Send { .. });
    // Of a transaction that was lost it may be anybody who knows it.
    let AnswerNote { endpoint: Some(endpoint), .. } = note else { return None };
    if is_send {
        return None;
    }
    let answered = |(place, ending): (Place, Option<Ending>)| match place {
        Place::Door(index) if name(index) == endpoint.as_str() => {
            matches!(ending, Some(Ending::Good | Ending::Null))
        }
        _ => false,
    };
    let mut doors = record
        .flights_of(tag, |place| matches!(place, Place::Door(_)))
        .map(|(flight, asked)| (flight.place, asked.ending))
        .peekable();
    let is_elsewhere = doors.peek().is_some() && !doors.any(answered);
    is_elsewhere.then(|| format!("{endpoint} is noted, which has not answered"))
}
