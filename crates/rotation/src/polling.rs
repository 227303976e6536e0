use crate::{
    call::{Exchange, PATIENCE},
    freshness::BLOCK_NUMBER,
    roster::Roster,
    rotation::Clones,
    seat::Seat,
};
use alclad_core::{CallOptions, SightedBlock, Sighting};
use alloy_json_rpc::{Id, Request, RequestPacket, ResponsePacket, SerializedRequest};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{runtime::Handle, sync::OnceCell, task::JoinSet, time};

/// Between two looks at the endpoints' heads there is a block, but at least and at most so long.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// How long the first calls wait for the endpoints to say where they are.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// An endpoint that shows another block than others is asked for its chain id so often at most.
const CHECK_EVERY: Duration = Duration::from_secs(1);
const CHAIN_ID: &str = "eth_chainId";

/// Knows where the endpoints are before the first call, and asks them from then on.
#[derive(Default)]
pub(crate) struct Polling {
    looked: OnceCell<()>,
}

impl Polling {
    pub(crate) fn has_looked(&self) -> bool {
        self.looked.initialized()
    }

    /// Waits until all endpoints were asked for their heads, once.
    pub(crate) async fn look(&self, rotation: &Arc<Clones>) {
        let look = async {
            let seats = rotation.roster.load_full().seats.clone();
            let looks: JoinSet<()> = seats.into_iter().map(look_at).collect();
            let _ = time::timeout(FIRST_LOOK, looks.join_all()).await;
            tokio::spawn(poll(Arc::downgrade(rotation)));
        };
        self.looked.get_or_init(|| look).await;
    }
}

async fn poll(rotation: Weak<Clones>) {
    loop {
        let Some(roster) = rotation.upgrade().map(|rotation| rotation.roster.load_full()) else {
            return;
        };
        let interval = interval(&roster);
        for seat in &roster.seats {
            // What the answers to the callers have told need not be asked.
            if seat.lookout.age().is_none_or(|age| age >= interval / 2) {
                tokio::spawn(look_at(Arc::clone(seat)));
            }
        }
        drop(roster);
        // So that many pipelines do not ask at the same moment.
        time::sleep(interval.mul_f64(fastrand::f64().mul_add(0.2, 0.9))).await;
    }
}

/// How often an endpoint is looked at.
pub(crate) fn interval(roster: &Roster) -> Duration {
    roster.shared.freshness.heads.block_time().clamp(SHORTEST, LONGEST)
}

/// Asks an endpoint for its head, if it may be asked now.
pub(crate) async fn look_at(seat: Arc<Seat>) {
    ask_aside(seat, question(BLOCK_NUMBER)).await;
}

/// Asks an endpoint for the rotation's own ends, if it may be asked now, and learns from it.
async fn ask_aside(seat: Arc<Seat>, request: SerializedRequest) {
    let Some(probe) = seat.may_be_looked_at(&request) else { return };
    let mut exchange = Exchange::begin(&seat, RequestPacket::Single(request.clone()), probe);
    let ended = time::timeout(PATIENCE, &mut exchange).await.ok();
    if let Some((Ok(ResponsePacket::Single(answer)), _)) = &ended
        && let Some(sighting) = Sighting::of(&request, answer)
    {
        seat.lookout.saw(&sighting);
        seat.tell_of_lag();
    }
    exchange.learn(ended);
}

/// Asks an endpoint that shows another block than others for its chain id, now and then: where a
/// chain guard stands before it, that one finds out if it has moved to another chain.
pub(crate) fn check_chain(seat: &Arc<Seat>, block: &SightedBlock) {
    if !seat.lookout.is_contradicted(block) || !seat.chain_is_due(CHECK_EVERY) {
        return;
    }
    let mut request = question(CHAIN_ID);
    // Not what the guard knows, but what the endpoint says.
    request.meta_mut().extensions_mut().insert(CallOptions::new().without_cache());
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(ask_aside(Arc::clone(seat), request));
    }
}

/// A call of the rotation's own.
pub(crate) fn question(method: &'static str) -> SerializedRequest {
    let request = Request::new(method, Id::String(format!("alclad-{method}")), ());
    request.serialize().expect("no params are JSON")
}
