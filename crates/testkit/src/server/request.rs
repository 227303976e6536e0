//! A JSON-RPC request as it came over a socket.

use crate::{
    ErrorObject,
    node::{plan::Member, rule::Call, wire},
    rpc::Answer,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// One member, its id kept as it was written.
#[derive(Debug, Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// A body that was understood.
#[derive(Debug)]
pub(super) struct Messages<'a> {
    members: Vec<Message<'a>>,
    pub(super) batch: bool,
}

impl<'a> Messages<'a> {
    /// Reads a body, or makes the text of the error that answers it.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, String> {
        let batch = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        let members = if batch {
            serde_json::from_slice(body)
        } else {
            serde_json::from_slice(body).map(|single| vec![single])
        };
        match members {
            Ok(members) if batch && Vec::is_empty(&members) => {
                Err(nameless(ErrorObject::new(-32600, "empty batch")))
            }
            Ok(members) => Ok(Self { members, batch }),
            Err(error) if error.is_data() => {
                Err(nameless(ErrorObject::new(-32600, format!("invalid request: {error}"))))
            }
            Err(error) => Err(nameless(ErrorObject::new(-32700, format!("parse error: {error}")))),
        }
    }

    pub(super) fn calls(&self) -> Vec<Call<'_>> {
        let members = self.members.iter();
        members.map(|member| Call { method: &member.method, params: member.params }).collect()
    }

    /// The body that answers with these members.
    pub(super) fn write(&self, members: &[Member]) -> String {
        wire::write(members, self.batch, |call| {
            self.members[call].id.map_or("null", RawValue::get).to_owned()
        })
    }

    /// The body that answers every member with the same error.
    pub(super) fn write_error(&self, error: &ErrorObject) -> String {
        let answer = |call| member(call, Err(error.clone()));
        self.write(&(0..self.members.len()).map(answer).collect::<Vec<_>>())
    }
}

/// The answer to something that has no id.
fn nameless(error: ErrorObject) -> String {
    wire::write(&[member(0, Err(error))], false, |_| "null".to_owned())
}

const fn member(call: usize, answer: Answer) -> Member {
    Member { call, foreign: false, answer }
}
