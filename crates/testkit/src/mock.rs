//! A transport whose answers the test writes by hand.

use crate::packet::assert_packet;
use alloy_json_rpc::{RequestPacket, Response, ResponsePacket};
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};
use std::{
    error::Error,
    task::{Context, Poll},
};
use tower::Service;
use tower_test::mock::{Handle, Mock, SendResponse, pair};

/// A transport and the handle that answers for it.
///
/// The transport enforces tower's contract: a call without `poll_ready` panics, and each clone
/// must be made ready by itself. So a test of a layer over it is a test of that contract too.
///
/// ```
/// use alclad_testkit::{answer, mock, request, single};
/// use tower::{Service, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let (mut transport, mut upstream) = mock();
/// let call = transport.ready().await.unwrap().call(single(request(1, "eth_chainId", ())));
/// upstream.expect(&[(1, "eth_chainId")]).await.answer(answer(1, "0x1"));
/// assert!(call.await.unwrap().is_success());
/// # }
/// ```
pub fn mock() -> (StrictTransport, MockUpstream) {
    let (mock, handle) = pair();
    (StrictTransport { mock }, MockUpstream { handle, seen: None })
}

/// The transport side of [`mock`]: tower-test's `Mock` with alloy's error and future.
#[derive(Clone, Debug)]
pub struct StrictTransport {
    mock: Mock<RequestPacket, ResponsePacket>,
}

impl Service<RequestPacket> for StrictTransport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.mock.poll_ready(cx).map_err(transport_error)
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let response = self.mock.call(packet);
        Box::pin(async move { response.await.map_err(transport_error) })
    }
}

/// Tower-test boxes errors; ours come out again as they were put in.
fn transport_error(error: Box<dyn Error + Send + Sync>) -> TransportError {
    match error.downcast::<TransportError>() {
        Ok(error) => *error,
        Err(other) => TransportErrorKind::Custom(other).into(),
    }
}

/// The other side of [`mock`]: sees each packet and answers it.
#[derive(Debug)]
pub struct MockUpstream {
    handle: Handle<RequestPacket, ResponsePacket>,
    /// A packet that was taken to see whether there is one.
    seen: Option<MockCall>,
}

impl MockUpstream {
    /// Waits for the next packet; `None` when all transports are gone.
    pub async fn next(&mut self) -> Option<MockCall> {
        if let Some(call) = self.seen.take() {
            return Some(call);
        }
        let (packet, reply) = self.handle.next_request().await?;
        Some(MockCall { packet, reply })
    }

    /// Waits for the next packet and asserts its ids and methods.
    ///
    /// # Panics
    ///
    /// If they differ, or if all transports are gone.
    pub async fn expect(&mut self, expected: &[(u64, &str)]) -> MockCall {
        let call = self.next().await.expect("a packet, but all transports are gone");
        assert_packet(&call.packet, expected);
        call
    }

    /// Whether no packet waits to be taken by [`next`](Self::next).
    pub fn is_idle(&mut self) -> bool {
        if self.seen.is_none()
            && let Poll::Ready(Some((packet, reply))) = self.handle.poll_request()
        {
            self.seen = Some(MockCall { packet, reply });
        }
        self.seen.is_none()
    }

    /// Lets only so many more calls become ready.
    pub fn allow(&mut self, calls: u64) {
        self.handle.allow(calls);
    }

    /// Lets the next `poll_ready` fail.
    pub fn fail_ready(&mut self, error: TransportError) {
        self.handle.send_error(error);
    }
}

/// A packet that waits for its answer; dropping it answers with an error.
#[derive(Debug)]
pub struct MockCall {
    packet: RequestPacket,
    reply: SendResponse<ResponsePacket>,
}

impl MockCall {
    /// The packet that was sent.
    pub const fn packet(&self) -> &RequestPacket {
        &self.packet
    }

    /// Answers a single call.
    pub fn answer(self, response: Response) {
        self.respond(ResponsePacket::Single(response));
    }

    /// Answers a batch.
    pub fn answer_batch(self, responses: impl IntoIterator<Item = Response>) {
        self.respond(crate::packet::answers(responses));
    }

    /// Answers with any packet.
    pub fn respond(self, response: ResponsePacket) {
        self.reply.send_response(response);
    }

    /// Fails the call.
    pub fn fail(self, error: TransportError) {
        self.reply.send_error(error);
    }
}
