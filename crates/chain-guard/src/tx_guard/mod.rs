//! Is this transaction for the chain that it is sent to?

mod caps;

mod decoding;

mod layer;
pub use layer::TxGuardLayer;

mod object;

mod send;

mod service;
pub use service::TxGuard;
