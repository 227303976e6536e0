//! What all that share a chain's knowledge hold.

use super::{Lookout, Orphan, board::Board, view::Height};
use crate::EndpointId;
use alloy_primitives::B256;
use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
    time::Duration,
};
use tokio::time::Instant;

/// What has been seen of a chain's head, at each endpoint and in all. Clones are handles on the
/// same knowledge.
///
/// It asks nobody: it is fed with the answers that pass by ([`Lookout::saw`]), and says how old
/// its knowledge is ([`age`](Self::age)). Reading [`latest`](Self::latest) is an atomic load.
#[derive(Clone, Default)]
pub struct Heads(Arc<Shared>);

#[derive(Default)]
struct Shared {
    latest: Height,
    reorgs: AtomicU64,
    board: Mutex<Board>,
    listeners: Listeners<Reorg>,
    doubters: Listeners<EndpointId>,
}

/// Who is told of such an event.
type Listeners<E> = Mutex<Vec<Arc<dyn Fn(&E) + Send + Sync>>>;

/// Blocks that an endpoint has shown and that are no longer on its chain.
///
/// It names every block that *may* have been replaced: all that is not known to link to what the
/// endpoint shows now. An endpoint whose `latest` goes back reports the blocks above it, also if it
/// will show the same ones again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reorg {
    /// Who showed it.
    pub endpoint: EndpointId,
    /// The lowest height whose block was replaced.
    pub from: u64,
    /// Heights and hashes of the blocks that were replaced, lowest first.
    pub orphaned: Vec<(u64, B256)>,
}

impl Heads {
    /// Nothing has been seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a block takes on this chain; at least a millisecond.
    ///
    /// Not given, it is learnt: from the timestamps of the blocks that were seen, else from the
    /// served head's progress. Until then it is 12 seconds, as on Ethereum.
    #[must_use]
    pub fn with_block_time(self, block_time: Duration) -> Self {
        self.board().pace.give(block_time);
        self
    }

    /// A place for this endpoint, which it leaves when the last clone of the lookout is dropped.
    pub fn enrol(&self, endpoint: EndpointId) -> Lookout {
        Lookout::new(endpoint, self.clone())
    }

    /// The served head: the newest block that more than half of the endpoints have.
    ///
    /// Only those count that showed their head within three block times, or within ten seconds if
    /// that is longer. If there is none, the last served head stands. It goes back when they do.
    pub fn latest(&self) -> Option<u64> {
        self.0.latest.get()
    }

    /// The highest safe block that more than half of the endpoints that told one have reached. It
    /// never goes back, unless one of them is [distrusted](Lookout::distrust).
    pub fn safe(&self) -> Option<u64> {
        self.board().safe
    }

    /// The highest final block that more than half of the endpoints that told one have reached. It
    /// never goes back, unless one of them is [distrusted](Lookout::distrust).
    pub fn finalized(&self) -> Option<u64> {
        self.board().finalized
    }

    /// Whether this is so far above the served head that one endpoint alone is not believed: more
    /// than 64 blocks, than a minute of blocks, and than twice what the chain may have gained since
    /// the head was confirmed.
    pub fn is_far(&self, number: u64) -> bool {
        self.board().is_far(number)
    }

    /// The canonical hash at this height: what more than half of the fresh endpoints that know one
    /// say.
    ///
    /// An endpoint knows the hashes that it has shown among its newest 128 heights, until it shows
    /// something that does not link to them. A block that was replaced while nobody looked stands
    /// until its endpoint shows another in its place, or one whose parent it is not.
    pub fn hash_at(&self, number: u64) -> Option<B256> {
        self.board().hash_at(number)
    }

    /// Until when it is certain that this block is canonical; nothing if it is not.
    ///
    /// An endpoint that shows a block proves it for one block time, and with it all ancestors to
    /// which the parent hashes of blocks lead that were shown: within the newest 128 heights of an
    /// endpoint. Nothing is certain where another endpoint has shown something else meanwhile. A
    /// block that was asked for by its hash proves nothing.
    pub fn canonical_until(&self, number: u64, hash: B256) -> Option<Instant> {
        self.board().canonical_until(number, hash)
    }

    /// The block that this endpoint has shown at this height, if it has stood there without
    /// interruption at least since then, and if the endpoint has shown it, or a block to which
    /// parent hashes lead from it, within one block time. Where there is one endpoint only, it need
    /// not be named.
    pub fn shown_since(
        &self,
        endpoint: Option<&EndpointId>,
        number: u64,
        since: Instant,
    ) -> Option<B256> {
        self.board().shown_since(endpoint, number, since)
    }

    /// Whether this endpoint is known to have had this block by then. It is not known of one that
    /// is not enrolled, and may not be known of the newest blocks of the last half minute. Where
    /// there is one endpoint only, it need not be named.
    pub fn had(&self, endpoint: Option<&EndpointId>, number: u64, then: Instant) -> bool {
        self.board().view_of(endpoint).is_some_and(|view| view.had(number, then))
    }

    /// Whether another block than this one has been shown at this height, by as many endpoints or
    /// by more.
    pub fn is_disputed(&self, number: u64, hash: B256) -> bool {
        self.board().is_disputed(number, hash)
    }

    /// Whether as many of the other endpoints, or more, are on another branch than this one as are
    /// on its own. They are compared by the newest block that both have shown. Where there is one
    /// endpoint only, it need not be named.
    pub fn is_apart(&self, endpoint: Option<&EndpointId>) -> bool {
        self.board().is_apart(endpoint)
    }

    /// How often blocks were [orphaned](Reorg), or all was forgotten. An atomic load.
    pub fn reorgs(&self) -> u64 {
        self.0.reorgs.load(Acquire)
    }

    /// How long ago an endpoint last showed the served head or a newer block.
    pub fn age(&self) -> Option<Duration> {
        self.board().confirmed.map(|at| at.elapsed())
    }

    /// How long ago, at most, the served head was an endpoint's newest block: what it told then is
    /// not above the served head, and by now it has that. A block that was asked for by its number
    /// does not tell that there is no newer one.
    pub fn latest_age(&self) -> Option<Duration> {
        self.board().told().map(|at| at.elapsed())
    }

    /// How long a block takes: [given](Self::with_block_time), learnt, or 12 seconds.
    pub fn block_time(&self) -> Duration {
        self.board().pace.block_time()
    }

    /// Calls this at every reorg that an endpoint shows, at once, inside the call that observed it.
    ///
    /// It may call back. It lives as long as this knowledge.
    pub fn on_reorg(&self, listener: impl Fn(&Reorg) + Send + Sync + 'static) {
        lock(&self.0.listeners).push(Arc::new(listener));
    }

    /// Calls this whenever an endpoint was found to be on another chain, once all that it has shown
    /// is [forgotten](Lookout::distrust): its answers are not to be given any longer.
    ///
    /// It may call back. It lives as long as this knowledge.
    pub fn on_distrust(&self, listener: impl Fn(&EndpointId) + Send + Sync + 'static) {
        lock(&self.0.doubters).push(Arc::new(listener));
    }

    /// Forgets all that was seen, because the chain was verified anew. A given block time, the
    /// endpoints' places and the listeners stay; nobody is told of a reorg.
    pub fn forget(&self) {
        self.change(|board| board.forget());
    }

    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.0.board)
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Board) -> T) -> T {
        let mut board = self.board();
        let changed = change(&mut board);
        self.0.latest.set(board.served);
        self.0.reorgs.store(board.reorgs, Release);
        changed
    }

    pub(super) fn report(&self, endpoint: &EndpointId, orphaned: Vec<Orphan>) {
        let Some(&(from, _)) = orphaned.first() else { return };
        tell(&self.0.listeners, &Reorg { endpoint: endpoint.clone(), from, orphaned });
    }

    pub(super) fn report_distrust(&self, endpoint: &EndpointId) {
        tell(&self.0.doubters, endpoint);
    }
}

fn tell<E>(listeners: &Listeners<E>, event: &E) {
    // No lock is held while a listener runs.
    let listeners = lock(listeners).clone();
    listeners.iter().for_each(|listener| listener(event));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Heads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heads").field("latest", &self.latest()).finish_non_exhaustive()
    }
}
