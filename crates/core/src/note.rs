//! What a layer below learned about an answer, for the layers above.
//!
//! A [`ResponsePacket`](alloy_json_rpc::ResponsePacket) has no room for the facts around an
//! answer: which endpoint gave it, the HTTP status it came with, a `Retry-After`. A layer that
//! wants them runs the call below it inside [`capture`]; layers and transports below write them
//! with [`record`] and [`record_member`], which do nothing while nobody listens.
//!
//! The slot travels with the task and not in the request's extensions: those cost three
//! allocations per request and three more per clone, on every call, for facts that are read on
//! few. A future that is moved to another task needs a `capture` of its own.

use crate::{EndpointId, HttpFacts};
use alloy_json_rpc::Id;
use pin_project_lite::pin_project;
use std::{
    cell::RefCell,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

thread_local! {
    /// Of the capture that is being polled, if one is.
    static NOTES: RefCell<Option<Notes>> = const { RefCell::new(None) };
}

/// What is done with the notes of the layer that listens, if one does.
fn with_listener<T>(act: impl FnOnce(&mut Notes) -> T) -> Option<T> {
    NOTES.try_with(|notes| notes.borrow_mut().as_mut().map(act)).ok().flatten()
}

/// Facts about one answer, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnswerNote {
    /// Who answered, or failed to.
    pub endpoint: Option<EndpointId>,
    /// The HTTP status that the answer came with.
    pub http_status: Option<u16>,
    /// When the endpoint said that it may be asked again.
    pub retry_after: Option<Duration>,
    /// How often an endpoint was asked for this answer; 0 if no layer counted.
    pub attempts: u32,
    /// Where a cache had it from; nothing if it did not pass one that keeps such answers.
    pub cache: Option<CacheState>,
}

/// Where an answer came from, as a cache sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheState {
    /// It was kept.
    Hit,
    /// An endpoint was asked.
    Miss,
    /// An endpoint was being asked for another caller.
    Joined,
}

impl CacheState {
    /// As it stands in metrics and traces: `hit`, `miss`, `joined`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Joined => "joined",
        }
    }
}

impl AnswerNote {
    /// The part of it that the classifier hears.
    pub const fn http(&self) -> HttpFacts {
        HttpFacts { status: self.http_status, retry_after: self.retry_after }
    }

    /// With what a cache says.
    #[must_use]
    pub fn with_cache(self, cache: Option<CacheState>) -> Self {
        Self { cache, ..self }
    }

    /// Replaces what an earlier attempt noted by what a later one did; attempts add up.
    pub fn supersede(&mut self, later: Self) {
        let attempts = self.attempts + later.attempts;
        let endpoint = later.endpoint.or_else(|| self.endpoint.take());
        *self = Self { attempts, endpoint, ..later };
    }
}

/// The notes of one packet: what holds for all members, and what holds for single ones.
// They are moved in and out of the slot at every poll, and mostly hold nothing: hence the box.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    endpoint: Option<EndpointId>,
    written: Option<Box<Written>>,
}

#[derive(Clone, Debug, Default)]
struct Written {
    packet: AnswerNote,
    members: Vec<(Id, AnswerNote)>,
}

impl Notes {
    /// What is known about the answer to the member with this id; what was said last holds.
    pub fn of(&self, id: &Id) -> AnswerNote {
        let Some(Written { packet, members }) = self.written.as_deref() else {
            return AnswerNote { endpoint: self.endpoint.clone(), ..AnswerNote::default() };
        };
        members.iter().rfind(|(member, _)| member == id).map_or(packet, |(_, note)| note).clone()
    }

    fn write(&mut self) -> &mut Written {
        let endpoint = &self.endpoint;
        self.written.get_or_insert_with(|| {
            let packet = AnswerNote { endpoint: endpoint.clone(), ..AnswerNote::default() };
            Box::new(Written { packet, members: Vec::new() })
        })
    }

    /// Hands them on to the layer above, if that listens, by a layer that has nothing to add.
    pub fn pass_up(self) {
        with_listener(|notes| *notes = self);
    }
}

/// Runs a call and returns what the layers below noted about its answers.
///
/// The endpoint that is being asked, if a layer above said so, goes on being known.
pub fn capture<F: Future>(call: F) -> Capture<F> {
    capture_by(endpoint(), call)
}

/// [`capture`] for a call to this endpoint, whose name the layers below may put into errors.
pub fn capture_at<F: Future>(endpoint: EndpointId, call: F) -> Capture<F> {
    capture_by(Some(endpoint), call)
}

fn capture_by<F: Future>(endpoint: Option<EndpointId>, call: F) -> Capture<F> {
    Capture { notes: Notes { endpoint, written: None }, call }
}

pin_project! {
    /// The future of [`capture`] and [`capture_at`]: the call's output, and its notes.
    ///
    /// It can be moved between polls if the call can, also to another task.
    #[derive(Debug)]
    pub struct Capture<F> {
        notes: Notes,
        #[pin]
        call: F,
    }
}

impl<F: Future> Future for Capture<F> {
    type Output = (F::Output, Notes);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (notes, call) = (this.notes, this.call);
        let above = Above(NOTES.replace(Some(mem::take(notes))));
        let output = call.poll(cx);
        *notes = above.listens_again();
        output.map(|output| (output, mem::take(notes)))
    }
}

/// The notes of the layer above, which listens again when what it called has been polled, also if
/// that panics.
struct Above(Option<Notes>);

impl Above {
    fn listens_again(mut self) -> Notes {
        let below = NOTES.replace(self.0.take());
        mem::forget(self);
        below.unwrap_or_default()
    }
}

impl Drop for Above {
    fn drop(&mut self) {
        NOTES.set(self.0.take());
    }
}

/// Notes something that holds for every member of the packet.
pub fn record(write: impl FnOnce(&mut AnswerNote)) {
    with_listener(|notes| write(&mut notes.write().packet));
}

/// Notes something about the member with this id.
pub fn record_member(id: &Id, note: impl FnOnce() -> AnswerNote) {
    with_listener(|notes| notes.write().members.push((id.clone(), note())));
}

/// What was noted so far for the layer above that listens; nothing if none does. For a layer that
/// looks only when something went wrong.
pub fn heard() -> Notes {
    with_listener(|notes| notes.clone()).unwrap_or_default()
}

/// The endpoint that is being asked in this task, if a layer above said so.
pub fn endpoint() -> Option<EndpointId> {
    with_listener(|notes| notes.endpoint.clone()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_member_has_its_own_note_or_the_packets() {
        let call = async {
            record(|note| note.http_status = Some(429));
            let note = AnswerNote { http_status: Some(200), ..AnswerNote::default() };
            record_member(&Id::Number(1), || note);
        };
        let ((), notes) = capture_at("a".into(), call).await;
        assert_eq!(notes.of(&Id::Number(1)).http_status, Some(200));
        assert_eq!(notes.of(&Id::Number(2)).http_status, Some(429));
        assert_eq!(notes.of(&Id::Number(2)).endpoint, Some("a".into()));
    }

    #[tokio::test]
    async fn a_capture_inside_another_knows_the_endpoint_and_keeps_its_notes_to_itself() {
        let inner = async {
            assert_eq!(endpoint(), Some("a".into()));
            record(|note| note.http_status = Some(429));
        };
        let outer = async {
            let ((), notes) = capture(inner).await;
            assert_eq!(endpoint(), Some("a".into()));
            notes
        };
        let (inner, outer) = capture_at("a".into(), outer).await;
        assert_eq!(inner.of(&Id::None).http_status, Some(429));
        assert_eq!(outer.of(&Id::None).http_status, None);
    }

    #[tokio::test]
    async fn a_layer_that_adds_nothing_passes_all_on() {
        let call = async {
            let ((), notes) = capture(async { record(|note| note.attempts = 2) }).await;
            notes.pass_up();
        };
        let ((), notes) = capture_at("a".into(), call).await;
        let note = notes.of(&Id::Number(1));
        assert_eq!((note.endpoint.clone(), note.attempts), (Some("a".into()), 2));
    }

    #[tokio::test]
    async fn what_was_said_of_a_member_last_holds() {
        let said = |attempts| move || AnswerNote { attempts, ..AnswerNote::default() };
        let call = async {
            record_member(&Id::Number(1), said(1));
            record_member(&Id::Number(1), said(2));
        };
        let ((), notes) = capture(call).await;
        assert_eq!(notes.of(&Id::Number(1)).attempts, 2);
    }

    #[tokio::test]
    async fn a_layer_between_reads_what_the_one_above_will_hear() {
        let call = async {
            record(|note| note.http_status = Some(429));
            heard()
        };
        let (heard_below, notes) = capture(call).await;
        assert_eq!(heard_below.of(&Id::None), notes.of(&Id::None));
        assert_eq!(heard().of(&Id::None), AnswerNote::default());
    }

    #[tokio::test]
    async fn nothing_is_noted_while_nobody_listens() {
        record(|_| unreachable!("nobody listens"));
        record_member(&Id::Number(1), || unreachable!("nobody listens"));
        assert_eq!(endpoint(), None);
    }

    #[test]
    fn a_later_attempt_supersedes_an_earlier_one() {
        let mut note = AnswerNote { http_status: Some(429), attempts: 1, ..AnswerNote::default() };
        note.supersede(AnswerNote { attempts: 2, ..AnswerNote::default() });
        assert_eq!((note.http_status, note.attempts), (None, 3));
    }
}
