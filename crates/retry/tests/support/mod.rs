//! A call through the layer, told from the endpoint's side.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use alclad_retry::{Backoff, Jitter, RetryLayer};
use alclad_testkit::{MockCall, MockUpstream, StrictTransport, batch, mock, request, single};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportErrorKind};
use std::{future::Future, io, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};
use tower::{Layer, ServiceExt};

pub(crate) type Answer = Result<ResponsePacket, TransportError>;

/// Longer than anything waits here: what takes so long hangs.
const HANGS: Duration = Duration::from_secs(3_600);

/// The default, without its dice.
pub(crate) fn exact() -> RetryLayer {
    RetryLayer::with_policy(exact_backoff())
}

pub(crate) fn exact_backoff() -> Backoff {
    Backoff::new().with_jitter(Jitter::None)
}

/// A single read with the id 1.
pub(crate) fn read() -> RequestPacket {
    ask("eth_call")
}

/// A single call of this method with the id 1.
pub(crate) fn ask(method: &'static str) -> RequestPacket {
    single(request(1, method, ()))
}

/// A batch of reads with these ids.
pub(crate) fn reads(ids: impl IntoIterator<Item = u64>) -> RequestPacket {
    batch(ids.into_iter().map(|id| request(id, "eth_call", ())))
}

pub(crate) fn http(status: u16) -> TransportError {
    TransportErrorKind::http_error(status, String::new())
}

pub(crate) fn io(kind: io::ErrorKind) -> TransportError {
    TransportErrorKind::custom(io::Error::from(kind))
}

/// The code and the message of each member, `None` for a result.
pub(crate) fn errors(answer: &ResponsePacket) -> Vec<Option<(i64, &str)>> {
    let errors = answer.payloads().map(|payload| payload.as_error());
    errors.map(|error| error.map(|error| (error.code, &*error.message))).collect()
}

/// One call, the packets that it sends, and when.
pub(crate) struct Conversation {
    upstream: MockUpstream,
    call: JoinHandle<Answer>,
    start: Instant,
}

impl Conversation {
    /// The packet goes through the layer.
    pub(crate) fn of<L>(layer: &L, packet: RequestPacket) -> Self
    where
        L: Layer<StrictTransport, Service: alclad_core::Upstream>,
    {
        Self::during(|transport| layer.layer(transport).oneshot(packet))
    }

    /// Whatever the future sends over the transport.
    pub(crate) fn during<F>(call: impl FnOnce(StrictTransport) -> F) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let (transport, upstream) = mock();
        Self { upstream, start: Instant::now(), call: tokio::spawn(call(transport)) }
    }

    /// The next packet comes so many milliseconds after the call was made.
    pub(crate) async fn hears(&mut self, at: u64, expected: &[(u64, &str)]) -> MockCall {
        let next = timeout(HANGS, self.upstream.expect(expected));
        let packet = next.await.expect("the call hangs");
        assert_eq!(self.start.elapsed(), Duration::from_millis(at), "when it was sent");
        packet
    }

    /// [`hears`](Self::hears) a single read.
    pub(crate) async fn hears_read(&mut self, at: u64) -> MockCall {
        self.hears(at, &[(1, "eth_call")]).await
    }

    /// The call ends so many milliseconds after it was made, and nothing more was sent.
    pub(crate) async fn ends(mut self, at: u64) -> Answer {
        let answer = tokio::select! {
            biased;
            answer = timeout(HANGS, &mut self.call) => answer.expect("the call hangs"),
            Some(more) = self.upstream.next() => panic!("one more: {:?}", more.packet()),
        };
        assert_eq!(self.start.elapsed(), Duration::from_millis(at), "when it ended");
        assert!(self.upstream.next().await.is_none(), "one more was sent");
        answer.expect("the call panics")
    }
}
