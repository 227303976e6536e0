//! One packet, watched on its way down and up.

use crate::{
    end::End,
    judge::{self, judge},
    layer::Settings,
    ring::Ring,
    series::Handles,
    span::Trace,
};
use alclad_core::{Fault, Method, Notes, names, note};
use alloy_json_rpc::{Id, RequestPacket, Response, ResponsePacket, SerializedRequest};
use alloy_transport::TransportError;
use smallvec::SmallVec;
use std::{borrow::Cow, cell::LazyCell, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Counts a packet as in flight until it is closed, and then as ended.
pub(crate) struct Watch {
    handles: Option<Arc<Handles>>,
    trace: Option<Box<Trace>>,
    since: Instant,
    members: SmallVec<[Member; 1]>,
    /// Whether it was on its way at all.
    begun: bool,
    ended: bool,
}

/// One question of the packet.
pub(crate) struct Member {
    pub(crate) id: Id,
    name: Cow<'static, str>,
    pub(crate) method: &'static Method,
    row: usize,
}

impl judge::Asked for Member {
    fn id(&self) -> &Id {
        &self.id
    }

    fn name(&self) -> &str {
        &self.name
    }
}

// === impl Watch ===

impl Watch {
    /// Nothing, if nobody wants to know.
    pub(crate) fn begin(settings: &Settings, packet: &RequestPacket) -> Option<Self> {
        let handles = settings.series.handles(&settings.ring);
        let traced = Trace::is_wanted();
        if handles.is_none() && settings.row.is_none() && !traced {
            return None;
        }
        let members: SmallVec<[Member; 1]> = packet.requests().iter().map(Member::new).collect();
        let batch = packet.as_batch().is_some();
        let trace = traced.then(|| Box::new(Trace::new(&settings.ring, &members, batch)));
        if let Some(handles) = &handles {
            depart(handles, &members, packet);
        }
        let since = Instant::now();
        Some(Self { handles, trace, since, members, begun: false, ended: false })
    }

    pub(crate) const fn is_traced(&self) -> bool {
        self.trace.is_some()
    }

    /// Runs a step of the call inside its span.
    pub(crate) fn in_scope<T>(&self, step: impl FnOnce() -> T) -> T {
        match &self.trace {
            Some(trace) => trace.in_scope(step),
            None => step(),
        }
    }

    /// It is on its way.
    pub(crate) const fn set_begun(&mut self) {
        self.begun = true;
    }

    /// This came back. Without notes, those are read that the layer above will hear.
    pub(crate) fn end(
        &mut self,
        settings: &Settings,
        answer: &Result<ResponsePacket, TransportError>,
        notes: Option<&Notes>,
    ) {
        self.land();
        let now = Instant::now();
        let took = now.saturating_duration_since(self.since);
        let notes = LazyCell::new(|| notes.cloned().unwrap_or_else(note::heard));
        let custom = settings.classifier.as_deref();
        let verdicts = judge(&self.members, answer, || &notes, custom);
        for (index, (outcome, response)) in verdicts.iter().enumerate() {
            let (member, end) = (&self.members[index], End::from(*outcome));
            self.count(member, end, *response, took);
            if let Some(trace) = &self.trace {
                trace.end(index, end, *response);
                trace.note(index, &settings.ring, &notes.of(&member.id));
            }
            let Some(place) = &settings.row else { continue };
            place.record(now, member.row, member.method.name, end, took);
            if let End::Fault(fault) = end {
                let said = (*response, answer.as_ref().err());
                let note = notes.of(&member.id);
                place.tell(now, member.row, member.method.name, fault, said, &note);
            }
        }
        if is_refused(&verdicts) {
            self.count_unsent(&settings.ring);
        }
    }

    fn count(&self, member: &Member, end: End, answer: Option<&Response>, took: Duration) {
        let Some(handles) = &self.handles else { return };
        let of = handles.of(member.row, member.method.name);
        of.duration.record(took.as_secs_f64());
        if let Some(answer) = answer {
            of.response_bytes.increment(weight(answer));
        }
        handles.count(of, member.method.name, end);
    }

    /// None of its members has reached the endpoint.
    fn count_unsent(&self, ring: &Ring) {
        let (Some(endpoint), Some(_)) = (ring.endpoint(), &self.handles) else { return };
        for member in &self.members {
            let endpoint = endpoint.as_str().to_owned();
            let labels = [(names::ENDPOINT, endpoint), (names::METHOD, member.method.name.into())];
            metrics::counter!(names::ATTEMPTS_UNSENT, &labels).increment(1);
        }
    }

    /// It is no longer in flight.
    fn land(&mut self) {
        self.ended = true;
        if let Some(handles) = &self.handles {
            handles.in_flight.decrement(self.members.len() as f64);
        }
    }

    /// Nobody waits for it any more: if it has not ended, it was dropped.
    pub(crate) fn close(&mut self, settings: &Settings) {
        if self.ended {
            return;
        }
        self.land();
        let now = Instant::now();
        for (index, member) in self.members.iter().enumerate() {
            let name = member.method.name;
            if let Some(handles) = &self.handles {
                handles.count(handles.of(member.row, name), name, End::Dropped);
            }
            if let Some(trace) = &self.trace {
                trace.end(index, End::Dropped, None);
            }
            if let Some(place) = &settings.row {
                place.record(now, member.row, name, End::Dropped, Duration::ZERO);
            }
        }
        if !self.begun {
            self.count_unsent(&settings.ring);
        }
    }
}

impl Member {
    fn new(request: &SerializedRequest) -> Self {
        let (id, name) = (request.id().clone(), request.method_clone());
        let method = Method::of(&name);
        Self { row: method.row(), id, name, method }
    }
}

fn depart(handles: &Handles, members: &[Member], packet: &RequestPacket) {
    handles.in_flight.increment(members.len() as f64);
    if packet.as_batch().is_some() {
        handles.batch_size.record(members.len() as f64);
    }
    for (member, request) in members.iter().zip(packet.requests()) {
        let bytes = request.serialized().get().len() as u64;
        handles.of(member.row, member.method.name).request_bytes.increment(bytes);
    }
}

fn weight(answer: &Response) -> u64 {
    let bytes = match (answer.payload.as_success(), answer.payload.as_error()) {
        (Some(result), _) => result.get().len(),
        (_, Some(error)) => error.message.len(),
        _ => 0,
    };
    bytes as u64
}

/// A refused connection fails the whole packet.
fn is_refused(verdicts: &[judge::Verdict<'_>]) -> bool {
    let refused = Fault::Connection { maybe_sent: false };
    verdicts
        .first()
        .is_some_and(|(outcome, answer)| answer.is_none() && outcome.fault() == Some(refused))
}
