use crate::{EndpointSnapshot, circuit::Circuit, target::Target};
use alclad_core::{Budget, Classify, EndpointId, Fault};
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::TransportError;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// How long an endpoint is believed that it does not offer a method.
const UNSUPPORTED_FOR: Duration = Duration::from_secs(600);
/// So many methods are remembered per endpoint; past them, nothing is.
const UNSUPPORTED_METHODS: usize = 64;

/// What all clones of a rotation share.
pub(crate) struct Shared {
    pub(crate) seats: Vec<Seat>,
    pub(crate) budget: Budget,
    pub(crate) classifier: Option<Arc<dyn Classify>>,
}

/// One endpoint in the rotation.
pub(crate) struct Seat {
    pub(crate) id: EndpointId,
    pub(crate) tier: u8,
    pub(crate) circuit: Circuit,
    target: Box<dyn Target>,
    started: AtomicU64,
    ended: AtomicU64,
    faults: Mutex<BTreeMap<&'static str, u64>>,
    refuses_methods: AtomicBool,
    unsupported: Mutex<BTreeMap<String, Instant>>,
}

// === impl Seat ===

impl Seat {
    pub(crate) fn new(id: EndpointId, tier: u8, target: Box<dyn Target>) -> Self {
        Self {
            circuit: Circuit::new(id.clone()),
            id,
            tier,
            target,
            started: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            faults: Mutex::default(),
            refuses_methods: AtomicBool::new(false),
            unsupported: Mutex::default(),
        }
    }

    /// Sends one packet through the endpoint's ring.
    pub(crate) async fn send(
        &self,
        packet: RequestPacket,
    ) -> Result<ResponsePacket, TransportError> {
        self.started.fetch_add(1, Relaxed);
        let _ended = Ended(&self.ended);
        self.target.send(packet).await
    }

    pub(crate) fn requests(&self) -> u64 {
        self.started.load(Relaxed)
    }

    pub(crate) fn count(&self, fault: Fault) {
        *lock(&self.faults).entry(fault.name()).or_default() += 1;
    }

    pub(crate) fn offers(&self, method: &str) -> bool {
        if !self.refuses_methods.load(Relaxed) {
            return true;
        }
        let mut unsupported = lock(&self.unsupported);
        unsupported.retain(|_, since| since.elapsed() <= UNSUPPORTED_FOR);
        self.refuses_methods.store(!unsupported.is_empty(), Relaxed);
        !unsupported.contains_key(method)
    }

    pub(crate) fn remember_unsupported(&self, method: &str) {
        let mut unsupported = lock(&self.unsupported);
        if unsupported.len() < UNSUPPORTED_METHODS {
            unsupported.insert(method.to_owned(), Instant::now());
            self.refuses_methods.store(true, Relaxed);
        }
    }

    pub(crate) fn snapshot(&self) -> EndpointSnapshot {
        let ended = self.ended.load(Relaxed);
        let requests = self.requests();
        EndpointSnapshot {
            id: self.id.clone(),
            tier: self.tier,
            state: self.circuit.snapshot(),
            requests,
            in_flight: requests.saturating_sub(ended),
            faults: lock(&self.faults).clone(),
            unsupported: lock(&self.unsupported).keys().cloned().collect(),
        }
    }
}

/// Counts an attempt as ended, also one that is dropped.
struct Ended<'a>(&'a AtomicU64);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
