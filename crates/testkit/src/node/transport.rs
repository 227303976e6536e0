//! A node without a socket.

use super::{
    SimNode,
    disruption::{HttpAnswer, HttpBody, RetryAfter},
    plan::Member,
    receive::{Delivery, HTML},
    rule::Call,
    wire,
};
use crate::{ErrorObject, rpc::to_json};
use alloy_json_rpc::{
    ErrorPayload, Id, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest,
};
use alloy_transport::{TransportError, TransportErrorKind, TransportFut, TransportResult};
use std::{
    future::pending,
    io,
    task::{Context, Poll},
    time::Duration,
};
use tower::Service;

/// An alloy transport to a [`SimNode`] in the same process.
///
/// Its errors are those of alloy's HTTP transport, except that a broken connection is an
/// [`io::Error`] inside `TransportErrorKind::Custom`. Delays and silence are on tokio's clock, so
/// they cost nothing when it is paused.
#[derive(Clone, Debug)]
pub struct SimTransport {
    node: SimNode,
}

impl SimTransport {
    pub(super) const fn new(node: SimNode) -> Self {
        Self { node }
    }
}

impl Service<RequestPacket> for SimTransport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(send(self.node.clone(), packet))
    }
}

async fn send(node: SimNode, packet: RequestPacket) -> TransportResult<ResponsePacket> {
    let batch = packet.as_batch().is_some();
    let calls: Vec<_> = packet.requests().iter().map(call).collect();
    let delivery = node.receive(&calls, batch, None).await;
    let id = |call: usize| packet.requests()[call].id();
    let written = |members: &[Member]| wire::write(members, batch, |call| json(id(call)));
    match delivery {
        Delivery::Answers(members) => Ok(respond(members, batch, id)),
        Delivery::Refused => Err(broken(io::ErrorKind::ConnectionRefused)),
        Delivery::Lost | Delivery::Cut(_) => Err(broken(io::ErrorKind::ConnectionReset)),
        Delivery::Http(own) => custom(own, &packet),
        Delivery::Html => parse(HTML.to_owned()),
        Delivery::Truncated(members) => parse(wire::half(written(&members))),
        Delivery::Endless => pending().await,
    }
}

fn call(request: &SerializedRequest) -> Call<'_> {
    Call { method: request.method(), params: request.params() }
}

fn respond<'a>(members: Vec<Member>, batch: bool, id: impl Fn(usize) -> &'a Id) -> ResponsePacket {
    let mut responses: Vec<_> = members
        .into_iter()
        .map(|member| {
            let foreign = || Id::Number(wire::FOREIGN_ID + member.call as u64);
            let id = if member.foreign { foreign() } else { id(member.call).clone() };
            let payload = match member.answer {
                Ok(result) => ResponsePayload::Success(result),
                Err(error) => ResponsePayload::Failure(payload(error)),
            };
            Response { id, payload }
        })
        .collect();
    match responses.pop() {
        Some(single) if !batch => ResponsePacket::Single(single),
        last => {
            responses.extend(last);
            ResponsePacket::Batch(responses)
        }
    }
}

/// Alloy's HTTP transport takes a JSON-RPC error out of a failed response and forgets the status.
fn custom(own: HttpAnswer, packet: &RequestPacket) -> TransportResult<ResponsePacket> {
    let retry_after = match own.retry_after {
        Some(RetryAfter::Seconds(seconds)) => Some(Duration::from_secs(seconds)),
        _ => None,
    };
    match own.body {
        HttpBody::Text(body) if (200..300).contains(&own.status) => parse(body.into_owned()),
        HttpBody::Text(body) => Err(TransportErrorKind::http_error_with_retry_after(
            own.status,
            body.into_owned(),
            retry_after,
        )),
        HttpBody::Error(error) => {
            let answer = |call| Member { call, foreign: false, answer: Err(error.clone()) };
            let members = (0..packet.len()).map(answer).collect();
            let id = |call: usize| packet.requests()[call].id();
            Ok(respond(members, packet.as_batch().is_some(), id))
        }
    }
}

fn payload(error: ErrorObject) -> ErrorPayload {
    let data = error.data.as_ref().map(to_json);
    ErrorPayload { code: error.code, message: error.message, data }
}

fn parse(body: String) -> TransportResult<ResponsePacket> {
    serde_json::from_str(&body).map_err(|error| TransportError::deser_err(error, body))
}

fn broken(kind: io::ErrorKind) -> TransportError {
    TransportErrorKind::custom(io::Error::from(kind))
}

fn json(id: &Id) -> String {
    to_json(id).get().to_owned()
}
