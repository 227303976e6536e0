//! What an answer tells about the endpoint's limit.

use alclad_core::{Classify, Fault, Limiter, Notes, Outcome, classify_with};
use alloy_json_rpc::{Id, RequestPacket, Response, ResponsePacket, SerializedRequest};
use alloy_transport::TransportError;
use std::{borrow::Cow, time::Duration};

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The endpoint answered, if only with an error.
    Answered,
    /// The endpoint's limit turned it away, or a member of it; until then, if it said so.
    Throttled(Option<Duration>),
    /// Nothing is known about the limit: no answer, or one of our own making.
    Silent,
}

/// The methods that a packet asks for, by which its errors are judged.
pub(crate) enum Asked {
    Single(Cow<'static, str>),
    Batch(Vec<(Id, Cow<'static, str>)>),
}

impl Asked {
    pub(crate) fn of(packet: &RequestPacket) -> Self {
        match packet {
            RequestPacket::Single(request) => Self::Single(request.method_clone()),
            RequestPacket::Batch(requests) => {
                let member =
                    |request: &SerializedRequest| (request.id().clone(), request.method_clone());
                Self::Batch(requests.iter().map(member).collect())
            }
        }
    }

    fn method(&self, id: &Id) -> &str {
        match self {
            Self::Single(method) => method,
            Self::Batch(members) => {
                let member = members.iter().find(|(asked, _)| asked == id);
                member.or(members.first()).map_or("", |(_, method)| method)
            }
        }
    }

    /// Judges an answer; `notes` are asked for only if something went wrong.
    pub(crate) fn judge(
        &self,
        answer: &Result<ResponsePacket, TransportError>,
        notes: impl FnOnce() -> Notes,
        custom: Option<&dyn Classify>,
    ) -> Verdict {
        match answer {
            Ok(answer) if !answer.is_error() => Verdict::Answered,
            Ok(answer) => {
                let notes = notes();
                let members = answer.responses().iter();
                let verdicts = members.map(|member| self.judge_member(member, &notes, custom));
                verdicts.reduce(Verdict::and).unwrap_or(Verdict::Silent)
            }
            Err(error) => {
                let fault = Fault::of_error_with(self.method(&Id::None), error, custom);
                match Verdict::of(fault) {
                    Verdict::Throttled(hint) => {
                        Verdict::Throttled(hint.or_else(|| notes().of(&Id::None).retry_after))
                    }
                    // An error without an answer says nothing about the limit.
                    Verdict::Answered | Verdict::Silent => Verdict::Silent,
                }
            }
        }
    }

    fn judge_member(
        &self,
        member: &Response,
        notes: &Notes,
        custom: Option<&dyn Classify>,
    ) -> Verdict {
        let http = notes.of(&member.id).http();
        match classify_with(self.method(&member.id), member, http, custom) {
            Outcome::Fault(fault) => Verdict::of(fault),
            _ => Verdict::Answered,
        }
    }
}

impl Verdict {
    const fn of(fault: Fault) -> Self {
        match fault {
            Fault::RateLimited { by: Limiter::Vendor, retry_after } => Self::Throttled(retry_after),
            Fault::RateLimited { by: Limiter::Local, .. } => Self::Silent,
            _ => Self::Answered,
        }
    }

    /// Of two members: one that was throttled decides, and the longer hint.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Throttled(one), Self::Throttled(two)) => Self::Throttled(one.max(two)),
            (throttled @ Self::Throttled(_), _) | (_, throttled @ Self::Throttled(_)) => throttled,
            (Self::Answered, _) | (_, Self::Answered) => Self::Answered,
            (Self::Silent, Self::Silent) => Self::Silent,
        }
    }
}
