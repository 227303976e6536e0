//! What was asked: enough to judge what comes back, and to ask again what may be asked again.

use crate::{
    CallOptions, Method,
    error::{DuplicateId, TypedError},
    send::SEND_RAW_TRANSACTION,
};
use alloy_json_rpc::{Id, RequestPacket, Response, ResponsePacket, SerializedRequest};
use alloy_transport::TransportError;
use smallvec::{SmallVec, smallvec};
use std::{borrow::Cow, collections::HashSet};

/// One member of a packet, as a question.
#[derive(Debug)]
pub struct Question(Form);

#[derive(Debug)]
enum Form {
    Kept(SerializedRequest),
    /// The request was given away with the only attempt that there is.
    Given {
        id: Id,
        name: Cow<'static, str>,
        options: Option<CallOptions>,
    },
}

impl Question {
    fn new(request: &SerializedRequest, keep: bool) -> Self {
        // A send is decided by its hash afterwards, also where there is no other attempt.
        Self(match keep || request.method() == SEND_RAW_TRANSACTION {
            true => Form::Kept(request.clone()),
            false => Form::Given {
                id: request.id().clone(),
                name: request.method_clone(),
                options: CallOptions::of(request).cloned(),
            },
        })
    }

    /// The caller's id for it.
    pub const fn id(&self) -> &Id {
        match &self.0 {
            Form::Kept(request) => request.id(),
            Form::Given { id, .. } => id,
        }
    }

    /// The name of its method.
    pub fn name(&self) -> &str {
        match &self.0 {
            Form::Kept(request) => request.method(),
            Form::Given { name, .. } => name,
        }
    }

    /// What is known about its method.
    pub fn method(&self) -> &'static Method {
        Method::of(self.name())
    }

    /// What the caller wants of it.
    pub fn options(&self) -> Option<&CallOptions> {
        match &self.0 {
            Form::Kept(request) => CallOptions::of(request),
            Form::Given { options, .. } => options.as_ref(),
        }
    }

    /// The request, if it was kept.
    pub const fn request(&self) -> Option<&SerializedRequest> {
        match &self.0 {
            Form::Kept(request) => Some(request),
            Form::Given { .. } => None,
        }
    }

    /// A result, to this question; and no `null` that may only mean that the node lacks the data.
    fn is_answered_by(&self, answer: &Response) -> bool {
        let good = |result: &str| result != "null" || self.method().null_is_answer;
        answer.id == *self.id() && answer.payload.as_success().is_some_and(|raw| good(raw.get()))
    }
}

/// The members of a packet, as questions.
#[derive(Debug)]
pub struct Questions {
    pub(crate) batch: bool,
    pub(crate) list: SmallVec<[Question; 1]>,
}

impl Questions {
    /// Takes note of what a packet asks, before it is given away. Only if there may be another
    /// attempt (`keep`) are the requests copied.
    ///
    /// # Errors
    ///
    /// [`DuplicateId`] if two members have one id: their answers could not be told apart.
    pub fn new(packet: &RequestPacket, keep: bool) -> Result<Self, TransportError> {
        match packet {
            RequestPacket::Single(request) => {
                Ok(Self { batch: false, list: smallvec![Question::new(request, keep)] })
            }
            RequestPacket::Batch(requests) => {
                let mut ids = HashSet::with_capacity(requests.len());
                if let Some(twice) = requests.iter().find(|request| !ids.insert(request.id())) {
                    return Err(DuplicateId::new(twice.id().clone()).into_transport_error());
                }
                let list = requests.iter().map(|request| Question::new(request, keep)).collect();
                Ok(Self { batch: true, list })
            }
        }
    }

    /// Whether there is none. An empty batch has an empty answer, and nobody is asked.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether all is well at first sight, as it nearly always is: every question has its own
    /// answer, in the caller's order, and none is an error.
    pub fn are_answered_by(&self, answer: &ResponsePacket) -> bool {
        match answer {
            ResponsePacket::Single(answer) => {
                !self.batch && self.list.iter().all(|question| question.is_answered_by(answer))
            }
            ResponsePacket::Batch(answers) => {
                self.batch
                    && self.list.len() == answers.len()
                    && self.list.iter().zip(answers).all(|(q, answer)| q.is_answered_by(answer))
            }
        }
    }
}
