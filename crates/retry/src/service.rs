use crate::{Backoff, Decision, RetryEvent, RetryPolicy};
use alclad_core::{
    Budget, CallOptions, Classify, Fault, Inner, Limiter, Members, Notes, Questions, Ready,
    Upstream,
    error::{DeadlineExceeded, TypedError},
    names, note, send,
};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportFut};
use smallvec::SmallVec;
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, sleep_until, timeout_at};
use tower::Service;

/// The service of [`RetryLayer`](crate::RetryLayer).
#[derive(Debug)]
pub struct Retry<S, P = Backoff> {
    inner: Inner<S, Arc<Settings<P>>>,
}

pub(crate) struct Settings<P> {
    pub(crate) policy: Arc<P>,
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
    if deadline.is_some_and(|deadline| deadline <= start) {
        return Err(DeadlineExceeded::new(0, None).into_transport_error());
    }
    inner.state().budget.deposit(questions.len());
    let attempt = note::capture(inner.call(packet));
    let (answer, notes) = match deadline {
        None => attempt.await,
        Some(deadline) => match before(deadline, attempt).await {
            Some(answered) => answered,
            None => return Err(DeadlineExceeded::new(1, None).into_transport_error()),
        },
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
    let settle = call.settle(&mut inner, answer, notes);
    match deadline {
        None => settle.await,
        Some(deadline) => {
            if before(deadline, settle).await.is_none() {
                call.time_out();
            }
        }
    }
    call.members.finish()
}

/// What the future comes to, unless the deadline comes first.
async fn before<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    // Boxed, because timers are large and deadlines rare.
    Box::pin(timeout_at(deadline, future)).await.ok()
}

// === impl Settings ===

impl<P> Clone for Settings<P> {
    fn clone(&self) -> Self {
        let Self { policy, budget, classifier } = self;
        Self { policy: Arc::clone(policy), budget: budget.clone(), classifier: classifier.clone() }
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
    /// The endpoint has answered this attempt: what stopped the look-up after it is no excuse.
    looked_up: bool,
}

impl Call {
    fn new(questions: Questions, start: Instant, deadline: Option<Instant>) -> Self {
        let members = Members::new(questions);
        let turns =
            members.iter().map(|_| Turn { due: start, attempt: 1, looked_up: false }).collect();
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
            for index in &asked {
                if let Some(lookup) = send::resolve(&mut self.members[*index]) {
                    self.turns[*index].looked_up = true;
                    let (answer, _) = note::capture(inner.call(lookup.packet())).await;
                    lookup.settle(&mut self.members[*index], answer);
                }
            }
            self.decide(&asked, inner.state());
            let Some(due) = self.next_due() else { return };
            sleep_until(due).await;
            asked = self.due_by(Instant::now());
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

    /// Closes the members that were asked, or says when they are asked again.
    fn decide<P: RetryPolicy>(&mut self, asked: &[usize], settings: &Settings<P>) {
        let (now, spread) = (Instant::now(), fastrand::f64());
        let mut wanted: SmallVec<[Wanted; 1]> = SmallVec::new();
        for index in asked {
            match self.next_turn(*index, now, spread, &settings.policy) {
                Some(again) => wanted.push(again),
                None => self.members[*index].close(),
            }
        }
        let extra = wanted.iter().filter(|wanted| wanted.was_asked()).count();
        let granted = extra == 0 || settings.budget.withdraw_all(extra);
        for wanted in wanted {
            let (granted, asked) = (granted || !wanted.was_asked(), wanted.was_asked());
            let Wanted { index, event, wait, due, .. } = wanted;
            report(&event, wait, granted);
            let attempt = event.attempt + u32::from(asked);
            match granted {
                true => self.turns[index] = Turn { due, attempt, looked_up: false },
                false => self.members[index].close(),
            }
        }
    }

    fn next_turn(
        &self,
        index: usize,
        now: Instant,
        spread: f64,
        policy: &impl RetryPolicy,
    ) -> Option<Wanted> {
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
            spread,
        };
        let Decision::RetryAfter(wait) = policy.decide(event) else { return None };
        let due = now.checked_add(wait)?;
        let late = self.deadline.is_some_and(|deadline| due >= deadline);
        let looked_up = self.turns[index].looked_up;
        (!late).then_some(Wanted { index, event, wait, due, looked_up })
    }
}

/// A member that is to be asked again, if the budget has it.
struct Wanted {
    index: usize,
    event: RetryEvent,
    wait: Duration,
    due: Instant,
    looked_up: bool,
}

impl Wanted {
    /// Whether an endpoint was asked, and not only our own limiter.
    const fn was_asked(&self) -> bool {
        let local = matches!(self.event.fault, Fault::RateLimited { by: Limiter::Local, .. });
        self.looked_up || !local
    }
}

/// Tells of a retry, or of one that the budget refused.
fn report(event: &RetryEvent, wait: Duration, granted: bool) {
    let (method, fault) = (event.method.name, event.fault.name());
    let name = if granted { names::RETRIES } else { names::RETRIES_REFUSED };
    metrics::counter!(name, names::METHOD => method, names::FAULT => fault).increment(1);
    if granted {
        let wait = wait.as_secs_f64();
        metrics::histogram!(names::RETRY_WAIT).record(wait);
        tracing::debug!(method, fault, attempt = event.attempt, wait, "asking again");
    } else {
        tracing::debug!(method, fault, "not asked again: the retry budget is spent");
    }
}
