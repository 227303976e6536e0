//! A part of I3: filters are known to the endpoint alone that made them.

use super::{Finding, Invariant};
use crate::{
    answers::Question,
    record::{Flight, Record},
    world::World,
};
use alloy::primitives::B256;
use serde_json::Value;
use std::time::Duration;

pub(crate) const NEW: &str = "eth_newBlockFilter";

/// A rotation forgets filters of which nobody has asked for this long.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(900);

/// Whether this asks an endpoint for a filter that another one has made.
pub(super) fn strayed(record: &mut Record, flight: &Flight, endpoint: usize) -> Finding {
    flight.members.iter().find_map(|asked| {
        let filter = asked.filter.as_ref()?;
        record.tally.filters += 1;
        let is_own = |(maker, name): &(usize, String)| *maker == endpoint && name == filter;
        let is_strange = record.checks.has_rotation
            && flight.sent < FORGOTTEN_AFTER
            && !record.filters.iter().any(is_own);
        is_strange.then(|| {
            let what = format!("endpoint {endpoint} is asked for filter {filter}, not its own");
            (Invariant::I3Right, what)
        })
    })
}

/// What is wrong with this answer about a filter.
pub(super) fn judge(world: &World, question: &Question, result: &Value) -> Option<String> {
    let mut past = world.past();
    let is_fine = match (question.method, result) {
        (NEW, Value::String(_)) => {
            past.filters.push(result.clone());
            true
        }
        ("eth_getFilterChanges", Value::Array(hashes)) => hashes.iter().all(|hash| {
            let hash = serde_json::from_value::<B256>(hash.clone());
            hash.is_ok_and(|hash| past.blocks.contains_key(&hash))
        }),
        ("eth_uninstallFilter", Value::Bool(_)) => true,
        _ => false,
    };
    (!is_fine).then(|| format!("{:.200} is no answer about a filter", result.to_string()))
}
