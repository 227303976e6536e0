//! What the benchmarks share: a transport that answers at once, one call through a stack, and the
//! stacks.

mod stacks;
pub use stacks::{STACKS, Stack, WARM, balance, cached, numbered, rate_limit};

use alclad::{ChainGuardLayer, Endpoint, Rotation, RotationBuilder, metrics::prometheus_builder};
use alloy::rpc::json_rpc::{
    RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest,
};
use alloy::transports::{
    BoxTransport, IntoBoxTransport, TransportError, TransportFut, layers::FallbackService,
};
use futures::FutureExt;
use metrics_exporter_prometheus::PrometheusRecorder;
use std::{
    future::ready,
    hint,
    sync::{Arc, LazyLock},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::runtime::{EnterGuard, Runtime};
use tower::{Layer, Service};

/// An endpoint in the same process: 66 bytes of answer, at once. As a number it is small, so that
/// it will do for a chain id too.
#[derive(Clone, Debug)]
pub struct Instant(Arc<ResponsePayload>);

impl Instant {
    /// Like an HTTP client it is cheap to clone, but not free.
    pub fn new() -> Self {
        Self::of_size(66)
    }

    /// With an answer of so many bytes.
    pub fn of_size(bytes: usize) -> Self {
        let word = format!("\"0x{}7\"", "0".repeat(bytes - 5));
        let answer = ResponsePayload::Success(serde_json::from_str(&word).expect("it is JSON"));
        Self(Arc::new(answer))
    }

    /// What it answers.
    pub fn copy(&self) -> ResponsePayload {
        (*self.0).clone()
    }
}

impl Default for Instant {
    fn default() -> Self {
        Self::new()
    }
}

impl Service<RequestPacket> for Instant {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let answer = |request: &SerializedRequest| Response {
            id: request.id().clone(),
            payload: (*self.0).clone(),
        };
        let answer = match &packet {
            RequestPacket::Single(request) => ResponsePacket::Single(answer(request)),
            RequestPacket::Batch(batch) => {
                ResponsePacket::Batch(batch.iter().map(answer).collect())
            }
        };
        Box::pin(ready(Ok(answer)))
    }
}

/// An [`Instant`] that takes five microseconds of a processor for its answer.
#[derive(Clone, Debug, Default)]
pub struct Busy(Instant);

impl Service<RequestPacket> for Busy {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < Duration::from_micros(5) {
            hint::spin_loop();
        }
        self.0.call(packet)
    }
}

/// Three endpoints, all healthy.
pub fn rotation() -> Rotation {
    let endpoints = ["a", "b", "c"].map(|label| Endpoint::new(label, Instant::new()));
    let add = |builder: RotationBuilder, endpoint| builder.endpoint(endpoint);
    endpoints.into_iter().fold(Rotation::builder(), add).build()
}

/// A chain guard over an endpoint that it has verified.
pub fn guarded() -> BoxTransport {
    let guarded = boxed(ChainGuardLayer::expect(7).layer(Instant::new()));
    call(&guarded, request());
    guarded
}

/// The recorder of a Prometheus exporter, with alclad's buckets.
pub fn prometheus() -> PrometheusRecorder {
    prometheus_builder(&[]).build_recorder()
}

/// Alloy's, over three endpoints, of which this many are asked at once.
pub fn fallback(active: usize) -> FallbackService<Instant> {
    FallbackService::new(vec![Instant::new(), Instant::new(), Instant::new()], active)
}

/// A transport as alloy's client holds it.
pub fn boxed(transport: impl IntoBoxTransport) -> BoxTransport {
    transport.into_box_transport()
}

/// A typical small read.
pub fn request() -> RequestPacket {
    numbered(0)
}

/// One call, as alloy's client makes it: clone the transport, make it ready, call it.
pub fn call(transport: &BoxTransport, packet: RequestPacket) -> ResponsePacket {
    let mut transport = transport.clone();
    let polled = transport.poll_ready(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_ready());
    let answer = transport.call(packet).now_or_never();
    answer.expect("the endpoint answers at once").expect("and well")
}

/// Timers need a runtime around them.
pub fn runtime() -> EnterGuard<'static> {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
    });
    RUNTIME.enter()
}
