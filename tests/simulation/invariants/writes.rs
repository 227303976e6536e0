//! I4: no write reaches two endpoints unless the policy says so; no member is replayed after it
//! succeeded.

use super::{Finding, Invariant};
use crate::record::{Asked, Ending, Flight, Place, Record};
use alclad::{Fault, core::Kind, core::Method};

const SEND: &str = "eth_sendRawTransaction";

const fn is_door(place: Place) -> bool {
    matches!(place, Place::Door(_))
}

/// No endpoint is asked for a member that an endpoint's ring has answered well. The newest head
/// may be: an answer that is older than one that the client has seen is no success. So may a
/// transaction that goes to more than one endpoint at once, whose sends are counted instead.
pub(super) fn replayed(record: &Record, flight: &Flight) -> Finding {
    flight.members.iter().find_map(|asked| {
        let is_broadcast = record.checks.sends > 1 && asked.method == SEND;
        let is_checked = !is_broadcast && !may_be_stale(&asked.method);
        let tag = asked.tag.filter(|_| is_checked)?;
        let good = |(_, before): (&Flight, &Asked)| before.ending == Some(Ending::Good);
        let done = record.flights_of(tag, is_door).any(good);
        done.then(|| {
            let what = format!("{tag:?} {} is asked again after it succeeded", asked.method);
            (Invariant::I4Writes, what)
        })
    })
}

fn may_be_stale(method: &str) -> bool {
    matches!(method, "eth_blockNumber" | "eth_getBlockByNumber")
}

/// A write goes to no more endpoints than the policy says, unless those before ended in a fault
/// after which it may go on.
pub(super) fn spread(record: &Record, flight: &Flight) -> Finding {
    flight.members.iter().find_map(|asked| {
        let tag = asked.tag?;
        let method = Method::of(&asked.method);
        if method.kind != Kind::Write {
            return None;
        }
        let before = record.flights_of(tag, is_door);
        let is_raw = asked.method == SEND;
        let stand = |(_, asked): &(&Flight, &Asked)| !may_go_on(is_raw, asked.ending);
        let standing = before.filter(stand).count();
        let most = if is_raw { record.checks.sends } else { 1 };
        (standing >= most).then(|| {
            let what = format!(
                "{tag:?} {} goes to {:?} while {standing} send(s) of it stand",
                asked.method, flight.place
            );
            (Invariant::I4Writes, what)
        })
    })
}

/// After these a raw transaction may be sent again, anywhere; another write only if our own limiter
/// stopped it.
fn may_go_on(is_raw: bool, ending: Option<Ending>) -> bool {
    // A call that was dropped does not go on.
    let Some(Ending::Fault(fault)) = ending else { return false };
    match fault {
        Fault::RateLimited { by: alclad::core::Limiter::Local, .. } => true,
        Fault::Connection { .. }
        | Fault::Timeout
        | Fault::ServerError
        | Fault::RateLimited { .. }
        | Fault::Unauthorized
        | Fault::QuotaExhausted
        // Looked up by hash, and sent again if the look-up failed in one of these ways.
        | Fault::NonceTooLow => is_raw,
        _ => false,
    }
}

/// What reaches a node has come through its ring's door, and only once for each time.
pub(super) fn on_the_wire(record: &Record, flight: &Flight, endpoint: usize) -> Finding {
    flight.members.iter().find_map(|asked| {
        let tag = asked.tag?;
        let doors = record.flights_of(tag, |place| place == Place::Door(endpoint)).count();
        let wires = record.flights_of(tag, |place| place == Place::Wire(endpoint)).count();
        (wires >= doors).then(|| {
            let what = format!("{tag:?} {} is on the wire more often than asked", asked.method);
            (Invariant::I4Writes, what)
        })
    })
}
