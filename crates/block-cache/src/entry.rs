//! An answer that was kept.

use crate::{
    Age, Keep,
    chain::Chain,
    question::{Key, chain_of},
    statistics::Counters,
    verdict::Verdict,
};
use alclad_core::{EndpointId, Method};
use alloy_primitives::B256;
use serde_json::value::RawValue;
use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use tokio::time::Instant;

/// What an entry costs beside the bytes of its key and of its answer: moka's node, its place in
/// the map and in the queue, this struct and the heads of three allocations. Measured with a
/// million entries; see the `memory` benchmark.
const OVERHEAD: usize = 512;

#[cfg(test)]
thread_local! {
    /// The chain is not looked at, so that the model has something to find.
    pub(crate) static BLIND: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// An answer, and what it belongs to.
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) answer: Box<RawValue>,
    pub(crate) method: &'static Method,
    pub(crate) bond: Bond,
    /// The lowest block that it speaks of; the highest is that of the bond.
    pub(crate) from: Option<u64>,
    age: Age,
    /// Whether its block has become final meanwhile.
    settled: AtomicBool,
    /// As it is, and when its block has become final.
    expires: [Option<Instant>; 2],
    /// Who gave it.
    pub(crate) endpoint: Option<EndpointId>,
    /// Who is told when it had to go.
    counters: Weak<Counters>,
    /// It was taken out, and did not have to go for want of room.
    removed: AtomicBool,
}

/// What an answer belongs to, and holds by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bond {
    /// Nothing that could change.
    Constant,
    /// The block of this height, which is final.
    Final(u64),
    /// A block that may be replaced. Only if the answer says so itself (`told`) it is certain that
    /// this is its block.
    Block { number: u64, hash: B256, told: bool },
    /// The newest block, which was at this height.
    /// It was learnt by this pipeline, when there had been so many reorgs.
    Latest { number: u64, reorgs: u64, until: Instant, pipeline: u64 },
}

impl Bond {
    /// The height that it belongs to.
    pub(crate) const fn number(self) -> Option<u64> {
        match self {
            Self::Constant => None,
            Self::Final(number) | Self::Block { number, .. } | Self::Latest { number, .. } => {
                Some(number)
            }
        }
    }
}

impl Bond {
    /// The hash of its block, if that is not final.
    pub(crate) const fn hash(self) -> Option<B256> {
        match self {
            Self::Block { hash, .. } => Some(hash),
            _ => None,
        }
    }
}

impl Entry {
    /// An answer, and how long it is kept: as it is, and when its block has become final.
    pub(crate) fn new(
        key: Key,
        answer: Box<RawValue>,
        method: &'static Method,
        Verdict { bond, age, from }: Verdict,
        lifetimes: [Keep; 2],
        endpoint: Option<EndpointId>,
    ) -> Self {
        let expires = lifetimes.map(|lifetime| match lifetime {
            Keep::UntilEvicted => None,
            Keep::For(lifetime) => Instant::now().checked_add(lifetime),
            Keep::Never => Some(Instant::now()),
        });
        let settled = AtomicBool::new(false);
        let (counters, removed) = (Weak::new(), AtomicBool::new(false));
        Self { key, answer, method, bond, from, age, settled, expires, endpoint, counters, removed }
    }

    #[cfg(test)]
    pub(crate) fn of_final_block(chain_id: u64, number: u64) -> Self {
        let key = Key::from(chain_id.to_be_bytes());
        let verdict = Verdict { bond: Bond::Final(number), age: Age::Final, from: Some(number) };
        let (answer, method) = (RawValue::NULL.to_owned(), Method::of("eth_getBalance"));
        Self::new(key, answer, method, verdict, [Keep::UntilEvicted; 2], None)
    }

    /// It is kept in the store of these counters.
    pub(crate) fn kept_by(mut self, counters: &Arc<Counters>) -> Self {
        self.counters = Arc::downgrade(counters);
        self
    }

    pub(crate) fn is_of_chain(&self, chain_id: u64) -> bool {
        chain_of(&self.key) == Some(chain_id)
    }

    pub(crate) fn is_removed(&self) {
        self.removed.store(true, Relaxed);
    }

    /// What it weighs with its key, in bytes.
    pub(crate) fn weight(&self) -> u32 {
        u32::try_from(self.key.len() + self.answer.get().len() + OVERHEAD).unwrap_or(u32::MAX)
    }

    /// How old its block is, as far as that was noticed.
    pub(crate) fn age(&self) -> Age {
        if self.is_settled() { Age::Final } else { self.age }
    }

    /// Whether nothing but a reorg of final blocks can make it untrue.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.bond, Bond::Constant | Bond::Final(_)) || self.settled.load(Relaxed)
    }

    /// Whether it may be given as an answer now.
    pub(crate) fn is_good(&self, chain: &Chain) -> bool {
        (self.is_settled() || self.is_true(chain)) && !self.has_expired()
    }

    pub(crate) fn has_expired(&self) -> bool {
        self.expires().is_some_and(|expires| expires <= Instant::now())
    }

    /// Whether it is kept until there is no room for it.
    pub(crate) fn is_kept_for_ever(&self) -> bool {
        self.is_settled() && self.expires().is_none()
    }

    pub(crate) fn expires(&self) -> Option<Instant> {
        self.expires[usize::from(self.is_settled())]
    }

    fn is_true(&self, chain: &Chain) -> bool {
        let heads = &chain.heads;
        #[cfg(test)]
        if BLIND.get() {
            return true;
        }
        match self.bond {
            Bond::Constant | Bond::Final(_) => true,
            Bond::Block { number, hash, told } => {
                let holds = heads.canonical_until(number, hash).is_some();
                if holds && told && heads.finalized() >= Some(number) {
                    self.settled.store(true, Relaxed);
                }
                holds
            }
            Bond::Latest { number, reorgs, until, pipeline } => {
                pipeline == chain.pipeline
                    && heads.latest() == Some(number)
                    && heads.reorgs() == reorgs
                    && Instant::now() < until
            }
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !*self.removed.get_mut()
            && let Some(counters) = self.counters.upgrade()
        {
            counters.evicted();
        }
    }
}
