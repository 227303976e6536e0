use crate::{Backoff, Decision, RetryEvent, RetryPolicy};
use alclad_core::{
    Budget, CallOptions, Classify, Inner, Members, Notes, Questions, Ready, Upstream,
    error::{DeadlineExceeded, TypedError},
    names, note, send,
};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportFut};
use smallvec::SmallVec;
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::{Instant, sleep_until, timeout_at};
use tower::Service;

/// The service of [`RetryLayer`](crate::RetryLayer).
#[derive(Debug)]
pub struct Retry<S, P = Backoff> {
    inner: Inner<S, Arc<Settings<P>>>,
}

#[derive(Clone)]
pub(crate) struct Settings<P> {
    pub(crate) policy: P,
    pub(crate) budget: Budget,
    pub(crate) classifier: Option<Arc<dyn Classify>>,
}

// === impl Retry ===

impl<S, P> Retry<S, P> {
    pub(crate) fn new(inner: S, settings: Arc<Settings<P>>) -> Self {
        Self { inner: Inner::new(inner, settings) }
    }
}

impl<S, P> Clone for Retry<S, P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<S: Upstream, P: RetryPolicy> Service<RequestPacket> for Retry<S, P> {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(ask(self.inner.take_ready(), packet))
    }
}

/// `inner` is ready for one call, and makes itself ready for the others.
async fn ask<S: Upstream, P: RetryPolicy>(
    mut inner: Ready<S, Arc<Settings<P>>>,
    mut packet: RequestPacket,
) -> Result<ResponsePacket, TransportError> {
    CallOptions::adopt(&mut packet);
    let start = Instant::now();
    let deadline = CallOptions::deadline_of(&packet);
    let questions = Questions::new(&packet, true)?;
    if questions.is_empty() {
        return Ok(ResponsePacket::Batch(Vec::new()));
    }
    inner.state().budget.deposit(questions.len());
    let attempt = note::capture(inner.call(packet));
    let Some((answer, notes)) = before(deadline, attempt).await else {
        return Err(DeadlineExceeded::new(1, None).into_transport_error());
    };
    if answer.as_ref().is_ok_and(|answer| questions.are_answered_by(answer)) {
        notes.pass_up();
        return answer;
    }
    // What follows is rare, and large: it must not weigh on every call.
    Box::pin(ask_again(inner, Call::new(questions, start, deadline), answer, notes)).await
}

/// Goes on after a first attempt that not all members had a good answer from.
async fn ask_again<S: Upstream, P: RetryPolicy>(
    mut inner: Ready<S, Arc<Settings<P>>>,
    mut call: Call,
    answer: Result<ResponsePacket, TransportError>,
    notes: Notes,
) -> Result<ResponsePacket, TransportError> {
    let deadline = call.deadline;
    if before(deadline, call.settle(&mut inner, answer, notes)).await.is_none() {
        call.time_out();
    }
    call.members.finish()
}

/// What the future comes to, unless the deadline comes first.
async fn before<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    match deadline {
        None => Some(future.await),
        // Boxed, because timers are large and deadlines rare.
        Some(deadline) => Box::pin(timeout_at(deadline, future)).await.ok(),
    }
}

/// One packet on its way through the layer.
struct Call {
    members: Members,
    turns: SmallVec<[Turn; 1]>,
    start: Instant,
    deadline: Option<Instant>,
}

/// When a member is asked, and for which time.
#[derive(Clone, Copy)]
struct Turn {
    due: Instant,
    attempt: u32,
}

impl Call {
    fn new(questions: Questions, start: Instant, deadline: Option<Instant>) -> Self {
        let members = Members::new(questions);
        let turns = members.iter().map(|_| Turn { due: start, attempt: 1 }).collect();
        Self { members, turns, start, deadline }
    }

    /// Judges the first attempt, and asks for every member when it is due until none is open.
    async fn settle<S: Upstream, P: RetryPolicy>(
        &mut self,
        inner: &mut Ready<S, Arc<Settings<P>>>,
        mut answer: Result<ResponsePacket, TransportError>,
        mut notes: Notes,
    ) {
        let mut asked: SmallVec<[usize; 4]> = (0..self.members.len()).collect();
        loop {
            self.members.absorb(&asked, answer, &notes, inner.state().classifier.as_deref());
            for index in asked {
                if let Some(lookup) = send::resolve(&mut self.members[index]) {
                    let answer = inner.call(lookup.packet()).await;
                    lookup.settle(&mut self.members[index], answer);
                }
                self.decide(index, inner.state());
            }
            let Some(due) = self.next_due() else { return };
            sleep_until(due).await;
            asked = self.due_by(due);
            let packet = self.members.packet(&asked);
            (answer, notes) = note::capture(inner.call(packet)).await;
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let open = self.members.iter().zip(&self.turns).filter(|(member, _)| member.is_open());
        open.map(|(_, turn)| turn.due).min()
    }

    fn due_by(&self, time: Instant) -> SmallVec<[usize; 4]> {
        let is_due = |i: &usize| self.members[*i].is_open() && self.turns[*i].due <= time;
        (0..self.members.len()).filter(is_due).collect()
    }

    /// The members that have an answer keep it; the others have none.
    fn time_out(&mut self) {
        for index in 0..self.members.len() {
            let member = &self.members[index];
            if member.is_open() {
                let error = DeadlineExceeded::new(self.turns[index].attempt, member.open_fault());
                self.members.give_up(index, error.into_transport_error());
            }
        }
    }

    /// Closes the member, or says when it is asked again.
    fn decide<P: RetryPolicy>(&mut self, index: usize, settings: &Settings<P>) {
        let now = Instant::now();
        match self.next_turn(index, now, settings) {
            Some(turn) => self.turns[index] = turn,
            None => self.members[index].close(),
        }
    }

    fn next_turn<P: RetryPolicy>(
        &self,
        index: usize,
        now: Instant,
        settings: &Settings<P>,
    ) -> Option<Turn> {
        let member = &self.members[index];
        let fault = member.open_fault()?;
        let question = member.question();
        if question.options().is_some_and(|options| options.no_retry || options.ignore_errors)
            || !question.method().may_replay(&fault)
        {
            return None;
        }
        let event = RetryEvent {
            fault,
            attempt: self.turns[index].attempt,
            elapsed: now - self.start,
            method: question.method(),
            hint: member.note().retry_after,
        };
        let Decision::RetryAfter(wait) = settings.policy.decide(event) else { return None };
        let due = now.checked_add(wait)?;
        if self.deadline.is_some_and(|deadline| due >= deadline) {
            return None;
        }
        let granted = settings.budget.withdraw();
        report(&event, wait.as_secs_f64(), granted);
        granted.then_some(Turn { due, attempt: event.attempt + 1 })
    }
}

/// Tells of a retry, or of one that the budget refused.
fn report(event: &RetryEvent, wait: f64, granted: bool) {
    let (method, fault) = (event.method.name, event.fault.name());
    let name = if granted { names::RETRIES } else { names::RETRIES_REFUSED };
    metrics::counter!(name, names::METHOD => method, names::FAULT => fault).increment(1);
    if granted {
        metrics::histogram!(names::RETRY_WAIT).record(wait);
        tracing::debug!(method, fault, attempt = event.attempt, wait, "asking again");
    } else {
        tracing::debug!(method, fault, "not asked again: the retry budget is spent");
    }
}
