//! The members of a packet on their way: who has an answer, and who is still to be asked.

use crate::{
    AnswerNote, Classify, EndpointId, Fault, HttpFacts, Notes, Outcome, Question, Questions,
    StandIn, classify_with,
    error::{BadAnswer, Misfit, TypedError},
    note,
};
use alloy_json_rpc::{Id, RequestPacket, Response, ResponsePacket, ResponsePayload};
use alloy_transport::TransportError;
use smallvec::SmallVec;
use std::{
    collections::HashMap,
    ops::{Index, IndexMut},
};

/// One question of a packet, with what has been answered to it so far.
#[derive(Debug)]
pub struct Member {
    question: Question,
    answer: Option<Response>,
    outcome: Option<Outcome>,
    note: AnswerNote,
    open: bool,
}

impl Member {
    fn new(question: Question) -> Self {
        let note = AnswerNote::default();
        Self { question, answer: None, outcome: None, note, open: true }
    }

    /// What was asked.
    pub const fn question(&self) -> &Question {
        &self.question
    }

    /// The last real answer: a result, or an error member that an endpoint gave.
    pub const fn last_answer(&self) -> Option<&Response> {
        self.answer.as_ref()
    }

    /// How the last attempt ended.
    pub const fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// What is known about the last attempt; its attempts are all there were.
    pub const fn note(&self) -> &AnswerNote {
        &self.note
    }

    /// Whether it may still be asked.
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// The fault that the last attempt ended in, if it is still to be decided what to do.
    pub const fn open_fault(&self) -> Option<Fault> {
        match (self.open, self.outcome) {
            (true, Some(Outcome::Fault(fault))) => Some(fault),
            _ => None,
        }
    }

    /// Ends it with what it has.
    pub const fn close(&mut self) {
        self.open = false;
    }

    /// Ends it with this answer.
    pub fn answer(&mut self, answer: Response) {
        self.answer = Some(answer);
        self.outcome = Some(Outcome::Answer);
        self.open = false;
    }

    /// Forgets its answer, which may not be given.
    pub fn discard_answer(&mut self) {
        self.answer = None;
    }

    /// What is known about its answer, which this layer did not ask for itself.
    pub fn set_note(&mut self, note: AnswerNote) {
        self.note = note;
    }

    /// Notes that this endpoint was asked once more and has not answered. Whose answer it keeps
    /// stays known.
    pub fn asked_in_vain(&mut self, endpoint: EndpointId) {
        if self.answer.is_some() {
            self.note.attempts += 1;
            return;
        }
        let note = AnswerNote { endpoint: Some(endpoint), attempts: 1, ..AnswerNote::default() };
        self.note.supersede(note);
    }

    /// "Already known" is success: said once of several, it is not said of which transaction.
    fn accept_only_alone(&mut self, asked: &[usize]) {
        if asked.len() > 1 && self.open_fault() == Some(Fault::AlreadyKnown) {
            self.discard_answer();
            self.fail(Fault::Malformed);
        }
    }

    pub(crate) fn fail(&mut self, fault: Fault) {
        self.outcome = Some(Outcome::Fault(fault));
    }
}

/// The members of one packet, in the caller's order, until all have an answer or none can be had.
///
/// A layer that asks more than once starts from its [`Questions`], judges what came back with
/// [`absorb`](Self::absorb), decides for each open member whether to ask again, sends what
/// [`packet`](Self::packet) gives, and at last puts the answers together with
/// [`finish`](Self::finish). A single request is the same thing with one member.
#[derive(Debug)]
pub struct Members {
    batch: bool,
    list: SmallVec<[Member; 1]>,
    error: Option<TransportError>,
}

impl Members {
    /// Nothing is answered yet.
    pub fn new(questions: Questions) -> Self {
        let Questions { batch, list } = questions;
        Self { batch, list: list.into_iter().map(Member::new).collect(), error: None }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All members, in the caller's order.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.list.iter()
    }

    /// Whether any member may still be asked.
    pub fn any_open(&self) -> bool {
        self.list.iter().any(Member::is_open)
    }

    /// The packet to send next: a copy of the members at these indices, a batch if the caller's
    /// was one. A member whose request was not kept cannot be sent again.
    pub fn packet(&self, indices: &[usize]) -> RequestPacket {
        let requests = indices.iter().filter_map(|index| self.list[*index].question.request());
        let mut requests = requests.cloned();
        match (self.batch, indices) {
            (false, [_]) => match requests.next() {
                Some(request) => RequestPacket::Single(request),
                None => RequestPacket::Batch(Vec::new()),
            },
            _ => requests.collect(),
        }
    }

    /// Judges what came back for the members at these indices.
    pub fn absorb(
        &mut self,
        indices: &[usize],
        result: Result<ResponsePacket, TransportError>,
        notes: &Notes,
        custom: Option<&dyn Classify>,
    ) {
        for index in indices {
            let member = &mut self.list[*index];
            let mut note = notes.of(member.question.id());
            note.attempts = note.attempts.max(1);
            let has_answer = member.answer.as_ref().is_some_and(Response::is_success);
            match result.is_err() && has_answer {
                // It keeps the answer, and what is known about that.
                true => member.note.attempts += note.attempts,
                false => member.note.supersede(note),
            }
            member.outcome = None;
        }
        match result {
            Ok(ResponsePacket::Single(answer)) => self.take_single(indices, answer, custom),
            // Some refuse a whole batch with a batch of errors without ids.
            Ok(ResponsePacket::Batch(mut answers)) if answers.iter().all(is_refusal) => {
                match answers.pop() {
                    Some(refusal) => self.take_single(indices, refusal, custom),
                    None => self.miss(indices, Misfit::Missing),
                }
            }
            Ok(ResponsePacket::Batch(answers)) => self.take_batch(indices, answers, custom),
            Err(error) => {
                let said = heard_of(&error);
                for index in indices {
                    let member = &mut self.list[*index];
                    member.note.http_status = member.note.http_status.or(said.status);
                    member.note.retry_after = member.note.retry_after.or(said.retry_after);
                    member.fail(Fault::of_error_with(member.question.name(), &error, custom));
                    member.accept_only_alone(indices);
                }
                self.error = Some(error);
            }
        }
    }

    fn take_single(&mut self, indices: &[usize], answer: Response, custom: Option<&dyn Classify>) {
        if let Some(index) =
            indices.iter().find(|index| self.list[**index].question.id() == &answer.id)
        {
            self.judge(*index, answer, custom);
            self.miss(indices, Misfit::Missing);
        } else if let (true, ResponsePayload::Failure(error)) =
            (answer.id.is_none(), answer.payload)
        {
            // An endpoint that could not read the packet, or did not want to, answers all of it
            // with one error and no id.
            for index in indices {
                let id = self.list[*index].question.id().clone();
                let payload = ResponsePayload::Failure(error.clone());
                self.judge(*index, Response { id, payload }, custom);
                self.list[*index].accept_only_alone(indices);
            }
        } else {
            self.miss(indices, Misfit::Foreign);
        }
    }

    fn take_batch(
        &mut self,
        indices: &[usize],
        answers: Vec<Response>,
        custom: Option<&dyn Classify>,
    ) {
        let asked: HashMap<Id, usize> =
            indices.iter().map(|index| (self.list[*index].question.id().clone(), *index)).collect();
        let mut twice = Vec::new();
        for answer in answers {
            match asked.get(&answer.id) {
                Some(index) if self.list[*index].outcome.is_some() => twice.push(*index),
                Some(index) => self.judge(*index, answer, custom),
                None => {}
            }
        }
        for index in twice {
            let member = &mut self.list[index];
            member.answer = None;
            member.fail(Fault::Malformed);
            self.misfit(index, Misfit::Duplicate);
        }
        self.miss(indices, Misfit::Missing);
    }

    fn judge(&mut self, index: usize, answer: Response, custom: Option<&dyn Classify>) {
        let member = &mut self.list[index];
        let (method, http) = (member.question.name(), member.note.http());
        member.outcome = Some(classify_with(method, &answer, http, custom));
        member.answer = Some(answer);
    }

    /// Those of the asked that nothing came back for.
    fn miss(&mut self, indices: &[usize], problem: Misfit) {
        for index in indices {
            if self.list[*index].outcome.is_none() {
                self.list[*index].fail(Fault::Malformed);
                self.misfit(*index, problem);
            }
        }
    }

    fn misfit(&mut self, index: usize, problem: Misfit) {
        let endpoint = self.list[index].note.endpoint.clone();
        self.error = Some(BadAnswer::new(problem, endpoint).into_transport_error());
    }

    /// Ends this member with an error of our own, unless it has an answer to end with.
    pub fn give_up(&mut self, index: usize, error: TransportError) {
        let member = &mut self.list[index];
        member.fail(Fault::of_error(member.question.name(), &error));
        member.open = false;
        self.error = Some(error);
    }

    /// Puts the answers together, and tells the layer above how they were had.
    ///
    /// # Errors
    ///
    /// The last transport error, if no member has an answer and all ended in the same fault. If
    /// some have one, or the others ended in different ways, each that has none gets an error member
    /// that says which endpoint failed it and how.
    pub fn finish(self) -> Result<ResponsePacket, TransportError> {
        for member in &self.list {
            if self.list.len() == 1 {
                note::record(|note| note.supersede(member.note.clone()));
            } else {
                note::record_member(member.question.id(), || member.note.clone());
            }
        }
        match self.error {
            Some(error) if self.has_one_end() => Err(error),
            _ => Ok(Self::join(self.batch, self.list)),
        }
    }

    /// Whether one error tells the truth about all members: what is in vain for one of them need
    /// not be for the next, and a layer above asks again by what each ended in.
    fn has_one_end(&self) -> bool {
        let end = |member: &Member| member.outcome.and_then(|outcome| outcome.fault());
        let name = |member: &Member| end(member).map(|fault| fault.name());
        let first = self.list.first().and_then(name);
        self.list.iter().all(|member| member.answer.is_none() && name(member) == first)
    }

    fn join(batch: bool, list: SmallVec<[Member; 1]>) -> ResponsePacket {
        let mut answers = list.into_iter().map(Member::into_answer);
        match (batch, answers.len()) {
            (false, 1) => ResponsePacket::Single(answers.next().expect("there is one")),
            _ => ResponsePacket::Batch(answers.collect()),
        }
    }
}

impl Member {
    fn into_answer(self) -> Response {
        let Self { question, answer, outcome, note, .. } = self;
        answer.unwrap_or_else(|| {
            let fault = match outcome {
                Some(Outcome::Fault(fault)) => fault,
                _ => Fault::Unknown,
            };
            let stand_in = StandIn {
                fault,
                endpoint: note.endpoint.as_ref(),
                status: note.http_status,
                attempts: note.attempts,
            };
            let id = question.id().clone();
            Response { id, payload: ResponsePayload::Failure(stand_in.into_payload()) }
        })
    }
}

fn is_refusal(answer: &Response) -> bool {
    answer.id.is_none() && answer.is_error()
}

/// What HTTP said around an error, as far as alloy's own transport keeps it.
fn heard_of(error: &TransportError) -> HttpFacts {
    let kind = error.as_transport_err();
    HttpFacts {
        status: kind.and_then(|kind| kind.as_http_error()).map(|error| error.status),
        retry_after: kind.and_then(|kind| kind.retry_after()),
    }
}

impl Index<usize> for Members {
    type Output = Member;

    fn index(&self, index: usize) -> &Member {
        &self.list[index]
    }
}

impl IndexMut<usize> for Members {
    fn index_mut(&mut self, index: usize) -> &mut Member {
        &mut self.list[index]
    }
}
