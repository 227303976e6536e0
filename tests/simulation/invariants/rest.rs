//! I7: when all calls are done, nothing is held.

use super::Invariant;
use crate::{
    plan::StackPlan,
    record::{Place, Recorder},
    stack::name,
};
use alclad::{RateLimiter, Report, Rotation, block_cache::BlockCache, metrics::report::Line};
use alclad_testkit::SimNode;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::sleep};

/// What a stack holds while calls are under way.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) rotation: Option<Rotation>,
    /// Each endpoint's limiter, if it has one.
    pub(crate) limiters: Vec<(usize, RateLimiter)>,
    pub(crate) store: Option<BlockCache>,
    pub(crate) report: Option<Report>,
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

/// Every call and every request to an endpoint was counted once.
pub(crate) fn counted(recorder: &Recorder, plan: &StackPlan, held: &Held) {
    let Some(report) = held.report.as_ref().map(Report::snapshot) else { return };
    let sum = |lines: &[Line]| lines.iter().map(|line| line.count).sum::<u64>();
    let record = recorder.record();
    // One more asked for the chain.
    let made = record.members + u64::from(plan.learns);
    let sent = |endpoint| {
        let flights = record.flights.iter().filter(|one| one.place == Place::Wire(endpoint));
        flights.map(|flight| flight.members.len() as u64).sum::<u64>()
    };
    // Who waits for a permit in vain is counted, and never sent.
    let rings = plan.rings.iter().enumerate().filter(|(_, ring)| ring.permits.is_none());
    let wrong = rings.filter_map(|(endpoint, _)| {
        let lines = report.endpoints.iter().filter(|line| line.name == name(endpoint));
        let (told, sent) = (lines.map(|line| line.count).sum::<u64>(), sent(endpoint));
        (told != sent).then(|| format!("{told} of {sent} requests to endpoint {endpoint} counted"))
    });
    let mut wrong: Vec<_> = wrong.collect();
    if sum(&report.methods) != made {
        wrong.push(format!("{} of {made} calls are counted", sum(&report.methods)));
    }
    drop(record);
    if !wrong.is_empty() {
        recorder.violate(Invariant::I1Ends, wrong.join(", "));
    }
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
    let waiters: usize = held.limiters.iter().map(|(_, limiter)| limiter.waiters()).sum();
    if waiters > 0 {
        kept.push(format!("{waiters} packet(s) wait at a limiter"));
    }
    for cache in held.store.iter().map(BlockCache::statistics) {
        if cache.bytes > cache.max_bytes {
            kept.push(format!("{} bytes in a store of {}", cache.bytes, cache.max_bytes));
        }
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
