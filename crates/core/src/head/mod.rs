//! Who is how far: what the answers that pass by tell of the chain's head.

mod board;
mod fields;
mod heads;
mod lookout;
mod pace;
mod sighting;
mod trail;
mod view;

pub use heads::{Heads, Reorg};
pub use lookout::{Lookout, Seen};
pub use sighting::{SightedBlock, Sighting};

#[cfg(test)]
mod tests;

use alloy_primitives::B256;

/// A height and the hash that is no longer believed there.
type Orphan = (u64, B256);

/// How many heights below its head an endpoint's hashes are kept; also how many the block time is
/// averaged over. It is the number of states that a full node keeps.
const WINDOW: u64 = 128;
