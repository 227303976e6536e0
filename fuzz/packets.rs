use crate::scripted::{Scripted, call};
use alclad_core::{
    Fault, Limiter, Members, Notes, Outcome, Questions, UniqueIds, classify,
    error::{DuplicateId, cause},
};
use alloy_json_rpc::{
    ErrorPayload, Id, Request, RequestPacket, Response, ResponsePacket, ResponsePayload,
};
use alloy_transport::{TransportError, TransportErrorKind};
use arbitrary::{Arbitrary, Unstructured};
use serde::Serialize;
use serde_json::value::to_raw_value;
use std::collections::HashSet;

/// A packet that is asked in rounds, as a layer does that asks again what has failed, also over a
/// connection on which the ids are made unique: whatever comes back, each member is answered once,
/// under its own id, in the caller's order, with what the last round that asked it gave it.
pub fn packets(input: &[u8]) {
    if let Ok(scene) = Scene::arbitrary_take_rest(Unstructured::new(input)) {
        scene.play();
    }
}

#[derive(Arbitrary, Debug)]
struct Scene {
    members: Vec<(Name, bool)>,
    batch: bool,
    renumbered: bool,
    rounds: Vec<Round>,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum Name {
    Number(u8),
    Text(u8),
}

#[derive(Arbitrary, Debug)]
struct Round {
    asked: u8,
    reply: Reply,
}

#[derive(Arbitrary, Clone, Debug)]
enum Reply {
    Refused,
    TimedOut,
    Single(Said),
    Batch(Vec<Said>),
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
struct Said {
    to: To,
    content: Content,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum To {
    /// The member at this place of the packet.
    Member(u8),
    /// Whoever has this id.
    Id(Name),
    Nobody,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum Content {
    Result(u8),
    Null,
    Reverted,
    SlowDown,
    AlreadyKnown,
}

/// What a member should have.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    answer: Option<Content>,
    /// What the last attempt ended in.
    fault: Option<Fault>,
}

const MOST: usize = 8;
const SEND: &str = "eth_sendRawTransaction";

impl Scene {
    fn play(mut self) {
        self.members.truncate(if self.batch { MOST } else { 1 });
        if self.members.is_empty() && !self.batch {
            return;
        }
        let packet = self.packet();
        let questions = match Questions::new(&packet, true) {
            Ok(questions) => questions,
            Err(error) => {
                assert!(self.has_one_id_twice() && cause::<DuplicateId>(&error).is_some());
                return;
            }
        };
        assert!(!self.has_one_id_twice());
        assert_eq!(questions.len(), self.members.len());
        let mut members = Members::new(questions);
        let mut due = vec![Due::default(); members.len()];
        for round in self.rounds.iter().take(MOST) {
            let asked: Vec<_> =
                (0..members.len()).filter(|index| round.asked & (1 << index) != 0).collect();
            if !asked.is_empty() {
                let answer = self.ask(&members, &asked, &round.reply);
                members.absorb(&asked, answer, &Notes::default(), None);
                self.expect(&mut due, &asked, &round.reply);
            }
        }
        for (index, (member, due)) in members.iter().zip(&due).enumerate() {
            let fault = member.outcome().and_then(|outcome| outcome.fault());
            assert_eq!(fault, due.fault, "{index} {self:?}");
        }
        self.is_answered(&due, members.finish());
    }

    fn packet(&self) -> RequestPacket {
        let requests = self.members.iter().map(|(name, sends)| {
            let method = if *sends { SEND } else { "eth_call" };
            Request::new(method, name.id(), ()).serialize().expect("it has no params")
        });
        let mut requests: Vec<_> = requests.collect();
        match (self.batch, requests.pop()) {
            (false, Some(request)) => RequestPacket::Single(request),
            (_, last) => {
                requests.extend(last);
                RequestPacket::Batch(requests)
            }
        }
    }

    fn has_one_id_twice(&self) -> bool {
        let mut ids = HashSet::new();
        self.batch && !self.members.iter().all(|(name, _)| ids.insert(name.id()))
    }

    /// What comes back for these.
    fn ask(
        &self,
        members: &Members,
        asked: &[usize],
        reply: &Reply,
    ) -> Result<ResponsePacket, TransportError> {
        let packet = members.packet(asked);
        assert_eq!(matches!(packet, RequestPacket::Batch(_)), self.batch);
        let ids = packet.requests().iter().map(|request| request.id().clone());
        assert!(ids.eq(asked.iter().map(|index| self.members[*index].0.id())));
        if !self.renumbered {
            return reply.to(&packet);
        }
        let reply = reply.clone();
        let below = Scripted::new(move |packet| {
            let mut ids = HashSet::new();
            assert!(packet.requests().iter().all(|request| ids.insert(request.id().clone())));
            reply.to(&packet)
        });
        call(&mut UniqueIds::new(below), packet)
    }

    /// By the letter of the rules: what these members have after this reply.
    fn expect(&self, due: &mut [Due], asked: &[usize], reply: &Reply) {
        let said = match reply {
            Reply::Single(said) => std::slice::from_ref(said),
            Reply::Batch(said) => said,
            Reply::Refused => return fail(due, asked, Fault::Connection { maybe_sent: false }),
            Reply::TimedOut => return fail(due, asked, Fault::Timeout),
        };
        let is_refusal = |said: &Said| said.to == To::Nobody && said.content.fault(true).is_some();
        match said.last() {
            Some(last) if said.iter().all(is_refusal) => {
                asked.iter().for_each(|index| due[*index] = self.refused(*index, *last, asked));
            }
            _ => asked.iter().enumerate().for_each(|(place, index)| {
                let is_own = |said: &&Said| self.is_to(said, place, *index, asked.len());
                let mut own = said.iter().filter(is_own);
                due[*index] = match (own.next(), own.next()) {
                    (Some(said), None) => self.answered(*index, said.content),
                    (Some(_), Some(_)) => Due { answer: None, fault: Some(Fault::Malformed) },
                    (None, _) => Due { fault: Some(Fault::Malformed), ..due[*index] },
                };
            }),
        }
    }

    fn answered(&self, index: usize, content: Content) -> Due {
        Due { answer: Some(content), fault: content.fault(self.members[index].1) }
    }

    /// One error for all. It would be success, and of which transaction is not said.
    fn refused(&self, index: usize, said: Said, asked: &[usize]) -> Due {
        match self.answered(index, said.content) {
            Due { fault: Some(Fault::AlreadyKnown), .. } if asked.len() > 1 => {
                Due { answer: None, fault: Some(Fault::Malformed) }
            }
            due => due,
        }
    }

    fn is_to(&self, said: &Said, place: usize, index: usize, asked: usize) -> bool {
        match said.to {
            To::Member(at) => usize::from(at) % asked == place,
            // Where the ids are made unique, nobody has this one.
            To::Id(name) => !self.renumbered && name == self.members[index].0,
            To::Nobody => false,
        }
    }

    fn is_answered(&self, due: &[Due], answer: Result<ResponsePacket, TransportError>) {
        let Ok(answer) = answer else {
            let first = due.first().and_then(|due| due.fault).map(|fault| fault.name());
            let is_same = |due: &Due| due.fault.map(|fault| fault.name()) == first;
            assert!(due.iter().all(|due| due.answer.is_none() && is_same(due)), "{self:?}");
            return;
        };
        assert_eq!(matches!(answer, ResponsePacket::Batch(_)), self.batch);
        let ids: Vec<_> = answer.response_ids().cloned().collect();
        let asked: Vec<_> = self.members.iter().map(|(name, _)| name.id()).collect();
        assert_eq!(ids, asked);
        for ((response, due), (_, sends)) in answer.responses().iter().zip(due).zip(&self.members) {
            match due.answer {
                Some(content) => {
                    let (given, right) = (&response.payload, content.payload());
                    assert_eq!(format!("{given:?}"), format!("{right:?}"), "{self:?}");
                }
                None => {
                    let fault = due.fault.unwrap_or(Fault::Unknown);
                    let method = if *sends { SEND } else { "eth_call" };
                    assert_eq!(classify(method, response), Outcome::Fault(fault), "{self:?}");
                }
            }
        }
    }
}

/// None of these has got anything.
fn fail(due: &mut [Due], asked: &[usize], fault: Fault) {
    asked.iter().for_each(|index| due[*index].fault = Some(fault));
}

impl Name {
    fn id(self) -> Id {
        match self {
            Self::Number(number) => Id::Number(number.into()),
            Self::Text(text) => Id::String(text.to_string()),
        }
    }
}

impl Reply {
    /// What it makes of a packet.
    fn to(&self, packet: &RequestPacket) -> Result<ResponsePacket, TransportError> {
        match self {
            Self::Refused => Err(TransportErrorKind::custom_str("connection refused")),
            Self::TimedOut => Err(TransportErrorKind::custom_str("operation timed out")),
            Self::Single(said) => Ok(ResponsePacket::Single(said.response(packet))),
            Self::Batch(said) => {
                Ok(ResponsePacket::Batch(said.iter().map(|said| said.response(packet)).collect()))
            }
        }
    }
}

impl Said {
    fn response(&self, packet: &RequestPacket) -> Response {
        let id = match self.to {
            To::Member(at) => {
                let requests = packet.requests();
                requests[usize::from(at) % requests.len()].id().clone()
            }
            To::Id(name) => name.id(),
            To::Nobody => Id::None,
        };
        Response { id, payload: self.content.payload() }
    }
}

impl Content {
    fn payload(self) -> ResponsePayload {
        let (code, message) = match self {
            Self::Result(number) => return success(&number),
            Self::Null => return success(&()),
            Self::Reverted => (3, "execution reverted"),
            Self::SlowDown => (-32005, "slow down"),
            Self::AlreadyKnown => (-32000, "already known"),
        };
        ResponsePayload::Failure(ErrorPayload { code, message: message.into(), data: None })
    }

    fn fault(self, sends: bool) -> Option<Fault> {
        match self {
            Self::Result(_) | Self::Null => None,
            Self::Reverted => Some(Fault::Reverted),
            Self::SlowDown => Some(Fault::RateLimited { retry_after: None, by: Limiter::Vendor }),
            Self::AlreadyKnown if sends => Some(Fault::AlreadyKnown),
            Self::AlreadyKnown => Some(Fault::Unknown),
        }
    }
}

fn success(result: &impl Serialize) -> ResponsePayload {
    ResponsePayload::Success(to_raw_value(result).expect("it is JSON"))
}
