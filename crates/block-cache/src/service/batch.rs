//! Several requests in one packet: what is known is answered, only the rest goes down.

use super::*;
use foldhash::fast::RandomState;
use futures::future::join_all;
use std::collections::HashMap;

/// What becomes of the members of a batch.
struct Plan {
    members: Members,
    /// What goes down.
    items: Vec<Item>,
    /// Where in it a question stands, for equal ones.
    keys: HashMap<Key, usize, RandomState>,
    /// Which member waits for which item, and what a cache has to do with that.
    own: Vec<(usize, usize, Option<CacheState>)>,
    /// Which member waits for somebody else's flight.
    joined: Vec<(usize, Ticket)>,
}

/// A member that goes down.
struct Item {
    request: SerializedRequest,
    /// Nothing if its answer is not for the cache.
    question: Option<Question>,
}

/// Answers a batch.
pub(super) async fn ask<S: Upstream>(
    inner: Ready<S, State>,
    requests: Vec<SerializedRequest>,
) -> Result<ResponsePacket, TransportError> {
    let packet = RequestPacket::Batch(requests);
    let mut plan = Plan::new(Members::new(Questions::new(&packet, false)?));
    let deadline = CallOptions::deadline_of(&packet);
    let wish = Wish { deadline, clears: inner.state().store.clears() };
    if let RequestPacket::Batch(requests) = packet {
        for (member, request) in requests.into_iter().enumerate() {
            plan.place(member, request, inner.state());
        }
    }
    let Plan { mut members, items, keys, own, joined } = plan;
    let mut seats: Vec<_> =
        joined.into_iter().map(|seat| (seat, Some(CacheState::Joined))).collect();
    if !items.is_empty() {
        let flight = depart(inner, items, keys.into_iter().collect(), wish);
        let ticket = |index| Ticket { flight: flight.clone(), index };
        seats.extend(own.into_iter().map(|(member, item, state)| ((member, ticket(item)), state)));
    }
    let landings = seats.into_iter().map(|((member, ticket), state)| async move {
        (member, land(ticket, deadline, state).await)
    });
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

impl Plan {
    fn new(members: Members) -> Self {
        let (items, keys, own, joined) = Default::default();
        Self { members, items, keys, own, joined }
    }

    fn place(&mut self, member: usize, request: SerializedRequest, state: &State) {
        let question = match state.read(&request) {
            Reading::Hit(answer) => return self.give(member, answer),
            Reading::Pass => None,
            Reading::Miss(question) => Some(question),
        };
        if let Some(question) = &question {
            let may_share = may_share(&request);
            let is_joined = may_share && self.join(member, &request, question, state);
            let event = if is_joined { Event::Joined } else { Event::Miss };
            state.store.counters().count(question.method, event);
            if is_joined {
                return;
            }
            if may_share {
                self.keys.insert(Key::from(&*question.key), self.items.len());
            }
        }
        let state = question.is_some().then_some(MISS);
        self.own.push((member, self.items.len(), state));
        self.items.push(Item { request, question });
    }

    fn give(&mut self, member: usize, answer: Box<RawValue>) {
        let member = &mut self.members[member];
        member.set_note(AnswerNote::default().with_cache(Some(CacheState::Hit)));
        member.answer(given(member.question().id().clone(), answer));
    }

    /// Takes a seat beside an equal member, or in somebody else's flight, if there is one.
    fn join(
        &mut self,
        member: usize,
        request: &SerializedRequest,
        question: &Question,
        state: &State,
    ) -> bool {
        if let Some(item) = self.keys.get(&*question.key) {
            self.own.push((member, *item, Some(MISS)));
            return true;
        }
        let ticket = state.flights.join(&question.key, state.wish(request));
        ticket.map(|ticket| self.joined.push((member, ticket))).is_some()
    }
}

/// Sends what nobody knows and nobody asks yet; others may join.
fn depart<S: Upstream>(inner: Ready<S, State>, items: Vec<Item>, keys: Keys, wish: Wish) -> Flight {
    let flights = inner.state().flights.clone();
    let departure = flights.departure(&keys);
    let flight = CallOptions::unscoped(fly(inner, departure, items)).boxed().shared();
    flights.announce(keys, &flight, wish);
    flight
}

async fn fly<S: Upstream>(
    mut inner: Ready<S, State>,
    departure: Departure,
    items: Vec<Item>,
) -> Arc<Landed> {
    let (asked, clears) = (inner.state().chain.now(), inner.state().store.clears());
    let topics: Vec<_> = items.iter().filter_map(Item::topic).collect();
    let (requests, awaited): (Vec<_>, Vec<_>) =
        items.into_iter().map(|item| item.split(inner.state())).unzip();
    let packet = RequestPacket::Batch(requests);
    let deadline = CallOptions::deadline_of(&packet);
    let mut members = match Questions::new(&packet, false) {
        Ok(questions) => Members::new(questions),
        Err(error) => return Arc::new(failed(awaited.len(), error)),
    };
    let below = note::capture(inner.call(packet));
    let own = inner.state().with_own_questions(topics.into_iter(), &inner, deadline, below);
    let (answer, notes) = own.await;
    let all: Vec<_> = (0..members.len()).collect();
    members.absorb(&all, answer, &notes, None);
    let notes: Vec<_> = members.iter().map(|member| member.note().clone()).collect();
    let landed = match members.finish() {
        Ok(answers) => {
            let answers = awaited.into_iter().zip(answers.responses().to_vec()).zip(notes);
            let parcel = |((awaited, response), note): ((Awaited, Response), AnswerNote)| {
                let content = awaited.take(response, &note, (asked, clears), inner.state());
                Parcel { content: Ok(content), note }
            };
            answers.map(parcel).collect()
        }
        Err(error) => failed(awaited.len(), error),
    };
    drop(departure);
    Arc::new(landed)
}

/// What is to be done with the answer to a member that went down.
#[expect(clippy::large_enum_variant, reason = "nearly all of them are large")]
enum Awaited {
    Keep(Question, Key),
    Pass(Passing),
}

impl Item {
    fn topic(&self) -> Option<Topic> {
        self.question.as_ref().map(|question| question.topic)
    }

    fn split(self, state: &State) -> (SerializedRequest, Awaited) {
        match self.question {
            Some(question) => {
                let request = state.rewritten(self.request, &question);
                let key = Key::from(&*question.key);
                (request, Awaited::Keep(question, key))
            }
            None => {
                let passing = Passing::of(&self.request, state);
                (self.request, Awaited::Pass(passing))
            }
        }
    }
}

impl Awaited {
    fn take(
        self,
        response: Response,
        note: &AnswerNote,
        when: (Moment, u64),
        state: &State,
    ) -> Content {
        match self {
            Self::Keep(question, key) => state.keep(question, &key, response, note, when),
            Self::Pass(passing) => {
                passing.shows(&response, state);
                Content::Loose(response.payload)
            }
        }
    }
}

fn failed(count: usize, error: TransportError) -> Landed {
    let parcel = Parcel { content: Err(SharedError::new(error)), note: AnswerNote::default() };
    std::iter::repeat_n(parcel, count).collect()
}
