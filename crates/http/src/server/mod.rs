//! JSON-RPC's half of an HTTP server: from the bytes of a body to the bytes of its answer, with no
//! tree of values between.

mod call;
mod respond;

use alclad_core::{
    Fault, Kind, Method, StandIn, Upstream,
    error::{NoEndpoint, cause},
};
use alloy_json_rpc::{
    ErrorPayload, Id, RequestPacket, ResponsePacket,
    ResponsePayload::{self, Failure, Success},
    SerializedRequest,
};
use alloy_transport::TransportError;
use call::{
    AtMost, INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, LIMIT_EXCEEDED, Member, PARSE_ERROR,
    RESPONSE_TOO_LARGE, SERVER_ERROR, error, is_deeper_than, read_call, unreadable,
};
use serde::{Serialize, de::DeserializeSeed};
use serde_json::value::RawValue;
use smallvec::{SmallVec, smallvec};
use std::{collections::HashMap, future::poll_fn, time::Duration};

/// Answers the bodies of JSON-RPC requests through a stack of layers: what an HTTP server needs to
/// serve it to programs in other languages.
///
/// Ids of every JSON type come back byte for byte; notifications are asked and not answered; a
/// batch is one packet, in which equal reads are asked once, and its answers are in its order. What
/// is no call is answered as JSON-RPC has it: -32700 if it is no JSON, -32600 if it is JSON of
/// another shape. `eth_subscribe` is -32601.
///
/// ```
/// use alclad_http::RpcServer;
/// # use alloy_json_rpc::{RequestPacket, Response, ResponsePacket, ResponsePayload};
/// # use serde_json::value::to_raw_value;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let stack = tower::service_fn(|packet: RequestPacket| async move {
/// #     let request = packet.as_single().expect("one call");
/// #     let payload = ResponsePayload::Success(to_raw_value("0x1").unwrap());
/// #     let response = Response { id: request.id().clone(), payload };
/// #     Ok::<_, alloy_transport::TransportError>(ResponsePacket::Single(response))
/// # });
/// let server = RpcServer::new();
/// let body = br#"{"jsonrpc":"2.0","id":1.50,"method":"eth_chainId","params":[]}"#;
/// let answer = server.answer(stack, body).await;
/// assert_eq!(answer.unwrap(), br#"{"jsonrpc":"2.0","id":1.50,"result":"0x1"}"#);
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RpcServer {
    max_batch: usize,
    max_depth: usize,
    max_body: usize,
    max_answer: usize,
    read_timeout: Duration,
}

type Members<'a> = SmallVec<[Member<'a>; 1]>;
/// The members, what is to be asked for them, and whether they are a batch.
type Asked<'a> = (Members<'a>, Option<RequestPacket>, bool);

impl RpcServer {
    /// Bodies of up to 5 MiB in 30 seconds, and 25 MB of answers to a batch, as go-ethereum has it;
    /// batches of up to 1,000 members, nested 64 deep.
    pub const fn new() -> Self {
        Self {
            max_batch: 1000,
            max_depth: 64,
            max_body: 5 << 20,
            max_answer: 25_000_000,
            read_timeout: Duration::from_secs(30),
        }
    }

    /// The most members that a batch may have.
    #[must_use]
    pub const fn with_max_batch(mut self, members: usize) -> Self {
        self.max_batch = members;
        self
    }

    /// How deep arrays and objects of a body may be nested.
    #[must_use]
    pub const fn with_max_depth(mut self, depth: usize) -> Self {
        self.max_depth = depth;
        self
    }

    /// How many bytes a body may have that [`respond`](Self::respond) reads.
    #[must_use]
    pub const fn with_max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// How many bytes the answers to a batch may have in all. Members whose answer has no room any
    /// more get error -32003.
    #[must_use]
    pub const fn with_max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    /// How long a body may take to arrive.
    #[must_use]
    pub const fn with_read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// The answer to a body; nothing if nobody wants one.
    pub async fn answer<S: Upstream>(&self, mut stack: S, body: &[u8]) -> Option<Vec<u8>> {
        let (mut members, packet, is_batch) = match self.read(body) {
            Ok(asked) => asked,
            Err(error) => (smallvec![Member::new(Some("null"), Some(Failure(error)))], None, false),
        };
        if let Some(packet) = packet {
            let answer = match poll_fn(|cx| stack.poll_ready(cx)).await {
                Ok(()) => stack.call(packet).await,
                Err(error) => Err(error),
            };
            settle(&mut members, answer);
        }
        let mut out = Vec::with_capacity(256);
        let too_large = Failure(error(RESPONSE_TOO_LARGE, "Response too large"));
        for (place, member) in members.iter().enumerate() {
            let answer = &members[member.same_as.unwrap_or(place)].answer;
            if let (Some(id), Some(answer)) = (member.id, answer) {
                let length = answer.as_success().map_or(0, |result| result.get().len());
                let has_room = !is_batch || out.len() + length <= self.max_answer;
                if is_batch {
                    out.push(if out.is_empty() { b'[' } else { b',' });
                }
                write(&mut out, id, if has_room { answer } else { &too_large });
            }
        }
        if is_batch && !out.is_empty() {
            out.push(b']');
        }
        (!out.is_empty()).then_some(out)
    }

    fn read<'a>(&self, body: &'a [u8]) -> Result<Asked<'a>, ErrorPayload> {
        let json = std::str::from_utf8(body);
        let json = json.map_err(|_| error(PARSE_ERROR, "Parse error: not UTF-8"))?.trim_ascii();
        if is_deeper_than(json, self.max_depth) {
            let problem = format!("Invalid request: nested deeper than {}", self.max_depth);
            return Err(error(INVALID_REQUEST, problem));
        }
        if !json.starts_with('[') {
            let (member, request) = read_call(json, 0)?;
            return Ok((smallvec![member], request.map(RequestPacket::Single), false));
        }
        let members = AtMost(self.max_batch);
        let calls = members.deserialize(&mut serde_json::Deserializer::from_str(json));
        let calls = calls.map_err(|bad| unreadable(json, &bad))?;
        let (mut requests, mut known) = (Vec::with_capacity(calls.len()), HashMap::new());
        let read = |(place, call): (usize, &&'a RawValue)| match read_call(call.get(), place as u64)
        {
            Ok((mut member, request)) => {
                let same_as =
                    request.as_ref().and_then(|request| first(&mut known, request, place));
                member.same_as = same_as;
                requests.extend(request.filter(|_| same_as.is_none()));
                member
            }
            Err(error) => Member::new(Some("null"), Some(Failure(error))),
        };
        let members = calls.iter().enumerate().map(read).collect();
        let packet = (!requests.is_empty()).then_some(RequestPacket::Batch(requests));
        Ok((members, packet, true))
    }
}

impl Default for RpcServer {
    fn default() -> Self {
        Self::new()
    }
}

/// The place of an earlier read that asks the same: a batch of a thousand equal ones is to cost one
/// answer.
fn first(
    known: &mut HashMap<String, usize>,
    request: &SerializedRequest,
    place: usize,
) -> Option<usize> {
    let is_read = Method::of(request.method()).kind == Kind::Read;
    let (call, _) = request.serialized().get().rsplit_once(",\"id\":").filter(|_| is_read)?;
    let before = known.get(call).copied();
    if before.is_none() {
        known.insert(call.to_owned(), place);
    }
    before
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
                            member.answer = Some(response.payload);
                        }
                    }
                    _ => rest = response.payload,
                }
            }
        }
        Err(error) => rest = Failure(failure(&error)),
    }
    let open = members.iter_mut().filter(|member| member.answer.is_none());
    open.for_each(|member| member.answer = Some(rest.clone()));
}

/// What is said when no endpoint had an answer.
fn failure(bad: &TransportError) -> ErrorPayload {
    if let Some(payload) = bad.as_error_resp() {
        return payload.clone();
    }
    let (fault, is_nobody) = (Fault::of_error("", bad), cause::<NoEndpoint>(bad).is_some());
    match fault {
        Fault::InvalidRequest if !is_nobody => error(INVALID_PARAMS, bad.to_string()),
        Fault::RangeTooLarge => error(LIMIT_EXCEEDED, bad.to_string()),
        Fault::TxRejected => error(SERVER_ERROR, bad.to_string()),
        _ => {
            let stand_in = StandIn { fault, endpoint: None, status: None, attempts: 0 };
            let message = match is_nobody || fault.other() {
                true => "All providers are currently unavailable".into(),
                false => bad.to_string().into(),
            };
            ErrorPayload { message, ..stand_in.into_payload() }
        }
    }
}

/// An answer to nobody in particular, for a body that was not read because of this.
fn refusal(problem: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, "null", &Failure(error(INVALID_REQUEST, problem.to_owned())));
    out
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
