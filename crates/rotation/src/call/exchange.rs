use crate::seat::{Load, Seat, circuit::Probe};
use alclad_core::{
    Fault, Health, Notes,
    note::{self, Capture},
};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportFut};
use std::{
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout},
};

/// How long an endpoint may take for a question of the rotation's own.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long the answer to a call that was answered elsewhere is still waited for, if no timeout
/// of the endpoint's own ends it before.
const LINGER: Duration = Duration::from_secs(10);

/// One packet on its way to one endpoint and back. Dropping it gives up.
pub(crate) struct Exchange {
    pub(crate) seat: Arc<Seat>,
    /// The age of the endpoint's circuit when it was sent.
    pub(crate) age: u32,
    /// Held while a half-open endpoint is asked.
    pub(crate) probe: Option<Probe>,
    /// When we began to wait: an answer that is at hand is not timed.
    since: Instant,
    answer: Capture<TransportFut<'static>>,
}

/// What an endpoint said, or what became of it.
pub(crate) type Answered = (Result<ResponsePacket, TransportError>, Notes);

/// A packet that was just sent. An answer that is at hand needs no more than this.
pub(crate) struct Started<'a> {
    seat: &'a Seat,
    in_flight: InFlight<'a>,
    age: u32,
    answer: Capture<TransportFut<'static>>,
}

/// Counts a request as ended, also one that is dropped.
struct InFlight<'a>(&'a Load);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

// === impl Started ===

impl<'a> Started<'a> {
    pub(crate) fn begin(seat: &'a Seat, packet: RequestPacket) -> Self {
        seat.load.begin();
        let (in_flight, age) = (InFlight(&seat.load), seat.circuit.age());
        let answer = note::capture_at(seat.id.clone(), seat.send(packet));
        Self { seat, in_flight, age, answer }
    }

    /// Looks once whether the answer is there.
    pub(crate) async fn look(&mut self) -> Poll<Answered> {
        poll_fn(|cx| Poll::Ready(Pin::new(&mut self.answer).poll(cx))).await
    }

    /// The answer is good.
    pub(crate) fn succeed(&self) {
        self.seat.circuit.succeed(self.age);
    }

    /// It is going to take a while.
    pub(crate) fn go_on(self, seat: &Arc<Seat>, probe: Option<Probe>) -> Exchange {
        let Self { in_flight, age, answer, .. } = self;
        mem::forget(in_flight);
        Exchange { seat: Arc::clone(seat), age, probe, since: Instant::now(), answer }
    }
}

// === impl Exchange ===

impl Exchange {
    pub(crate) fn begin(seat: &Arc<Seat>, packet: RequestPacket, probe: Option<Probe>) -> Self {
        let started = Started::begin(seat, packet);
        started.go_on(seat, probe)
    }

    /// How long it has been waited for.
    pub(crate) fn waited(&self) -> Duration {
        self.since.elapsed()
    }

    /// Leaves it to end in a task of its own, for nobody waits for it any more. An HTTP/1.1
    /// connection is lost when the call on it is dropped, and how it ends tells of the endpoint.
    pub(crate) fn finish_quietly(mut self) {
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let ended = timeout(LINGER, &mut self).await;
                self.learn(ended.ok());
            });
        }
    }

    /// Whoever asked has an answer: only what is certain counts for or against the endpoint.
    pub(crate) fn learn(&self, ended: Option<Answered>) {
        match ended {
            Some((Ok(packet), _)) if packet.is_success() => {
                self.seat.load.observe(self.waited());
                self.seat.circuit.succeed(self.age);
            }
            Some((Ok(_), _)) => {}
            Some((Err(error), _)) => self.hold_against(Fault::of_error("", &error)),
            None => self.hold_against(Fault::Timeout),
        }
    }

    fn hold_against(&self, fault: Fault) {
        self.seat.count(fault);
        if fault.health() != Health::Nothing {
            self.fail(fault, fault.health());
        }
    }

    /// Its endpoint has failed.
    pub(crate) fn fail(&self, fault: Fault, health: Health) {
        self.seat.fail(fault, health, self.age);
    }
}

impl Future for Exchange {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answered> {
        Pin::new(&mut self.answer).poll(cx)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.seat.load.end();
    }
}
