//! Packets by hand, and what to compare in them.

use crate::ErrorObject;
use alloy_json_rpc::{
    ErrorPayload, Id, Request, RequestPacket, Response, ResponsePacket, ResponsePayload, RpcSend,
    SerializedRequest,
};
use serde::Serialize;
use std::borrow::Cow;

/// A request with a numeric id.
///
/// ```
/// use alclad_testkit::{assert_packet, batch, request, single};
///
/// let packet = single(request(1, "eth_getBalance", ("0x00", "latest")));
/// assert_packet(&packet, &[(1, "eth_getBalance")]);
///
/// let packet = batch([request(1, "eth_chainId", ()), request(2, "eth_blockNumber", ())]);
/// assert_packet(&packet, &[(1, "eth_chainId"), (2, "eth_blockNumber")]);
/// ```
///
/// # Panics
///
/// If the parameters cannot be written as JSON.
pub fn request<P>(id: u64, method: impl Into<Cow<'static, str>>, params: P) -> SerializedRequest
where
    P: RpcSend,
{
    request_with_id(Id::Number(id), method, params)
}

/// A request with any id.
///
/// # Panics
///
/// If the parameters cannot be written as JSON.
pub fn request_with_id<P>(
    id: Id,
    method: impl Into<Cow<'static, str>>,
    params: P,
) -> SerializedRequest
where
    P: RpcSend,
{
    Request::new(method, id, params).serialize().expect("parameters that JSON can hold")
}

/// A packet of one request that is not a batch.
pub const fn single(request: SerializedRequest) -> RequestPacket {
    RequestPacket::Single(request)
}

/// A batch, also of one request or of none.
pub fn batch(requests: impl IntoIterator<Item = SerializedRequest>) -> RequestPacket {
    RequestPacket::Batch(requests.into_iter().collect())
}

/// A successful answer.
///
/// ```
/// use alclad_testkit::answer;
///
/// assert_eq!(answer(1, "0x14").payload.as_success().unwrap().get(), r#""0x14""#);
/// ```
///
/// # Panics
///
/// If the result cannot be written as JSON.
pub fn answer(id: u64, result: impl Serialize) -> Response {
    let result = serde_json::value::to_raw_value(&result).expect("a result that JSON can hold");
    Response { id: Id::Number(id), payload: ResponsePayload::Success(result) }
}

/// An answer that is an error.
pub fn error(id: u64, code: i64, message: impl Into<Cow<'static, str>>) -> Response {
    error_object(id, ErrorObject::new(code, message))
}

/// An answer that is an error with data.
pub fn error_object(id: u64, error: ErrorObject) -> Response {
    let data = error.data.as_ref().map(crate::rpc::to_json);
    let payload = ErrorPayload { code: error.code, message: error.message, data };
    Response { id: Id::Number(id), payload: ResponsePayload::Failure(payload) }
}

/// A packet of answers to a batch, in this order.
pub fn answers(responses: impl IntoIterator<Item = Response>) -> ResponsePacket {
    ResponsePacket::Batch(responses.into_iter().collect())
}

/// Asserts the ids and methods of a packet, in order: requests have no `PartialEq`.
///
/// # Panics
///
/// If they differ.
#[track_caller]
pub fn assert_packet(packet: &RequestPacket, expected: &[(u64, &str)]) {
    let found = packet.requests().iter().map(|request| (request.id().clone(), request.method()));
    let found: Vec<_> = found.collect();
    let expected: Vec<_> = expected.iter().map(|(id, method)| (Id::Number(*id), *method)).collect();
    assert_eq!(found, expected, "ids and methods of the packet");
}

/// Asserts the ids of a response, in order.
///
/// # Panics
///
/// If they differ.
#[track_caller]
pub fn assert_ids(packet: &ResponsePacket, expected: &[u64]) {
    let found: Vec<_> = packet.response_ids().cloned().collect();
    let expected: Vec<_> = expected.iter().copied().map(Id::Number).collect();
    assert_eq!(found, expected, "ids of the response");
}
