use crate::{
    BlockCache, BlockCacheService, ByDepth, Lifetime,
    chain::{Chain, FINAL_DEPTH},
    state::State,
};
use alclad_core::{ChainBaseline, Heads};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tower::Layer;

/// Room for 64 MiB of answers: about 100,000 receipts or 300 full blocks.
const MAX_BYTES: u64 = 64 << 20;

/// Keeps answers that cannot change, and answers that have not changed.
///
/// See the [crate's documentation](crate) for what it keeps and where it stands.
#[derive(Clone)]
pub struct BlockCacheLayer {
    store: BlockCache,
    baseline: ChainBaseline,
    heads: Option<Heads>,
    lifetime: Arc<dyn Lifetime>,
    final_depth: u64,
    max_age: Option<Duration>,
    /// Its clones' services share what the heads tell: they are listened to once.
    listens: Arc<AtomicBool>,
}

impl BlockCacheLayer {
    /// A cache with room for 64 MiB, which finds out its chain by itself.
    pub fn new() -> Self {
        Self {
            store: BlockCache::new(MAX_BYTES),
            baseline: ChainBaseline::new(),
            heads: None,
            lifetime: Arc::new(ByDepth::default()),
            final_depth: FINAL_DEPTH,
            max_age: None,
            listens: Arc::default(),
        }
    }

    /// Room for so many bytes, in a store of its own.
    #[must_use]
    pub fn with_max_bytes(self, max_bytes: u64) -> Self {
        self.with_store(BlockCache::new(max_bytes))
    }

    /// Keeps its answers in this store, which other pipelines may share.
    #[must_use]
    pub fn with_store(mut self, store: BlockCache) -> Self {
        (self.store, self.listens) = (store, Arc::default());
        self
    }

    /// What the rotation below has seen of the chain, as `rotation.heads()` gives it. Only with it
    /// are answers about blocks kept that may still be replaced and that do not tell their hash.
    #[must_use]
    pub fn with_heads(mut self, heads: Heads) -> Self {
        (self.heads, self.listens) = (Some(heads), Arc::default());
        self
    }

    /// The chain, which then need not be asked for.
    #[must_use]
    pub fn with_chain_id(self, chain_id: u64) -> Self {
        self.with_baseline(ChainBaseline::expecting(chain_id))
    }

    /// The chain, as the chain guards below learn it.
    #[must_use]
    pub fn with_baseline(mut self, baseline: ChainBaseline) -> Self {
        (self.baseline, self.listens) = (baseline, Arc::default());
        self
    }

    /// How long answers are kept, instead of [`ByDepth`].
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: impl Lifetime) -> Self {
        self.lifetime = Arc::new(lifetime);
        self
    }

    /// Where no endpoint tells which block is final, a block with so many above it is taken for
    /// it, instead of 128.
    #[must_use]
    pub const fn with_final_depth(mut self, blocks: u64) -> Self {
        self.final_depth = blocks;
        self
    }

    /// Reads `latest` as the newest block that was seen at most this long ago, so that equal calls
    /// in one block cost one call. Off by default.
    ///
    /// It needs [heads](Self::with_heads) that are fed, by head polling or a subscription. Calls
    /// that ask for the newest block itself are never answered so.
    #[must_use]
    pub const fn with_pinned_latest(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// The handle on its store: statistics, clear, save and load.
    pub fn store(&self) -> BlockCache {
        self.store.clone()
    }
}

impl Default for BlockCacheLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for BlockCacheLayer {
    type Service = BlockCacheService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let chain = Chain::new(self.baseline.clone(), self.heads.clone(), self.final_depth);
        if self.heads.is_none() || !self.listens.swap(true, Relaxed) {
            self.listen(&chain.heads);
        }
        let (store, lifetime) = (self.store.clone(), Arc::clone(&self.lifetime));
        BlockCacheService::new(inner, State::new(store, chain, lifetime, self.max_age))
    }
}

impl BlockCacheLayer {
    /// What these heads find out concerns the store.
    fn listen(&self, heads: &Heads) {
        let (store, baseline) = (self.store.downgrade(), self.baseline.clone());
        heads.on_reorg(move |reorg| {
            if let (Some(store), Some(chain_id)) = (store.upgrade(), baseline.chain_id()) {
                store.orphan(chain_id, reorg.from);
            }
        });
        let store = self.store.downgrade();
        heads.on_distrust(move |endpoint| {
            if let Some(store) = store.upgrade() {
                store.clear_endpoint(endpoint);
            }
        });
    }
}

impl fmt::Debug for BlockCacheLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockCacheLayer")
            .field("store", &self.store)
            .field("final_depth", &self.final_depth)
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "provider")]
impl<N> alloy_provider::ProviderLayer<alloy_provider::RootProvider<N>, N> for BlockCacheLayer
where
    N: alloy_network::Network,
{
    type Provider = alloy_provider::RootProvider<N>;

    fn layer(&self, root: alloy_provider::RootProvider<N>) -> Self::Provider {
        alclad_core::wrap_root(root, self)
    }
}
