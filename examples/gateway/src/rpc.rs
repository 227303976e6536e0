//! JSON-RPC: from the bytes of a body to the bytes of its answer, with no tree of values between.

use crate::{config::Server, stack::Client};
use alclad::core::{
    Fault, Method, StandIn,
    error::{NoEndpoint, cause},
};
use alloy_json_rpc::{
    ErrorPayload, Id, Request, RequestPacket, ResponsePacket,
    ResponsePayload::{self, Failure, Success},
    SerializedRequest,
};
use alloy_transport::TransportError;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;
use tower::ServiceExt;

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INTERNAL_ERROR: i64 = -32603;

/// One call as it came. Its id is whatever JSON it was; without one it is a notification.
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

/// A call's id as it was written, if it wants an answer; and the answer, once there is one.
type Member<'a> = (Option<&'a str>, Option<ResponsePayload>);
type Members<'a> = SmallVec<[Member<'a>; 1]>;

/// The answer to a body; nothing if nobody wants one.
pub async fn answer(client: Client, limits: &Server, body: &[u8]) -> Option<Vec<u8>> {
    let (mut members, packet, is_batch) = match read(body, limits) {
        Ok(asked) => asked,
        Err(error) => (smallvec![(Some("null"), Some(Failure(error)))], None, false),
    };
    if let Some(packet) = packet {
        settle(&mut members, client.oneshot(packet).await);
    }
    let mut out = Vec::with_capacity(256);
    for (id, answer) in &members {
        if let (Some(id), Some(answer)) = (id, answer) {
            if is_batch {
                out.push(if out.is_empty() { b'[' } else { b',' });
            }
            write(&mut out, id, answer);
        }
    }
    if is_batch && !out.is_empty() {
        out.push(b']');
    }
    (!out.is_empty()).then_some(out)
}

/// An answer to nobody in particular.
pub fn refusal(problem: String) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, "null", &Failure(error(INVALID_REQUEST, problem)));
    out
}

type Asked<'a> = (Members<'a>, Option<RequestPacket>, bool);

fn read<'a>(body: &'a [u8], limits: &Server) -> Result<Asked<'a>, ErrorPayload> {
    let json = std::str::from_utf8(body);
    let json = json.map_err(|_| error(PARSE_ERROR, "Parse error: not UTF-8"))?.trim_ascii();
    if is_deeper_than(json, limits.max_depth) {
        let problem = format!("Invalid request: nested deeper than {}", limits.max_depth);
        return Err(error(INVALID_REQUEST, problem));
    }
    if !json.starts_with('[') {
        let (member, request) = read_call(json, 0)?;
        return Ok((smallvec![member], request.map(RequestPacket::Single), false));
    }
    let calls: Vec<&RawValue> = serde_json::from_str(json).map_err(|bad| unreadable(json, &bad))?;
    let (size, most) = (calls.len(), limits.max_batch);
    if size == 0 || size > most {
        let problem = format!("Invalid request: a batch of {size}, not of 1 to {most}");
        return Err(error(INVALID_REQUEST, problem));
    }
    let mut requests = Vec::with_capacity(size);
    let read = |(place, call): (usize, &&'a RawValue)| match read_call(call.get(), place as u64) {
        Ok((member, request)) => {
            requests.extend(request);
            member
        }
        Err(error) => (Some("null"), Some(Failure(error))),
    };
    let members = calls.iter().enumerate().map(read).collect();
    let packet = (!requests.is_empty()).then_some(RequestPacket::Batch(requests));
    Ok((members, packet, true))
}

/// Whether brackets are nested deeper than this. Hardly any body has so many at all.
fn is_deeper_than(json: &str, most: usize) -> bool {
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

/// A call with an id of ours: the place of its answer.
fn read_call(
    json: &str,
    place: u64,
) -> Result<(Member<'_>, Option<SerializedRequest>), ErrorPayload> {
    // An array would be read as the fields in their order.
    let call = match json.starts_with('{') {
        true => serde_json::from_str::<Call<'_>>(json),
        false => Err(serde::de::Error::custom("a call is an object")),
    };
    let call = call.map_err(|bad| unreadable(json, &bad))?;
    let id = call.id.map(RawValue::get);
    Ok(match call.request(Id::Number(place)) {
        Ok(request) => ((id, None), Some(request)),
        Err(error) => ((id, Some(Failure(error))), None),
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
fn unreadable(json: &str, bad: &serde_json::Error) -> ErrorPayload {
    match serde_json::from_str::<&RawValue>(json) {
        Err(bad) => error(PARSE_ERROR, format!("Parse error: {bad}")),
        Ok(_) => error(INVALID_REQUEST, format!("Invalid request: {bad}")),
    }
}

fn error(code: i64, message: impl Into<Cow<'static, str>>) -> ErrorPayload {
    ErrorPayload { code, message: message.into(), data: None }
}

/// Puts each answer where it belongs; an error without an id is meant for all.
fn settle(members: &mut Members<'_>, answer: Result<ResponsePacket, TransportError>) {
    let mut rest = Failure(error(INTERNAL_ERROR, "The provider did not answer this call"));
    match answer {
        Ok(packet) => {
            let responses = match packet {
                ResponsePacket::Single(response) => vec![response],
                ResponsePacket::Batch(responses) => responses,
            };
            for response in responses {
                match response.id {
                    Id::Number(place) => {
                        if let Some(member) = members.get_mut(place as usize) {
                            member.1 = Some(response.payload);
                        }
                    }
                    _ => rest = response.payload,
                }
            }
        }
        Err(error) => rest = Failure(failure(&error)),
    }
    let open = members.iter_mut().filter(|(_, answer)| answer.is_none());
    open.for_each(|(_, answer)| *answer = Some(rest.clone()));
}

/// What is said when no endpoint had an answer.
fn failure(error: &TransportError) -> ErrorPayload {
    if let Some(payload) = error.as_error_resp() {
        return payload.clone();
    }
    let fault = Fault::of_error("", error);
    let stand_in = StandIn { fault, endpoint: None, status: None, attempts: 0 };
    let message = match fault.other() || cause::<NoEndpoint>(error).is_some() {
        true => "All providers are currently unavailable".into(),
        false => error.to_string().into(),
    };
    ErrorPayload { message, ..stand_in.into_payload() }
}

fn write(out: &mut Vec<u8>, id: &str, answer: &ResponsePayload) {
    #[derive(Serialize)]
    struct Error<'a> {
        code: i64,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a RawValue>,
    }
    let result = answer.as_success().map_or("", |result| result.get());
    out.reserve(result.len() + id.len() + 64);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.as_bytes());
    match answer {
        Success(_) => {
            out.extend_from_slice(b",\"result\":");
            out.extend_from_slice(result.as_bytes());
        }
        Failure(ErrorPayload { code, message, data }) => {
            out.extend_from_slice(b",\"error\":");
            let error = Error { code: *code, message, data: data.as_deref() };
            serde_json::to_writer(&mut *out, &error).expect("texts and numbers are JSON");
        }
    }
    out.push(b'}');
}
