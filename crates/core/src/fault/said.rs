//! An error in a body that alloy did not take for an answer.

use serde::Deserialize;
use serde_json::{Deserializer, value::RawValue};

/// What an oddly shaped error says.
///
/// Vendors leave out the id, the code or the `error` around it, write the code as a string, or
/// the error as a string.
#[derive(Debug)]
pub(super) struct Said<'a> {
    pub(super) code: Option<i64>,
    pub(super) message: String,
    pub(super) data: &'a str,
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

impl<'a> Said<'a> {
    /// The error in this body: an answer with an error, a bare error, or a batch of one and the
    /// same. What one member of a batch ended in, as of one that was cut off, is nobody else's.
    pub(super) fn parse(body: &'a str) -> Option<Self> {
        let json = first_value(body.trim_start())?;
        if !json.starts_with('[') {
            return Self::of_one(json);
        }
        let list: Vec<&'a RawValue> = serde_json::from_str(json).ok()?;
        let mut list = list.into_iter().map(|one| Self::of_one(one.get()));
        let first = list.next()??;
        let is_same = |other: Self| (other.code, &other.message) == (first.code, &first.message);
        list.all(|other| other.is_some_and(is_same)).then_some(first)
    }

    fn of_one(json: &'a str) -> Option<Self> {
        if json.starts_with('"') {
            return Some(Self { code: None, message: text(json), data: json });
        }
        let outer: Members<'_> = serde_json::from_str(json).ok()?;
        if outer.result.is_some() {
            return None;
        }
        match outer.error.map(RawValue::get) {
            Some(error) if error.starts_with('{') => {
                Self::of(serde_json::from_str(error).ok()?, error)
            }
            Some(error) if error.starts_with('"') => {
                let code = outer.code.and_then(number);
                Some(Self { code, message: text(error), data: json })
            }
            _ => Self::of(outer, json),
        }
    }

    fn of(error: Members<'a>, whole: &'a str) -> Option<Self> {
        let code = error.code.and_then(number);
        let message = error.message.map(|message| text(message.get()));
        if code.is_none() && message.is_none() {
            return None;
        }
        let data = error.data.map_or(whole, RawValue::get);
        Some(Self { code, message: message.unwrap_or_default(), data })
    }
}

/// Whether the body tries to be JSON: then its words may be those of an answer.
pub(super) fn looks_like_json(body: &str) -> bool {
    body.trim_start().starts_with(['{', '['])
}

/// The first complete value: some transports append words of their own.
fn first_value(body: &str) -> Option<&str> {
    let values = Deserializer::from_str(body).into_iter::<&RawValue>();
    values.take(1).find_map(Result::ok).map(RawValue::get)
}

fn text(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())
}

fn number(json: &RawValue) -> Option<i64> {
    json.get().trim_matches('"').parse().ok()
}
