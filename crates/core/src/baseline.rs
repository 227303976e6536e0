//! Which chain is the right one.

use std::sync::{Arc, OnceLock};

/// The chain that a set of endpoints has to serve: given, or learnt from the first that answers.
/// Clones are handles on the same knowledge.
///
/// It stands here because more than one layer needs it: the guards compare with it, and whatever
/// keeps answers must know which chain they are of.
#[derive(Clone, Debug, Default)]
pub struct ChainBaseline(Arc<OnceLock<u64>>);

impl ChainBaseline {
    /// Not known yet: the first endpoint that answers decides.
    pub fn new() -> Self {
        Self::default()
    }

    /// This chain.
    pub fn expecting(chain_id: u64) -> Self {
        Self(Arc::new(OnceLock::from(chain_id)))
    }

    /// The chain, if it is known.
    pub fn chain_id(&self) -> Option<u64> {
        self.0.get().copied()
    }

    /// An endpoint serves this chain. Returns the one that it has to serve: this one, if none was
    /// known.
    pub fn learn(&self, chain_id: u64) -> u64 {
        *self.0.get_or_init(|| chain_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_answers_decides_for_all_handles() {
        let baseline = ChainBaseline::new();
        let other = baseline.clone();
        assert_eq!(other.chain_id(), None);
        assert_eq!((baseline.learn(10), other.learn(1)), (10, 10));
        assert_eq!(other.chain_id(), Some(10));
    }

    #[test]
    fn what_was_given_is_not_learnt() {
        assert_eq!(ChainBaseline::expecting(1).learn(10), 1);
    }
}
