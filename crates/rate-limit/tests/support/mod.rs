//! An endpoint that answers at once and remembers when it was asked.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use alclad_core::{Fault, Limiter};
use alclad_rate_limit::{RateLimit, RateLimitLayer};
use alclad_testkit::{answer, answers, batch, request, single};
use alloy_json_rpc::{Id, RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportFut};
use std::{
    future::ready,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{task::JoinHandle, time::Instant};
use tower::{Layer, Service, ServiceExt};

pub(crate) type Answer = Result<ResponsePacket, TransportError>;

pub(crate) fn units(units: u32) -> NonZeroU32 {
    NonZeroU32::new(units).unwrap()
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// So many requests per second, so many at once.
pub(crate) fn limit(per_second: u32, burst: u32) -> RateLimitLayer {
    RateLimitLayer::per_second(units(per_second)).with_burst(units(burst))
}

/// A single read with this id.
pub(crate) fn read(id: u64) -> RequestPacket {
    single(request(id, "eth_call", ()))
}

/// A batch of so many reads, the first of which has this id.
pub(crate) fn reads(first: u64, count: u64) -> RequestPacket {
    batch((first..first + count).map(|id| request(id, "eth_call", ())))
}

/// The fault of an error of our own limiter.
pub(crate) fn refused(answer: Answer) -> Duration {
    let fault = Fault::of_error("eth_call", &answer.expect_err("no room"));
    let Fault::RateLimited { retry_after: Some(wait), by: Limiter::Local } = fault else {
        panic!("{fault:?}")
    };
    wait
}

#[derive(Clone)]
pub(crate) struct Endpoint {
    start: Instant,
    seen: Arc<Mutex<Vec<(u64, u64)>>>,
}

impl Endpoint {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), seen: Arc::default() }
    }

    /// The first id of each packet and the millisecond in which it came.
    pub(crate) fn seen(&self) -> Vec<(u64, u64)> {
        self.seen.lock().unwrap().clone()
    }

    /// The milliseconds in which packets came.
    pub(crate) fn times(&self) -> Vec<u64> {
        self.seen().into_iter().map(|(_, time)| time).collect()
    }
}

impl Service<RequestPacket> for Endpoint {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let ids = packet.requests().iter().filter_map(|request| match request.id() {
            Id::Number(id) => Some(*id),
            _ => None,
        });
        let ids: Vec<_> = ids.collect();
        let time = u64::try_from(self.start.elapsed().as_millis()).unwrap();
        self.seen.lock().unwrap().push((ids[0], time));
        Box::pin(ready(Ok(match packet {
            RequestPacket::Single(_) => ResponsePacket::Single(answer(ids[0], "0x")),
            RequestPacket::Batch(_) => answers(ids.into_iter().map(|id| answer(id, "0x"))),
        })))
    }
}

/// A limiter before an endpoint.
pub(crate) fn stack(layer: &RateLimitLayer) -> (RateLimit<Endpoint>, Endpoint) {
    let endpoint = Endpoint::new();
    (layer.layer(endpoint.clone()), endpoint)
}

/// Sends a packet in a task of its own; tasks start in the order in which they are spawned.
pub(crate) fn send(
    service: &(
         impl Service<RequestPacket, Response = ResponsePacket, Error = TransportError, Future: Send>
         + Clone
         + Send
         + 'static
     ),
    packet: RequestPacket,
) -> JoinHandle<Answer> {
    tokio::spawn(service.clone().oneshot(packet))
}

/// Lets all tasks run until they wait for something.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
