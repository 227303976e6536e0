#![doc = include_str!("../README.md")]

mod chain_guard;
pub use chain_guard::{ChainGuard, ChainGuardLayer};

mod question;

mod tx_guard;
pub use tx_guard::{TxGuard, TxGuardLayer};
