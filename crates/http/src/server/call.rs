//! One call, as it came.

use alclad_core::Method;
use alloy_json_rpc::{
    ErrorPayload, Id, Request,
    ResponsePayload::{self, Failure},
    SerializedRequest,
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

pub(super) const PARSE_ERROR: i64 = -32700;
pub(super) const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
pub(super) const INVALID_PARAMS: i64 = -32602;
pub(super) const INTERNAL_ERROR: i64 = -32603;
pub(super) const SERVER_ERROR: i64 = -32000;
/// EIP-1474
pub(super) const LIMIT_EXCEEDED: i64 = -32005;
/// go-ethereum
pub(super) const RESPONSE_TOO_LARGE: i64 = -32003;

/// Its id is whatever JSON it was; without one it is a notification.
#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "some")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// `null` is an id too.
fn some<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads an array of at most so many members, and not one more.
pub(super) struct AtMost(pub(super) usize);

impl<'a> DeserializeSeed<'a> for AtMost {
    type Value = Vec<&'a RawValue>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for AtMost {
    type Value = Vec<&'a RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a batch of 1 to {} calls", self.0)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut calls = Vec::new();
        while let Some(call) = members.next_element()? {
            if calls.len() == self.0 {
                return Err(A::Error::invalid_length(self.0 + 1, &self));
            }
            calls.push(call);
        }
        if calls.is_empty() { Err(A::Error::invalid_length(0, &self)) } else { Ok(calls) }
    }
}

/// A call of a body.
pub(super) struct Member<'a> {
    /// As it was written, if it wants an answer.
    pub(super) id: Option<&'a str>,
    /// Once there is one.
    pub(super) answer: Option<ResponsePayload>,
    /// The place of an equal one before it, whose answer is its own too.
    pub(super) same_as: Option<usize>,
}

impl<'a> Member<'a> {
    pub(super) const fn new(id: Option<&'a str>, answer: Option<ResponsePayload>) -> Self {
        Self { id, answer, same_as: None }
    }
}

/// A call with an id of ours: the place of its answer.
pub(super) fn read_call(
    json: &str,
    place: u64,
) -> Result<(Member<'_>, Option<SerializedRequest>), ErrorPayload> {
    // An array would be read as the fields in their order.
    let call = match json.starts_with('{') {
        true => serde_json::from_str::<Call<'_>>(json),
        false => Err(Error::custom("a call is an object")),
    };
    let call = call.map_err(|bad| unreadable(json, &bad))?;
    let id = call.id.map(RawValue::get);
    Ok(match call.request(Id::Number(place)) {
        Ok(request) => (Member::new(id, None), Some(request)),
        // What is no call is no notification either.
        Err(error) if error.code == INVALID_REQUEST => {
            (Member::new(id.or(Some("null")), Some(Failure(error))), None)
        }
        Err(error) => (Member::new(id, Some(Failure(error))), None),
    })
}

impl Call<'_> {
    /// Spelled as alloy spells it: so the cache knows it by its bytes.
    fn request(&self, id: Id) -> Result<SerializedRequest, ErrorPayload> {
        let invalid = |what| error(INVALID_REQUEST, format!("Invalid request: {what}"));
        if self.jsonrpc.is_none_or(|version| version.get() != "\"2.0\"") {
            return Err(invalid("jsonrpc is not \"2.0\""));
        }
        let name = serde_json::from_str(self.method.map_or("null", RawValue::get));
        let Name(name) = name.map_err(|_| invalid("method is not a string"))?;
        if matches!(&*name, "eth_subscribe" | "eth_unsubscribe") {
            let problem = format!("{name} needs a WebSocket, which is not served here");
            return Err(error(METHOD_NOT_FOUND, problem));
        }
        let known = Method::of(&name).name;
        let name = if known == name { Cow::Borrowed(known) } else { Cow::Owned(name.into_owned()) };
        let request = match self.params {
            None => Request::new(name, id, ()).serialize(),
            Some(params) if params.get().starts_with(['[', '{']) => {
                Request::new(name, id, params).serialize()
            }
            Some(_) => return Err(invalid("params are neither an array nor an object")),
        };
        request.map_err(|bad| error(INTERNAL_ERROR, bad.to_string()))
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Whether it is no JSON, or JSON of another shape.
pub(super) fn unreadable(json: &str, bad: &serde_json::Error) -> ErrorPayload {
    match serde_json::from_str::<&RawValue>(json) {
        Err(bad) => error(PARSE_ERROR, format!("Parse error: {bad}")),
        Ok(_) => error(INVALID_REQUEST, format!("Invalid request: {bad}")),
    }
}

pub(super) fn error(code: i64, message: impl Into<Cow<'static, str>>) -> ErrorPayload {
    ErrorPayload { code, message: message.into(), data: None }
}

/// Whether brackets are nested deeper than this. Hardly any body has so many at all.
pub(super) fn is_deeper_than(json: &str, most: usize) -> bool {
    if json.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() <= most {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    json.bytes().any(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > most
    })
}
