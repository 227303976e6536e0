//! Several requests in one packet: what is known is answered, only the rest goes down.

use super::*;
use futures::future::join_all;
use std::collections::HashMap;

/// A member that goes down.
struct Item {
    request: SerializedRequest,
    /// Nothing if its answer is not for the cache.
    question: Option<Question>,
}

/// Where a member's answer comes from.
struct Seat {
    member: usize,
    ticket: Ticket,
    event: Event,
}

/// Answers a batch.
pub(super) async fn ask<S: Upstream>(
    inner: Ready<S, State>,
    requests: Vec<SerializedRequest>,
) -> Result<ResponsePacket, TransportError> {
    let packet = RequestPacket::Batch(requests);
    let mut members = Members::new(Questions::new(&packet, false)?);
    let deadline = CallOptions::deadline_of(&packet);
    let (mut items, mut own, mut seats) = (Vec::new(), Vec::new(), Vec::new());
    let mut keys: HashMap<Key, usize> = HashMap::new();
    let RequestPacket::Batch(requests) = packet else { return members.finish() };
    for (member, request) in requests.into_iter().enumerate() {
        let question = match inner.state().read(&request) {
            Reading::Hit(entry) => {
                let id = members[member].question().id().clone();
                let cache = Some(CacheState::Hit);
                members[member].set_note(AnswerNote::default().with_cache(cache));
                members[member].answer(given(id, &entry));
                continue;
            }
            Reading::Pass => None,
            Reading::Miss(question) => Some(question),
        };
        if let Some(question) = question.as_ref().filter(|_| may_share(&request)) {
            if let Some(index) = keys.get(&*question.key) {
                own.push((member, *index, Event::Joined));
                inner.state().store.counters().count(question.method, Event::Joined);
                continue;
            }
            let mine = CallOptions::of(&request).and_then(|options| options.deadline);
            if let Some(ticket) = inner.state().flights.join(&question.key, mine) {
                inner.state().store.counters().count(question.method, Event::Joined);
                seats.push(Seat { member, ticket, event: Event::Joined });
                continue;
            }
            keys.insert(Key::from(&*question.key), items.len());
        }
        if let Some(question) = &question {
            inner.state().store.counters().count(question.method, Event::Miss);
        }
        own.push((member, items.len(), Event::Miss));
        items.push(Item { request, question });
    }
    if !items.is_empty() {
        let flight = depart(inner, items, keys.into_iter().collect(), deadline);
        seats.extend(own.into_iter().map(|(member, index, event)| {
            let ticket = Ticket { flight: flight.clone(), index };
            // Its own flight ends when the caller's deadline says so.
            Seat { member, ticket, event: if event == Event::Joined { Event::Miss } else { event } }
        }));
    }
    let landings = seats
        .into_iter()
        .map(|seat| async move { (seat.member, land(seat.ticket, deadline, seat.event).await) });
    for (member, parcel) in join_all(landings).await {
        let id = members[member].question().id().clone();
        let response = parcel.and_then(|parcel| {
            members[member].set_note(parcel.note.clone());
            parcel.response(id)
        });
        match response {
            Ok(response) => members[member].answer(response),
            Err(error) => members.give_up(member, error),
        }
    }
    members.finish()
}

/// Sends what nobody knows and nobody asks yet; others may join.
fn depart<S: Upstream>(
    inner: Ready<S, State>,
    items: Vec<Item>,
    keys: Keys,
    deadline: Option<Instant>,
) -> Flight {
    let flights = inner.state().flights.clone();
    let departure = flights.prepare(keys.clone());
    let number = departure.number;
    let flight = fly(inner, departure, items).boxed().shared();
    flights.announce(keys, number, &flight, deadline);
    flight
}

async fn fly<S: Upstream>(
    mut inner: Ready<S, State>,
    departure: Departure,
    items: Vec<Item>,
) -> Arc<Landed> {
    let (mut asked, clears) = (inner.state().chain.now(), inner.state().store.clears());
    let (mut requests, mut questions) = (Vec::new(), Vec::new());
    for Item { request, question } in items {
        let passing = Passing::of(&request, inner.state());
        let request = match &question {
            Some(question) => inner.state().rewritten(request, question),
            None => request,
        };
        requests.push(request);
        questions.push((question, passing));
    }
    let packet = RequestPacket::Batch(requests);
    let mut members = match Questions::new(&packet, false) {
        Ok(questions) => Members::new(questions),
        Err(error) => return Arc::new(failed(questions.len(), error)),
    };
    let below = note::capture(inner.call(packet));
    let topics: Vec<_> =
        questions.iter().filter_map(|(question, _)| Some(question.as_ref()?.topic)).collect();
    let topics = topics.into_iter();
    let (answer, notes) = inner.state().with_own_questions(topics, &inner, &mut asked, below).await;
    let all: Vec<_> = (0..members.len()).collect();
    members.absorb(&all, answer, &notes, None);
    let notes: Vec<_> = members.iter().map(|member| member.note().clone()).collect();
    let landed = match members.finish() {
        Ok(ResponsePacket::Batch(answers)) => {
            let answered = questions.into_iter().zip(answers).zip(notes);
            let parcels = answered.map(|(((question, passing), response), note)| {
                let state = inner.state();
                let content = match question {
                    Some(question) => {
                        let key = Key::from(&*question.key);
                        state.keep(question, &key, response, &note, (asked, clears))
                    }
                    None => {
                        passing.shows(&response, state);
                        Content::Loose(response.payload)
                    }
                };
                Parcel { content: Ok(content), note }
            });
            parcels.collect()
        }
        Ok(ResponsePacket::Single(_)) => SmallVec::new(),
        Err(error) => failed(questions.len(), error),
    };
    drop(departure);
    Arc::new(landed)
}

fn failed(count: usize, error: TransportError) -> Landed {
    let parcel = Parcel { content: Err(SharedError::new(error)), note: AnswerNote::default() };
    std::iter::repeat_n(parcel, count).collect()
}
