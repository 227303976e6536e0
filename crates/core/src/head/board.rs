//! What all endpoints have shown, and what follows from it.

use super::{
    Orphan, Seen, SightedBlock, Sighting, WINDOW,
    pace::Pace,
    trail::Link,
    view::{Standing, View},
};
use crate::EndpointId;
use alloy_primitives::B256;
use smallvec::SmallVec;
use std::{slice, sync::Arc, time::Duration};
use tokio::time::Instant;

/// A head that was seen within this time counts, also where three blocks take less.
const FRESH: Duration = Duration::from_secs(10);
/// A claim this many blocks above the served head is never far.
const LEAP: u64 = 64;
/// Nor is one as far as the blocks of this time.
const LEAP_TIME: Duration = Duration::from_secs(60);
/// An endpoint may be one block behind, and as many as fit into this time.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Board {
    pub(super) views: Vec<View>,
    pub(super) served: Option<u64>,
    /// When an endpoint last showed the served head or a newer block.
    pub(super) confirmed: Option<Instant>,
    pub(super) safe: Option<u64>,
    pub(super) finalized: Option<u64>,
    pub(super) pace: Pace,
    /// How often something was orphaned.
    pub(super) reorgs: u64,
}

impl Board {
    pub(super) fn find(&self, standing: &Arc<Standing>) -> Option<usize> {
        self.views.iter().position(|view| Arc::ptr_eq(&view.standing, standing))
    }

    pub(super) fn saw(
        &mut self,
        standing: &Arc<Standing>,
        sighting: &Sighting,
    ) -> (Seen, Vec<Orphan>) {
        let nothing = (Seen::Ordinary, Vec::new());
        let Some(index) = self.find(standing) else { return nothing };
        let Some(top) = sighting.top() else { return nothing };
        if top == u64::MAX {
            return (Seen::FarAhead, Vec::new());
        }
        let now = Instant::now();
        let (reach, leap) = (self.reach(index), self.leap(now));
        let far = top > reach.saturating_add(leap);
        if far && !self.is_believed(index, top, leap) && !self.is_followed(index, top, leap) {
            self.views[index].claim = Some((top, now));
            return (Seen::FarAhead, Vec::new());
        }
        self.views[index].believed |= far;
        let orphaned = self.views[index].take(sighting, now);
        self.reorgs += u64::from(!orphaned.is_empty());
        self.settle(now);
        if let Some((block, served)) = sighting.block.zip(self.served) {
            self.pace.stamp(&block, served);
        }
        self.catch_up(index, now);
        let seen = match standing.lag() {
            0 => Seen::Ordinary,
            lag => Seen::Behind(lag),
        };
        (seen, orphaned)
    }

    pub(super) fn lacks(&mut self, standing: &Arc<Standing>, number: u64) -> Vec<Orphan> {
        let Some(index) = self.find(standing) else { return Vec::new() };
        let Some(highest) = number.checked_sub(1) else { return Vec::new() };
        let view = &mut self.views[index];
        if view.head().is_some_and(|head| number <= head.saturating_sub(WINDOW)) {
            return Vec::new();
        }
        let orphaned = view.lower_to(highest);
        self.reorgs += u64::from(!orphaned.is_empty());
        self.settle(Instant::now());
        let others = self.head_of_others(index, Instant::now());
        let proven = others.map_or(0, |others| others.saturating_sub(highest));
        standing.set_lag(proven.max(standing.lag()), self.patience());
        orphaned
    }

    pub(super) fn confirm(&mut self, standing: &Arc<Standing>) {
        if let Some(index) = self.find(standing) {
            self.views[index].believe();
            self.settle(Instant::now());
        }
    }

    pub(super) fn is_contradicted(&self, standing: &Arc<Standing>, block: &SightedBlock) -> bool {
        let others = self.views.iter().filter(|view| !Arc::ptr_eq(&view.standing, standing));
        let mut hashes = others.filter_map(|view| view.trail.hash_at(block.number));
        hashes.any(|hash| hash != block.hash)
    }

    pub(super) fn distrust(&mut self, standing: &Arc<Standing>) {
        let Some(index) = self.find(standing) else { return };
        self.views[index].forget();
        // What is left says what holds.
        (self.served, self.confirmed, self.safe, self.finalized) = (None, None, None, None);
        self.reorgs += 1;
        self.settle(Instant::now());
    }

    pub(super) fn leave(&mut self, standing: &Arc<Standing>) {
        self.views.retain(|view| !Arc::ptr_eq(&view.standing, standing));
        self.settle(Instant::now());
    }

    pub(super) fn forget(&mut self) {
        self.views.iter_mut().for_each(View::forget);
        let (views, pace) = (std::mem::take(&mut self.views), self.pace.forgotten());
        // Nothing that was seen before holds.
        *self = Self { views, pace, reorgs: self.reorgs + 1, ..Self::default() };
    }

    pub(super) fn hash_at(&self, number: u64) -> Option<B256> {
        let now = Instant::now();
        let fresh = || self.views.iter().filter(|view| self.is_fresh(view, now));
        let hashes = || fresh().filter_map(|view| view.trail.hash_at(number));
        let votes = |hash: &B256| hashes().filter(|other| other == hash).count();
        hashes().find(|hash| votes(hash) * 2 > hashes().count())
    }

    /// Until when it is certain that this block is canonical.
    ///
    /// What was shown at a height is certain for one block time, and so are the ancestors of it to
    /// which parent hashes lead: it is followed up from the block that is asked about.
    pub(super) fn canonical_until(&self, number: u64, hash: B256) -> Option<Instant> {
        let (now, block_time) = (Instant::now(), self.pace.block_time());
        let links = |number| self.views.iter().filter_map(move |view| view.trail.at(number));
        // Another block denies it as long as that is proven itself.
        let is_proven = |number, link: &Link| {
            proof(&self.views, number, link.hash)
                .is_some_and(|seen| now.duration_since(seen) < block_time)
        };
        if links(number).any(|link| link.hash != hash && is_proven(number, link)) {
            return None;
        }
        let own = links(number).filter(|link| link.hash == hash);
        let (mut number, mut hash, mut seen) = (number, hash, own.map(|link| link.seen).max());
        loop {
            number += 1;
            let denies = |link: &Link| link.parent.is_some_and(|parent| parent != hash);
            if links(number).any(|link| denies(link) && is_proven(number, link)) {
                return None;
            }
            let mut children = links(number).filter(|link| link.parent == Some(hash));
            let Some(child) = children.next() else { break };
            seen = seen.max(Some(child.seen));
            let mut others = links(number).filter(|link| link.hash != child.hash);
            // Both sides of a fork have it below them, and what lies above is disputed.
            if let Some(other) = others.find(|other| other.parent == Some(hash)) {
                seen = seen.max(Some(other.seen));
                break;
            }
            hash = child.hash;
        }
        seen.map(|seen| seen + block_time).filter(|until| *until > now)
    }

    /// The view of this endpoint; where there is one only, it need not be named.
    pub(super) fn view_of(&self, endpoint: Option<&EndpointId>) -> Option<&View> {
        let mut views = self.views.iter();
        match endpoint {
            Some(endpoint) => views.find(|view| view.endpoint.as_ref() == Some(endpoint)),
            None => views.next().filter(|_| self.views.len() == 1),
        }
    }

    /// What this endpoint has shown here last, if that was not after this, and if it has shown
    /// within one block time that it still stands there.
    pub(super) fn shown_since(
        &self,
        endpoint: Option<&EndpointId>,
        number: u64,
        since: Instant,
    ) -> Option<B256> {
        let view = self.view_of(endpoint)?;
        let link = view.trail.at(number).filter(|link| link.since <= since)?;
        let seen = proof(slice::from_ref(view), number, link.hash)?;
        (Instant::now() - seen < self.pace.block_time()).then_some(link.hash)
    }

    /// Whether as many others, or more, have shown another block here as have shown this one.
    pub(super) fn is_disputed(&self, number: u64, hash: B256) -> bool {
        let shown = self.views.iter().filter_map(|view| view.trail.hash_at(number));
        let (same, other): (Vec<_>, Vec<_>) = shown.partition(|shown| *shown == hash);
        !other.is_empty() && same.len() <= other.len()
    }

    /// Whether as many others, or more, are on another branch than this endpoint as are on its own,
    /// as far as is known: by the newest block that both have shown.
    pub(super) fn is_apart(&self, endpoint: Option<&EndpointId>) -> bool {
        let Some(own) = self.view_of(endpoint) else { return true };
        let others = self.views.iter().filter(|view| !Arc::ptr_eq(&view.standing, &own.standing));
        let agrees = others.filter_map(|other| own.trail.agrees(&other.trail));
        let (same, apart): (Vec<_>, Vec<_>) = agrees.partition(|agrees| *agrees);
        !apart.is_empty() && same.len() < apart.len()
    }

    /// When an endpoint that has the served head last told its `latest`, if that was not above.
    pub(super) fn told(&self) -> Option<Instant> {
        let served = self.served?;
        let views = self.views.iter().filter(|view| view.head() >= Some(served));
        let told = views.filter_map(|view| view.told).filter(|(latest, _)| *latest <= served);
        told.map(|(_, at)| at).max()
    }

    /// The height from which a claim may be far: its own, or that of the others if that is higher.
    /// Where nobody else has shown any, none is.
    fn reach(&self, index: usize) -> u64 {
        let mut views = self.views.iter().enumerate();
        let compared = views.any(|(other, view)| other != index && view.head().is_some());
        let reach = self.served.filter(|_| compared).unwrap_or(u64::MAX);
        reach.max(self.views[index].head().unwrap_or_default())
    }

    /// Whether it goes on from a head that was believed.
    fn is_believed(&self, index: usize, top: u64, leap: u64) -> bool {
        let view = &self.views[index];
        view.believed && view.head().is_some_and(|head| top <= head.saturating_add(leap))
    }

    /// Whether others are about there too, or claim it: then they are believed as well.
    fn is_followed(&mut self, index: usize, top: u64, leap: u64) -> bool {
        let is_near = |view: &View| {
            let claim = view.claim.map(|(claim, _)| claim);
            claim.or(view.head()).is_some_and(|height| height.abs_diff(top) <= leap)
        };
        let others = self.views.iter_mut().enumerate();
        let followers = others.filter(|(other, view)| *other != index && is_near(view));
        followers.map(|(_, view)| view.believe()).count() > 0
    }

    /// How far above the served head an endpoint may be.
    fn leap(&self, now: Instant) -> u64 {
        let silence = self.confirmed.map_or(Duration::ZERO, |at| now.duration_since(at));
        LEAP.max(self.pace.blocks_in(silence.saturating_mul(2))).max(self.pace.blocks_in(LEAP_TIME))
    }

    /// Whether this is so far above the served head that one endpoint alone is not believed.
    pub(super) fn is_far(&self, number: u64) -> bool {
        let leap = self.leap(Instant::now());
        self.served.is_some_and(|served| number > served.saturating_add(leap))
    }

    fn patience(&self) -> u64 {
        1 + self.pace.blocks_in(PATIENCE)
    }

    /// Draws the conclusions after something has changed, or was confirmed.
    fn settle(&mut self, now: Instant) {
        let fresh = self.views.iter().filter(|view| self.is_fresh(view, now));
        let mut heads: SmallVec<[u64; 8]> = fresh.filter_map(View::head).collect();
        if let Some(served) = majority(&mut heads) {
            let shown = self.views.iter().filter(|view| view.head() >= Some(served));
            let shown = shown.filter_map(|view| view.seen).max();
            let before = self.confirmed.filter(|_| self.served == Some(served));
            self.confirmed = shown.max(before);
            self.served = Some(served);
            self.pace.progress(served, heads.len(), now);
        }
        self.safe = self.safe.max(self.majority_of(|view| view.safe));
        self.finalized = self.finalized.max(self.majority_of(|view| view.finalized));
        self.measure(now);
    }

    fn majority_of(&self, told: impl Fn(&View) -> Option<u64>) -> Option<u64> {
        majority(&mut self.views.iter().filter_map(told).collect::<SmallVec<[u64; 8]>>())
    }

    fn is_fresh(&self, view: &View, now: Instant) -> bool {
        let fresh = FRESH.max(self.pace.block_time().saturating_mul(3));
        view.seen.is_some_and(|at| now.duration_since(at) <= fresh)
    }

    /// What an endpoint is measured against: the newest block that more than half of the others
    /// have. So one of two that lags is found, and does not hold the other one back.
    fn head_of_others(&self, index: usize, now: Instant) -> Option<u64> {
        let others = self.views.iter().enumerate().filter(|(other, _)| *other != index);
        let fresh = others.map(|(_, view)| view).filter(|view| self.is_fresh(view, now));
        majority(&mut fresh.filter_map(View::head).collect::<SmallVec<[u64; 8]>>())
    }

    /// Compares those that told their `latest` within one block time.
    fn measure(&self, now: Instant) {
        let moment = self.pace.block_time();
        for (index, view) in self.views.iter().enumerate() {
            let told = view.told.map(|(_, at)| now.duration_since(at)).filter(|age| *age < moment);
            let compared = view.head().zip(self.head_of_others(index, now));
            if let (Some(age), Some((head, others))) = (told, compared) {
                // What it has not shown since may excuse it, and does not clear it.
                let excused = u64::from(!view.standing.is_lagging()) * self.pace.blocks_since(age);
                let patience = self.patience() + excused;
                view.standing.set_lag(others.saturating_sub(head), patience);
            }
        }
    }

    /// What it has shown proves that it is at most so far behind, be its `latest` old.
    fn catch_up(&self, index: usize, now: Instant) {
        let View { standing, .. } = &self.views[index];
        let others = self.head_of_others(index, now);
        let Some((others, head)) = others.zip(standing.head.get()) else { return };
        let lag = standing.lag().min(others.saturating_sub(head));
        // Nobody lags by what he shows to have.
        let patience = if standing.is_lagging() { self.patience() } else { u64::MAX };
        standing.set_lag(lag, patience);
    }
}

/// When this block, or one that is known to stand on it, was last shown in these views.
fn proof(views: &[View], number: u64, hash: B256) -> Option<Instant> {
    let links = |number| views.iter().filter_map(move |view| view.trail.at(number));
    let mut seen = links(number).filter(|link| link.hash == hash).map(|link| link.seen).max();
    let (mut number, mut hashes) = (number, SmallVec::<[B256; 4]>::from_slice(&[hash]));
    while !hashes.is_empty() {
        number += 1;
        let stands_on = |link: &&Link| link.parent.is_some_and(|it| hashes.contains(&it));
        let above: SmallVec<[&Link; 4]> = links(number).filter(stands_on).collect();
        seen = above.iter().map(|link| link.seen).max().max(seen);
        hashes = above.iter().map(|link| link.hash).collect();
    }
    seen
}

/// The highest that more than half of them have reached.
fn majority(heights: &mut [u64]) -> Option<u64> {
    heights.sort_unstable_by(|one, other| other.cmp(one));
    heights.get(heights.len() / 2).copied()
}
