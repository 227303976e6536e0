//! What one answer is: an answer, nothing, or a fault.

use crate::{Classify, Fault, HttpFacts};
use alloy_json_rpc::{Response, ResponsePayload};

/// What one member of a response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A result with something in it.
    Answer,
    /// `null`: an answer for some methods, a sign of a lagging node for others.
    Null,
    /// `[]`, `{}`, `""` or `"0x"`.
    Empty,
    /// An error.
    Fault(Fault),
}

impl Outcome {
    /// The fault, if it is one.
    pub const fn fault(&self) -> Option<Fault> {
        match self {
            Self::Fault(fault) => Some(*fault),
            Self::Answer | Self::Null | Self::Empty => None,
        }
    }

    /// What a result is, by its first and last bytes.
    fn of_result(json: &str) -> Self {
        match json.as_bytes() {
            b"null" => Self::Null,
            b"\"\"" | b"\"0x\"" => Self::Empty,
            [b'[', inside @ .., b']'] | [b'{', inside @ .., b'}']
                if inside.iter().all(u8::is_ascii_whitespace) =>
            {
                Self::Empty
            }
            _ => Self::Answer,
        }
    }
}

/// What an answer to this method is.
pub fn classify(method: &str, response: &Response) -> Outcome {
    classify_with(method, response, HttpFacts::default(), None)
}

/// What an answer to this method is, with what HTTP said around it, and judged by a classifier of
/// one's own first.
pub fn classify_with(
    method: &str,
    response: &Response,
    http: HttpFacts,
    custom: Option<&dyn Classify>,
) -> Outcome {
    match &response.payload {
        ResponsePayload::Success(result) => Outcome::of_result(result.get()),
        ResponsePayload::Failure(error) => {
            Outcome::Fault(Fault::of_member(method, error, http, custom))
        }
    }
}
