//! The record of a run: every packet at every place, and a hash of it all.

use crate::{
    invariants::{Checks, Invariant, Violation, filters},
    tally::Tally,
};
use alclad::{Fault, Outcome, core::classify};
use alloy::{
    primitives::{B256, U64},
    rpc::json_rpc::{Id, RequestPacket, Response, ResponsePacket, SerializedRequest},
    transports::TransportError,
};
use std::{
    collections::HashMap,
    fmt::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Where a packet is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// Below the client ring, above the rotation.
    Joint,
    /// At the top of an endpoint's ring.
    Door(usize),
    /// At its bottom: what the node gets.
    Wire(usize),
}

/// Whose request it is: it travels in the request's extensions, so that ids may be the same in
/// many calls. What a layer asks for its own ends has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tag {
    pub(crate) call: usize,
    pub(crate) member: usize,
}

/// How a member of a packet ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Good,
    Null,
    Fault(Fault),
    /// No answer, or more than one.
    Misfit,
    /// The packet was given up.
    Dropped,
}

pub(crate) struct Asked {
    pub(crate) tag: Option<Tag>,
    pub(crate) method: String,
    id: Id,
    /// The filter that it is about.
    pub(crate) filter: Option<String>,
    pub(crate) ending: Option<Ending>,
}

pub(crate) struct Flight {
    pub(crate) place: Place,
    pub(crate) sent: Duration,
    pub(crate) ended: Option<Duration>,
    pub(crate) members: Vec<Asked>,
}

/// Everything that happened, and what is to be said against it.
pub(crate) struct Recorder {
    start: Instant,
    state: Mutex<Record>,
}

pub(crate) struct Record {
    pub(crate) flights: Vec<Flight>,
    /// The flights of each member, in order.
    pub(crate) of_tag: HashMap<Tag, Vec<usize>>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) checks: Checks,
    pub(crate) tally: Tally,
    /// How many members the application has asked.
    pub(crate) members: u64,
    /// Who has made which filter.
    pub(crate) filters: Vec<(usize, String)>,
    /// The blocks that the endpoints' rings have let be seen: when, which height, which hash.
    shown: Vec<(Duration, u64, B256)>,
    hash: u64,
    lines: Option<Vec<String>>,
}

// === impl Recorder ===

impl Recorder {
    pub(crate) fn new(checks: Checks, is_verbose: bool) -> Self {
        let record = Record {
            flights: Vec::new(),
            of_tag: HashMap::new(),
            violations: Vec::new(),
            checks,
            tally: Tally::default(),
            members: 0,
            filters: Vec::new(),
            shown: Vec::new(),
            hash: 0xcbf2_9ce4_8422_2325,
            lines: is_verbose.then(Vec::new),
        };
        Self { start: Instant::now(), state: Mutex::new(record) }
    }

    /// How long the run has lasted.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        let now = self.now();
        self.record().note(now, what);
    }

    pub(crate) fn violate(&self, invariant: Invariant, what: impl Into<String>) {
        let now = self.now();
        self.record().violate(now, invariant, what.into());
    }

    pub(crate) fn sent(&self, place: Place, packet: &RequestPacket) -> usize {
        let now = self.now();
        let asked = packet.requests().iter().map(|request| Asked {
            tag: request.meta().extensions().get::<Tag>().copied(),
            method: request.method().to_owned(),
            id: request.id().clone(),
            filter: filter_of(request),
            ending: None,
        });
        let flight = Flight { place, sent: now, ended: None, members: asked.collect() };
        let mut record = self.record();
        record.tally.packets += 1;
        let index = record.flights.len();
        let names: Vec<_> = flight.members.iter().map(|m| (m.tag, &m.method)).collect();
        record.note(now, format_args!("{place:?} #{index} sends {names:?}"));
        if let Some((invariant, what)) = crate::invariants::sent(&mut record, &flight) {
            record.violate(now, invariant, what);
        }
        for tag in flight.members.iter().filter_map(|member| member.tag) {
            record.of_tag.entry(tag).or_default().push(index);
        }
        record.flights.push(flight);
        index
    }

    pub(crate) fn ended(
        &self,
        index: usize,
        answer: Option<&Result<ResponsePacket, TransportError>>,
    ) {
        let now = self.now();
        let mut record = self.record();
        if let (Some(Ok(packet)), Place::Door(endpoint)) = (answer, record.flights[index].place) {
            let blocks = packet.responses().iter().flat_map(blocks);
            record.shown.extend(blocks.map(|(number, hash)| (now, number, hash)));
            let made = record.flights[index].made_filters(packet);
            record.filters.extend(made.into_iter().map(|name| (endpoint, name)));
        }
        let flight = &mut record.flights[index];
        flight.ended = Some(now);
        for asked in &mut flight.members {
            asked.ending = Some(ending(asked, answer));
        }
        let endings: Vec<_> = flight.members.iter().filter_map(|asked| asked.ending).collect();
        let place = flight.place;
        record.note(now, format_args!("{place:?} #{index} ends in {endings:?}"));
        if let Some((invariant, what)) = crate::invariants::ended(&mut record, index) {
            record.violate(now, invariant, what);
        }
    }

    /// What was written down, for whoever looks into a seed.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.record().lines.take().unwrap_or_default()
    }

    pub(crate) fn hash(&self) -> u64 {
        self.record().hash
    }
}

// === impl Record ===

impl Record {
    fn note(&mut self, now: Duration, what: fmt::Arguments<'_>) {
        let _ = write!(Hashed(&mut self.hash), "{} {what}", now.as_nanos());
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>10.3} {what}", now.as_secs_f64() * 1000.0));
        }
    }

    fn violate(&mut self, at: Duration, invariant: Invariant, what: String) {
        self.note(at, format_args!("VIOLATION of {invariant:?}: {what}"));
        self.violations.push(Violation { invariant, what, at });
    }

    /// The flights of a member at this kind of place, the oldest first.
    pub(crate) fn flights_of(
        &self,
        tag: Tag,
        at: impl Fn(Place) -> bool,
    ) -> impl Iterator<Item = (&Flight, &Asked)> {
        let indices = self.of_tag.get(&tag).map_or(&[][..], Vec::as_slice);
        indices.iter().filter_map(move |index| {
            let flight = &self.flights[*index];
            let asked = flight.members.iter().find(|asked| asked.tag == Some(tag))?;
            at(flight.place).then_some((flight, asked))
        })
    }

    /// Whether an endpoint has shown another block at this height since `since`, and before this
    /// member had its answer: in a batch that may be long before the others have theirs.
    pub(crate) fn is_refuted(&self, tag: Tag, number: u64, hash: B256, since: Duration) -> bool {
        let passes = self.flights_of(tag, |place| place == Place::Joint);
        let answered = passes.last().and_then(|(flight, _)| flight.ended).unwrap_or_default();
        let mut shown = self.shown.iter().filter(|(at, ..)| (since..answered).contains(at));
        shown.any(|(_, height, other)| *height == number && *other != hash)
    }

    /// How many packets are still under way.
    pub(crate) fn under_way(&self) -> usize {
        self.flights.iter().filter(|flight| flight.ended.is_none()).count()
    }
}

impl Flight {
    /// The names of the filters that were made.
    fn made_filters(&self, packet: &ResponsePacket) -> Vec<String> {
        let makes = |id: &Id| {
            self.members.iter().any(|asked| asked.method == filters::NEW && asked.id == *id)
        };
        let made = packet.responses().iter().filter(|response| makes(&response.id));
        let name =
            |response: &Response| serde_json::from_str(response.payload.as_success()?.get()).ok();
        made.filter_map(name).collect()
    }
}

fn filter_of(request: &SerializedRequest) -> Option<String> {
    if !matches!(request.method(), "eth_getFilterChanges" | "eth_uninstallFilter") {
        return None;
    }
    let (filter,) = serde_json::from_str(request.params()?.get()).ok()?;
    Some(filter)
}

fn ending(asked: &Asked, answer: Option<&Result<ResponsePacket, TransportError>>) -> Ending {
    let responses = match answer {
        None => return Ending::Dropped,
        Some(Err(error)) => return Ending::Fault(Fault::of_error(&asked.method, error)),
        Some(Ok(packet)) => packet.responses(),
    };
    let own = |response: &&Response| response.id == asked.id || response.id.is_none();
    let mut own = responses.iter().filter(own);
    match (own.next(), own.next()) {
        (Some(one), None) => match classify(&asked.method, one) {
            Outcome::Null => Ending::Null,
            Outcome::Fault(fault) => Ending::Fault(fault),
            _ => Ending::Good,
        },
        _ => Ending::Misfit,
    }
}

/// The block that an answer is, and its parent.
fn blocks(response: &Response) -> Vec<(u64, B256)> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Block {
        number: U64,
        hash: B256,
        parent_hash: B256,
    }
    let result = response.payload.as_success().map(|result| result.get());
    let block = result.filter(|result| result.contains("parentHash"));
    let block = block.and_then(|block| serde_json::from_str::<Block>(block).ok());
    block.map_or_else(Vec::new, |Block { number, hash, parent_hash }| {
        let number = number.to::<u64>();
        vec![(number, hash), (number.saturating_sub(1), parent_hash)]
    })
}

/// FNV-1a, the same on every machine.
struct Hashed<'a>(&'a mut u64);

impl Write for Hashed<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            *self.0 = (*self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}
