use crate::{
    Age, BlockCache, Keep, Lifetime, Subject,
    chain::{Chain, Moment},
    entry::Entry,
    flight::{Content, Departure, Flight, Flights, Keys, Landed, Parcel, Ticket, Wish},
    question::{Key, Question, Topic, at_height, is_for_cache, on_chain, raw, with_chain},
    statistics::Event,
    verdict::Answer,
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
use futures::{
    FutureExt,
    future::{Either, select},
};
use smallvec::smallvec;
use std::{
    future::{Future, ready},
    iter::once,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, timeout, timeout_at};
use tower::Service;

mod batch;

/// An answer waits at most this long for what has to be known to keep it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The service of [`BlockCacheLayer`](crate::BlockCacheLayer).
#[derive(Debug)]
pub struct BlockCacheService<S> {
    inner: Inner<S, State>,
}

/// What all clones of one pipeline's service share.
pub(crate) struct State {
    store: BlockCache,
    chain: Chain,
    lifetime: Arc<dyn Lifetime>,
    max_age: Option<Duration>,
    flights: Flights,
}

/// What is to be done with a request.
#[expect(clippy::large_enum_variant, reason = "it is moved once, and a box costs more")]
enum Reading {
    /// It passes.
    Pass,
    Hit(Arc<Entry>),
    Miss(Question),
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
        let inner = self.inner.take_ready();
        match packet {
            RequestPacket::Single(request) => single(inner, request),
            RequestPacket::Batch(requests) => Box::pin(batch::ask(inner, requests)),
        }
    }
}

fn single<S: Upstream>(
    inner: Ready<S, State>,
    request: SerializedRequest,
) -> TransportFut<'static> {
    // What lands from now on may have been missed by the look into the store.
    let landed = inner.state().flights.landed();
    match inner.state().read(&request) {
        Reading::Hit(entry) => {
            note::record(|note| note.cache = Some(CacheState::Hit));
            let (meta, _) = request.decompose();
            Box::pin(ready(Ok(ResponsePacket::Single(given(meta.id, &entry)))))
        }
        Reading::Pass => Box::pin(pass(inner, request)),
        Reading::Miss(question) => Box::pin(ask(inner, request, question, landed)),
    }
}

/// What was kept, for the caller with this id.
fn given(id: Id, entry: &Entry) -> Response {
    Response { id, payload: ResponsePayload::Success(entry.answer.clone()) }
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
async fn ask<S: Upstream>(
    inner: Ready<S, State>,
    request: SerializedRequest,
    question: Question,
    landed: u64,
) -> Result<ResponsePacket, TransportError> {
    let id = request.id().clone();
    let wish = inner.state().wish(&request);
    let boarding = match may_share(&request) {
        true => board(inner, request, question, wish, landed),
        false => {
            inner.state().store.counters().count(question.method, Event::Miss);
            Boarding::Ticket(Ticket { flight: depart(inner, request, question).0, index: 0 }, MISS)
        }
    };
    let parcel = match boarding {
        Boarding::Kept(entry) => return Ok(ResponsePacket::Single(given(id, &entry))),
        Boarding::Ticket(ticket, state) => land(ticket, wish.deadline, Some(state)).await?,
    };
    parcel.response(id).map(ResponsePacket::Single)
}

const MISS: CacheState = CacheState::Miss;

enum Boarding {
    /// It has been answered meanwhile.
    Kept(Arc<Entry>),
    Ticket(Ticket, CacheState),
}

/// A seat in the flight that asks this, which may be a new one.
fn board<S: Upstream>(
    inner: Ready<S, State>,
    request: SerializedRequest,
    question: Question,
    wish: Wish,
    landed: u64,
) -> Boarding {
    let (flights, method) = (inner.state().flights.clone(), question.method);
    let store = inner.state().store.clone();
    let joined = |ticket| {
        store.counters().count(method, Event::Joined);
        Boarding::Ticket(ticket, CacheState::Joined)
    };
    if let Some(ticket) = flights.join(&question.key, wish) {
        return joined(ticket);
    }
    if flights.landed() != landed
        && let Some(entry) = inner.state().find(&question.key)
    {
        return Boarding::Kept(entry);
    }
    let (flight, keys, number) = depart(inner, request, question);
    match flights.announce_or_join(keys, number, &flight, wish) {
        Some(ticket) => joined(ticket),
        None => {
            store.counters().count(method, Event::Miss);
            Boarding::Ticket(Ticket { flight, index: 0 }, MISS)
        }
    }
}

fn depart<S: Upstream>(
    inner: Ready<S, State>,
    request: SerializedRequest,
    question: Question,
) -> (Flight, Keys, u64) {
    let key = Key::from(&*question.key);
    let keys: Keys = smallvec![(Key::clone(&key), 0)];
    let departure = inner.state().flights.prepare(keys.clone());
    let number = departure.number;
    let flight = fly(inner, departure, request, question, key).boxed().shared();
    (flight, keys, number)
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
    let below = note::capture(inner.call(RequestPacket::Single(request)));
    let (answer, notes) =
        inner.state().with_own_questions(once(question.topic), &inner, below).await;
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

// === impl State ===

impl State {
    pub(crate) fn new(
        store: BlockCache,
        chain: Chain,
        lifetime: Arc<dyn Lifetime>,
        max_age: Option<Duration>,
    ) -> Self {
        Self { store, chain, lifetime, max_age, flights: Flights::default() }
    }

    fn wish(&self, request: &SerializedRequest) -> Wish {
        let deadline = CallOptions::of(request).and_then(|options| options.deadline);
        Wish { deadline, clears: self.store.clears() }
    }

    fn read(&self, request: &SerializedRequest) -> Reading {
        if !is_for_cache(request) {
            return Reading::Pass;
        }
        let chain_id = self.chain.id();
        let written = chain_id.zip(raw(request)).map(|(id, text)| with_chain(id, text));
        if let Some(entry) = written.as_ref().and_then(|key| self.find(key)) {
            return Reading::Hit(entry);
        }
        let question = Question::of(request, chain_id, self.latest());
        let Some(question) = question else { return Reading::Pass };
        if chain_id.is_some()
            && written.as_ref() != Some(&question.key)
            && let Some(entry) = self.find(&question.key)
        {
            return Reading::Hit(entry);
        }
        Reading::Miss(question)
    }

    /// What stands under this key, if it is true.
    fn find(&self, key: &[u8]) -> Option<Arc<Entry>> {
        let entry = self.store.get(key)?;
        if entry.is_good(&self.chain) {
            self.store.counters().count(entry.method, Event::Hit(entry.age()));
            return Some(entry);
        }
        // Another answer will take its place.
        entry.is_removed();
        if entry.has_expired() {
            self.store.remove(key);
        }
        None
    }

    /// The height that `latest` is read as, if it is.
    fn latest(&self) -> Option<u64> {
        let max_age = self.max_age?;
        self.chain.heads.age().filter(|age| *age <= max_age)?;
        self.chain.heads.latest()
    }

    /// A request for `latest` becomes one for the height that it is read as.
    fn rewritten(&self, request: SerializedRequest, question: &Question) -> SerializedRequest {
        match question.topic {
            Topic::Latest(height) => at_height(request, question.method, height),
            _ => request,
        }
    }

    /// Waits for an answer, and meanwhile for what has to be known to keep it.
    async fn with_own_questions<S: Upstream, T>(
        &self,
        mut topics: impl Iterator<Item = Topic>,
        inner: &Ready<S, Self>,
        answer: impl Future<Output = T>,
    ) -> T {
        let must_look = topics.any(|topic| self.chain.must_look(topic));
        if self.chain.id().is_some() && !must_look {
            return answer.await;
        }
        let id = self.chain.learn_id(inner.fresh());
        let look = async {
            if must_look {
                self.chain.look_for_final(inner.fresh()).await;
            }
        };
        let own = async { tokio::join!(id, look) };
        match select(pin!(answer), pin!(own)).await {
            Either::Left((answer, own)) => {
                let _ = timeout(PATIENCE, own).await;
                answer
            }
            Either::Right((_, answer)) => answer.await,
        }
    }

    /// Keeps the answer, if it may be kept.
    fn keep(
        &self,
        question: Question,
        key: &Key,
        response: Response,
        note: &AnswerNote,
        (asked, clears): (Moment, u64),
    ) -> Content {
        self.chain.saw(question.method, question.block, &response);
        let answer = Answer { response: &response, endpoint: note.endpoint.as_ref(), asked };
        let verdict = question.verdict(&answer, &self.chain, self.max_age);
        let kept = verdict.zip(self.chain.id()).filter(|_| self.store.clears() == clears);
        let Some((verdict, chain_id)) = kept else { return Content::Loose(response.payload) };
        let head = self.chain.heads.latest();
        let number = verdict.bond.number();
        let depth = number.zip(head).map(|(number, head)| head.saturating_sub(number));
        let bytes = response.payload.as_success().map_or(0, |answer| answer.get().len());
        let subject = Subject { method: question.method, age: verdict.age, depth, bytes };
        let now = self.lifetime.of(&subject);
        let lifetimes = match verdict.age {
            Age::Final | Age::Latest => [now; 2],
            Age::Young | Age::Tip => {
                [now, self.lifetime.of(&Subject { age: Age::Final, ..subject })]
            }
        };
        let payload = match response.payload {
            ResponsePayload::Success(answer) if lifetimes[0] != Keep::Never => answer,
            payload => return Content::Loose(payload),
        };
        let endpoint = note.endpoint.clone();
        let entry = Entry::new(payload, question.method, verdict, lifetimes, endpoint);
        Content::Kept(self.store.insert(on_chain(key, chain_id), entry, head))
    }
}
