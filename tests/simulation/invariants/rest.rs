//! I7: when all calls are done, nothing is held.

use super::Invariant;
use crate::record::Recorder;
use alclad::{RateLimiter, Rotation};
use alclad_testkit::SimNode;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::sleep};

/// What a stack holds while calls are under way.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) rotation: Option<Rotation>,
    pub(crate) limiters: Vec<RateLimiter>,
    /// Of which endpoint each limiter is.
    pub(crate) limited: Vec<(usize, RateLimiter)>,
    pub(crate) permits: Vec<(Arc<Semaphore>, usize)>,
}

/// How often it is looked whether all is at rest: the rotation's own questions come and go.
const LOOKS: u32 = 200;

/// All calls have ended, and what was left to end quietly has had its time.
pub(crate) async fn at_rest(recorder: &Recorder, held: &Held, nodes: &[SimNode]) {
    let mut kept = Vec::new();
    for _ in 0..LOOKS {
        kept = still_kept(recorder, held, nodes);
        if kept.is_empty() {
            return;
        }
        sleep(Duration::from_millis(37)).await;
    }
    recorder.violate(Invariant::I7Rest, kept.join(", "));
}

fn still_kept(recorder: &Recorder, held: &Held, nodes: &[SimNode]) -> Vec<String> {
    let mut kept = Vec::new();
    let under_way = recorder.record().under_way();
    if under_way > 0 {
        kept.push(format!("{under_way} packet(s) are under way"));
    }
    for endpoint in held.rotation.iter().flat_map(Rotation::snapshot) {
        if endpoint.in_flight > 0 {
            kept.push(format!("{} counts {} in flight", endpoint.id, endpoint.in_flight));
        }
    }
    let waiters: usize = held.limiters.iter().map(RateLimiter::waiters).sum();
    if waiters > 0 {
        kept.push(format!("{waiters} packet(s) wait at a limiter"));
    }
    for (permits, all) in &held.permits {
        if permits.available_permits() != *all {
            kept.push(format!("{} of {all} permits are free", permits.available_permits()));
        }
    }
    for (index, node) in nodes.iter().enumerate() {
        if node.in_flight() > 0 {
            kept.push(format!("node {index} works on {} packet(s)", node.in_flight()));
        }
    }
    kept
}
