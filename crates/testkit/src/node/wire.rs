//! JSON-RPC as text.

use super::plan::Member;
use crate::rpc::{Answer, to_json};
use std::fmt::Write as _;

/// The ids that [`Disruption::ForeignIds`](crate::Disruption::ForeignIds) puts in; no client
/// counts that far.
pub(crate) const FOREIGN_ID: u64 = 9_007_000_000_000_000;

/// Writes answers as the body of a response; `id` tells the id of a call as JSON.
pub(crate) fn write(members: &[Member], batch: bool, id: impl Fn(usize) -> String) -> String {
    let text = |member: &Member| {
        let id = if member.foreign {
            (FOREIGN_ID + member.call as u64).to_string()
        } else {
            id(member.call)
        };
        response(&id, &member.answer)
    };
    match members {
        [member] if !batch => text(member),
        members => format!("[{}]", members.iter().map(text).collect::<Vec<_>>().join(",")),
    }
}

fn response(id: &str, answer: &Answer) -> String {
    let mut text = format!(r#"{{"jsonrpc":"2.0","id":{id},"#);
    // Writing to a string cannot fail.
    let _ = match answer {
        Ok(result) => write!(text, r#""result":{result}}}"#),
        Err(error) => write!(text, r#""error":{}}}"#, to_json(error)),
    };
    text
}

/// The first half of a text.
pub(crate) fn half(mut text: String) -> String {
    let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(middle.unwrap_or_default());
    text
}
