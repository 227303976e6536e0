pub(crate) mod circuit;
mod digest;
mod gauges;
mod load;
mod methods;

pub(crate) use digest::Digest;
pub(crate) use load::Load;

use crate::{
    EndpointSnapshot, EndpointState, Event, Role,
    changes::Changes,
    endpoint::{Parts, Target},
    roster::Shared,
};
use alclad_core::{EndpointId, Fault, Headroom, Health, Limiter, Lookout};
use alloy_json_rpc::{RequestPacket, SerializedRequest};
use alloy_transport::TransportFut;
use circuit::{Access, Circuit, Probe};
use gauges::Gauges;
use methods::Methods;
use std::{
    collections::BTreeMap,
    slice,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

/// One endpoint in the rotation.
pub(crate) struct Seat {
    pub(crate) id: EndpointId,
    /// Its place in the order in which endpoints came.
    pub(crate) number: usize,
    pub(crate) tier: u8,
    pub(crate) role: Role,
    origin: Option<Arc<str>>,
    pub(crate) circuit: Circuit,
    pub(crate) load: Load,
    pub(crate) lookout: Lookout,
    pub(crate) methods: Methods,
    weight: AtomicU32,
    enabled: AtomicBool,
    wrong_chain: AtomicBool,
    target: Box<dyn Target>,
    limiters: Vec<Arc<dyn Headroom>>,
    hedges: AtomicU64,
    throttles: AtomicU64,
    errors: AtomicU64,
    looked: Mutex<Option<Instant>>,
    checked: Mutex<Option<Instant>>,
    told_of_lag: AtomicBool,
    gauges: Gauges,
    faults: Mutex<BTreeMap<&'static str, u64>>,
    changes: Changes,
}

// === impl Seat ===

impl Seat {
    pub(crate) fn new(parts: Parts, number: usize, shared: &Shared) -> Self {
        let Parts { id, tier, role, weight, origin, target, limiters } = parts;
        gauges::health(&id, true);
        Self {
            number,
            tier,
            role,
            origin,
            circuit: Circuit::new(id.clone(), shared.changes.clone()),
            load: Load::new(),
            lookout: shared.freshness.heads.enrol(id.clone()),
            methods: Methods::default(),
            weight: AtomicU32::new(weight),
            enabled: AtomicBool::new(true),
            wrong_chain: AtomicBool::new(false),
            target,
            limiters,
            hedges: AtomicU64::new(0),
            throttles: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            looked: Mutex::default(),
            checked: Mutex::default(),
            told_of_lag: AtomicBool::new(false),
            gauges: Gauges::default(),
            faults: Mutex::default(),
            changes: shared.changes.clone(),
            id,
        }
    }

    /// Sends one packet through the endpoint's ring.
    pub(crate) fn send(&self, packet: RequestPacket) -> TransportFut<'static> {
        self.target.send(packet)
    }

    /// Healthy, without a limiter, and it offers every method.
    pub(crate) fn is_plain(&self) -> bool {
        self.circuit.is_closed() && self.limiters.is_empty() && self.methods.are_all_offered()
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.load(Relaxed)
    }

    /// Switched on, and not known to serve another chain.
    pub(crate) fn is_usable(&self) -> bool {
        self.is_enabled() && !self.is_of_wrong_chain()
    }

    pub(crate) fn is_of_wrong_chain(&self) -> bool {
        self.wrong_chain.load(Relaxed)
    }

    /// It was found to serve another chain than most, or the same.
    pub(crate) fn set_wrong_chain(&self, wrong: bool) {
        self.wrong_chain.store(wrong, Relaxed);
    }

    pub(crate) fn enable(&self, enabled: bool) {
        if self.enabled.swap(enabled, Relaxed) != enabled {
            tracing::info!(endpoint = %self.id, enabled, "endpoint switched on or off by hand");
            gauges::health(&self.id, enabled && self.circuit.is_closed());
            self.changes.add(&self.id, if enabled { Event::Enabled } else { Event::Disabled });
        }
    }

    /// It is taken out of the rotation.
    pub(crate) fn leave(&self) {
        self.enabled.store(false, Relaxed);
        gauges::health(&self.id, false);
    }

    /// Tells where it is; once that it lags, and once that it has caught up.
    pub(crate) fn tell_of_lag(&self) {
        self.gauges.tell(&self.id, &self.lookout);
        let lags = self.lookout.is_lagging();
        if self.told_of_lag.load(Relaxed) == lags || self.told_of_lag.swap(lags, Relaxed) == lags {
            return;
        }
        let (head, lag) = (self.lookout.head(), self.lookout.lag());
        self.changes.add(&self.id, if lags { Event::Lagging(lag) } else { Event::CaughtUp });
        match lags {
            true => {
                tracing::warn!(endpoint = %self.id, head, lag, "endpoint lags behind the others")
            }
            false => tracing::info!(endpoint = %self.id, head, "endpoint has caught up"),
        }
    }

    pub(crate) fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    pub(crate) fn set_weight(&self, weight: u32) {
        self.weight.store(weight, Relaxed);
    }

    /// An attempt begun at this age of the circuit ended in this fault.
    pub(crate) fn fail(&self, fault: Fault, health: Health, age: u32) {
        let is_news = fault == Fault::WrongChain && self.circuit.has_served_another_chain();
        self.circuit.fail(fault, health, age, self.load.requests());
        if is_news {
            self.lookout.distrust();
        }
    }

    /// It said that it does not have this block, which another one has. One that has shown it has
    /// pruned it, and is no less far for that.
    pub(crate) fn lacks(&self, block: u64) -> bool {
        let lacks = !self.lookout.has(block);
        if lacks {
            self.lookout.lacks(block);
            self.gauges.tell(&self.id, &self.lookout);
        }
        lacks
    }

    /// When its own limiters would let these requests pass.
    pub(crate) fn free_in(&self, requests: &[SerializedRequest]) -> Duration {
        let waits = self.limiters.iter().map(|limiter| limiter.free_in(requests));
        waits.max().unwrap_or_default()
    }

    /// Whether it was not looked at for so long; then it counts as looked at.
    pub(crate) fn is_due(&self, interval: Duration) -> bool {
        is_due(&self.looked, interval)
    }

    /// The same for its chain id.
    pub(crate) fn chain_is_due(&self, interval: Duration) -> bool {
        is_due(&self.checked, interval)
    }

    /// Whether the rotation may ask it for its own ends, and the probe to do so if it is half open.
    pub(crate) fn may_be_looked_at(&self, request: &SerializedRequest) -> Option<Option<Probe>> {
        let reads = self.is_usable() && self.role != Role::Write;
        if !reads || !self.free_in(slice::from_ref(request)).is_zero() {
            return None;
        }
        match self.circuit.access() {
            Access::Free => Some(None),
            Access::Probe(probe) => Some(Some(probe)),
            _ => None,
        }
    }

    /// It has failed with this. Our own limit is no fault of it.
    pub(crate) fn count(&self, fault: Fault) {
        match fault {
            Fault::RateLimited { by: Limiter::Local, .. } => return,
            Fault::RateLimited { by: Limiter::Vendor, .. } => {
                self.throttles.fetch_add(1, Relaxed);
            }
            _ => {}
        }
        if fault.health() != Health::Nothing {
            self.errors.fetch_add(1, Relaxed);
        }
        *self.faults().entry(fault.name()).or_default() += 1;
    }

    pub(crate) fn count_hedge(&self) {
        self.hedges.fetch_add(1, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> EndpointSnapshot {
        let (strikes, failed) = self.circuit.failures();
        EndpointSnapshot {
            id: self.id.clone(),
            origin: self.origin.clone(),
            tier: self.tier,
            role: self.role,
            weight: self.weight(),
            enabled: self.is_enabled(),
            state: match self.is_of_wrong_chain() {
                true => EndpointState::WrongChain,
                false => self.circuit.snapshot(),
            },
            requests: self.load.requests(),
            in_flight: self.load.in_flight(),
            hedges: self.hedges.load(Relaxed),
            throttles: self.throttles.load(Relaxed),
            errors: self.errors.load(Relaxed),
            strikes,
            failed,
            faults: self.faults().clone(),
            latency: self.load.average(),
            p50: self.load.quantile(0.5),
            p99: self.load.quantile(0.99),
            head: self.lookout.head(),
            seen: self.lookout.age(),
            lag: self.lookout.lag(),
            lagging: self.lookout.is_lagging(),
            unsupported: self.methods.avoided(),
        }
    }

    fn faults(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_due(last: &Mutex<Option<Instant>>, interval: Duration) -> bool {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let is_due = last.is_none_or(|last| last.elapsed() >= interval);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}
