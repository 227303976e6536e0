//! One endpoint's place.

use super::{
    Heads, SightedBlock, Sighting,
    view::{Standing, View},
};
use crate::EndpointId;
use std::{fmt, sync::Arc, time::Duration};

/// One endpoint's place in [`Heads`]: what it has shown, and how it stands to the others. Cheap to
/// clone.
#[derive(Clone)]
pub struct Lookout(Arc<Place>);

struct Place {
    endpoint: EndpointId,
    heads: Heads,
    standing: Arc<Standing>,
}

/// How an endpoint stands after it has shown something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seen {
    /// With the others, or ahead of them as a healthy endpoint may be.
    Ordinary,
    /// This many blocks behind the served head. That alone is not [lagging](Lookout::is_lagging).
    Behind(u64),
    /// So far ahead that it may be on another chain: nothing of it was taken.
    FarAhead,
}

impl Lookout {
    pub(super) fn new(endpoint: EndpointId, heads: Heads) -> Self {
        let view = View { endpoint: Some(endpoint.clone()), ..View::default() };
        let standing = Arc::clone(&view.standing);
        heads.board().views.push(view);
        Self(Arc::new(Place { endpoint, heads, standing }))
    }

    /// An answer of this endpoint told this.
    ///
    /// What it said last of its `latest` holds, also if that is lower than before; a block only
    /// says that it has at least that. If other endpoints have shown a head, and this is above the
    /// served one by more than 64 blocks, by more than a minute's blocks, and by more than twice
    /// the blocks that fit into the time since that was confirmed, then it is not taken before
    /// another endpoint claims the like, or [`confirm`](Self::confirm) is called.
    pub fn saw(&self, sighting: &Sighting) -> Seen {
        let Place { endpoint, heads, standing } = &*self.0;
        let (seen, orphaned) = heads.change(|board| board.saw(standing, sighting));
        heads.report(endpoint, orphaned);
        seen
    }

    /// It said that it does not have this block, and another endpoint has it: so its head is below.
    ///
    /// More than 128 blocks below its head this is about what it keeps, and tells nothing.
    pub fn lacks(&self, number: u64) {
        let Place { endpoint, heads, standing } = &*self.0;
        let orphaned = heads.change(|board| board.lacks(standing, number));
        heads.report(endpoint, orphaned);
    }

    /// Its chain id was checked again: what it [claims](Self::claims) is believed.
    pub fn confirm(&self) {
        self.0.heads.change(|board| board.confirm(&self.0.standing));
    }

    /// Whether another endpoint shows another block at this one's height: for a moment that is
    /// ordinary, and two chains do so all the time.
    pub fn is_contradicted(&self, block: &SightedBlock) -> bool {
        self.0.heads.board().is_contradicted(&self.0.standing, block)
    }

    /// It was found to be on another chain: what it has shown is forgotten, also where the served
    /// head, the safe or the final one stood on it, and
    /// [those that keep its answers](Heads::on_distrust) are told.
    pub fn distrust(&self) {
        let Place { endpoint, heads, standing } = &*self.0;
        heads.change(|board| board.distrust(standing));
        heads.report_distrust(endpoint);
    }

    /// The newest block that it has shown. An atomic load.
    pub fn head(&self) -> Option<u64> {
        self.0.standing.head.get()
    }

    /// Whether it has shown this block or a newer one. An atomic load.
    pub fn has(&self, number: u64) -> bool {
        self.head().is_some_and(|head| head >= number)
    }

    /// Whether it is to be asked only after others. An atomic load.
    ///
    /// With a block time of 12 seconds it is when it was more than one block behind, with 2 seconds
    /// more than 2, with 250 milliseconds more than 9: one, and what fits into two seconds. It ends
    /// when it is at most half as many behind. That the others went on since it was last seen does
    /// not count, unless they did so within one block time.
    pub fn is_lagging(&self) -> bool {
        self.0.standing.is_lagging()
    }

    /// How many blocks it was behind the served head when it last told; 0 if that is not known. An
    /// atomic load.
    pub fn lag(&self) -> u64 {
        self.0.standing.lag()
    }

    /// How long ago it last showed its head.
    pub fn age(&self) -> Option<Duration> {
        self.view(|view| view.seen.map(|at| at.elapsed()))
    }

    /// A height so far above the served head that it is not believed yet.
    pub fn claims(&self) -> Option<u64> {
        self.view(|view| view.claim.map(|(height, _)| height))
    }

    fn view<T>(&self, read: impl FnOnce(&View) -> Option<T>) -> Option<T> {
        let Place { heads, standing, .. } = &*self.0;
        let board = heads.board();
        board.find(standing).and_then(|index| read(&board.views[index]))
    }
}

impl fmt::Debug for Lookout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookout")
            .field("endpoint", &self.0.endpoint)
            .field("head", &self.head())
            .field("lag", &self.lag())
            .finish_non_exhaustive()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.heads.change(|board| board.leave(&self.standing));
    }
}
