use crate::{
    chain::Moment,
    flight::{Announced, Content, Departure, Flight, Keys, Landed, Parcel, Ticket, Wish},
    question::{Key, Question, Topic},
    state::{Reading, State},
    statistics::Event,
};
use alclad_core::{
    AnswerNote, BlockRef, CacheState, CallOptions, Inner, Members, Method, Questions, Ready,
    Upstream,
    error::{BadAnswer, DeadlineExceeded, Misfit, SharedError, TypedError},
    note,
};
use alloy_json_rpc::{
    Id, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest,
};
use alloy_transport::{TransportError, TransportFut};
use futures::{FutureExt, future::lazy};
use serde_json::value::RawValue;
use smallvec::smallvec;
use std::{
    iter::once,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::{Instant, timeout_at};
use tower::Service;

mod batch;

/// The service of [`BlockCacheLayer`](crate::BlockCacheLayer).
#[derive(Debug)]
pub struct BlockCacheService<S> {
    inner: Inner<S, State>,
}

// === impl BlockCacheService ===

impl<S> BlockCacheService<S> {
    pub(crate) fn new(inner: S, state: State) -> Self {
        Self { inner: Inner::new(inner, state) }
    }
}

impl<S> Clone for BlockCacheService<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<S: Upstream> Service<RequestPacket> for BlockCacheService<S> {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    // Hits are given also while nobody below has room: a miss waits in its future.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut packet: RequestPacket) -> Self::Future {
        CallOptions::adopt(&mut packet);
        match packet {
            RequestPacket::Single(request) => self.single(request),
            RequestPacket::Batch(requests) => {
                Box::pin(batch::ask(self.inner.take_ready(), requests))
            }
        }
    }
}

impl<S: Upstream> BlockCacheService<S> {
    fn single(&mut self, request: SerializedRequest) -> TransportFut<'static> {
        let state = self.inner.state();
        // What lands from now on may have been missed by the look into the store.
        let landed = state.flights.landed();
        match state.read(&request) {
            Reading::Hit(answer) => hit(request.decompose().0.id, answer),
            Reading::Pass => Box::pin(pass(self.inner.take_ready(), request)),
            Reading::Miss(question) => ask(self.inner.take_ready(), request, question, landed),
        }
    }
}

fn hit(id: Id, answer: Box<RawValue>) -> TransportFut<'static> {
    let answer = ResponsePacket::Single(given(id, answer));
    Box::pin(lazy(|_| {
        note::record(|note| note.cache = Some(CacheState::Hit));
        Ok(answer)
    }))
}

/// What was kept, for the caller with this id.
const fn given(id: Id, answer: Box<RawValue>) -> Response {
    Response { id, payload: ResponsePayload::Success(answer) }
}

/// Whether what is asked for one caller is good enough for others.
fn may_share(request: &SerializedRequest) -> bool {
    let is_its_own = |options: &CallOptions| options.no_retry || options.ignore_errors;
    !CallOptions::of(request).is_some_and(is_its_own)
}

/// Asks below, and tells the heads what passes.
async fn pass<S: Upstream>(
    mut inner: Ready<S, State>,
    request: SerializedRequest,
) -> Result<ResponsePacket, TransportError> {
    let passing = Passing::of(&request, inner.state());
    let answer = inner.call(RequestPacket::Single(request)).await?;
    if let ResponsePacket::Single(response) = &answer {
        passing.shows(response, inner.state());
    }
    Ok(answer)
}

/// A request that passes, as far as its answer tells of the chain.
struct Passing {
    method: &'static Method,
    block: BlockRef,
}

impl Passing {
    fn of(request: &SerializedRequest, state: &State) -> Self {
        let method = Method::of(request.method());
        let block = match state.chain.is_alone() && method.shows_block {
            true => BlockRef::of_request(request),
            false => BlockRef::None,
        };
        Self { method, block }
    }

    fn shows(&self, response: &Response, state: &State) {
        state.chain.saw(self.method, self.block, response);
    }
}

/// Asks below, or waits for who asks already.
fn ask<S: Upstream>(
    inner: Ready<S, State>,
    request: SerializedRequest,
    question: Question,
    landed: u64,
) -> TransportFut<'static> {
    let id = request.id().clone();
    let wish = inner.state().wish(&request);
    let boarding = match may_share(&request) {
        true => board(inner, request, question, wish, landed),
        false => {
            inner.state().store.counters().count(question.method, Event::Miss);
            Boarding::Ticket(Ticket { flight: depart(inner, request, question).0, index: 0 }, MISS)
        }
    };
    match boarding {
        Boarding::Kept(answer) => hit(id, answer),
        Boarding::Ticket(ticket, state) => Box::pin(async move {
            let parcel = land(ticket, wish.deadline, Some(state)).await?;
            parcel.response(id).map(ResponsePacket::Single)
        }),
    }
}

const MISS: CacheState = CacheState::Miss;

enum Boarding {
    /// It has been answered meanwhile.
    Kept(Box<RawValue>),
    Ticket(Ticket, CacheState),
}

/// A seat in the flight that asks this, which may be a new one.
fn board<S: Upstream>(
    inner: Ready<S, State>,
    request: SerializedRequest,
    question: Question,
    wish: Wish,
    mut landed: u64,
) -> Boarding {
    let (shared, method) = (inner.fresh(), question.method);
    let state = shared.state();
    let (flight, keys) = depart(inner, request, question);
    loop {
        match state.flights.announce_first(&keys, &flight, wish, landed) {
            Announced::First => break,
            Announced::Joined(ticket) => {
                state.store.counters().count(method, Event::Joined);
                return Boarding::Ticket(ticket, CacheState::Joined);
            }
            Announced::Late(by_now) => landed = by_now,
        }
        if let Some(answer) = state.find(&keys[0].0) {
            return Boarding::Kept(answer);
        }
    }
    state.store.counters().count(method, Event::Miss);
    Boarding::Ticket(Ticket { flight, index: 0 }, MISS)
}

fn depart<S: Upstream>(
    inner: Ready<S, State>,
    request: SerializedRequest,
    question: Question,
) -> (Flight, Keys) {
    let key = Key::from(&*question.key);
    let keys: Keys = smallvec![(Key::clone(&key), 0)];
    let departure = inner.state().flights.departure(&keys);
    // Whoever waits for it polls it, in a scope of its own.
    let flight = CallOptions::unscoped(fly(inner, departure, request, question, key));
    let flight = flight.boxed().shared();
    (flight, keys)
}

/// Waits for a flight, but not longer than the caller wants.
async fn land(
    Ticket { flight, index }: Ticket,
    deadline: Option<Instant>,
    state: Option<CacheState>,
) -> Result<Parcel, TransportError> {
    let landed = match (state, deadline) {
        (Some(CacheState::Joined), Some(deadline)) => match timeout_at(deadline, flight).await {
            Ok(landed) => landed,
            Err(_) => return Err(DeadlineExceeded::new(0, None).into_transport_error()),
        },
        _ => flight.await,
    };
    let mut parcel = match Arc::try_unwrap(landed) {
        Ok(mut landed) => landed.swap_remove(index),
        Err(landed) => landed[index].clone(),
    };
    parcel.note.cache = state;
    let said = parcel.note.clone();
    note::record(|note| note.supersede(said));
    Ok(parcel)
}

/// Asks one question below, and keeps the answer if it may be kept.
async fn fly<S: Upstream>(
    mut inner: Ready<S, State>,
    departure: Departure,
    request: SerializedRequest,
    question: Question,
    key: Key,
) -> Arc<Landed> {
    let id = request.id().clone();
    let (asked, clears) = (inner.state().chain.now(), inner.state().store.clears());
    let request = inner.state().rewritten(request, &question);
    let (topic, deadline) = (once(question.topic), inner.state().wish(&request).deadline);
    let below = note::capture(inner.call(RequestPacket::Single(request)));
    let (answer, notes) = inner.state().with_own_questions(topic, &inner, deadline, below).await;
    let note = notes.of(&id);
    let content = match answer {
        Ok(ResponsePacket::Single(response)) if is_for(&response, &id) => {
            Ok(inner.state().keep(question, &key, response, &note, (asked, clears)))
        }
        Ok(_) => {
            let error = BadAnswer::new(Misfit::Foreign, note.endpoint.clone());
            Err(SharedError::new(error.into_transport_error()))
        }
        Err(error) => Err(SharedError::new(error)),
    };
    drop(departure);
    Arc::new(smallvec![Parcel { content, note }])
}

/// An endpoint that could not read a request answers without an id.
fn is_for(response: &Response, id: &Id) -> bool {
    response.id == *id || (response.id.is_none() && response.payload.is_error())
}
