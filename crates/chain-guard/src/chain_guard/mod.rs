//! Is this endpoint on the chain that we asked for?

mod gate;

mod heights;

mod layer;
pub use layer::ChainGuardLayer;

mod local;

mod passing;

mod record;

mod service;
pub use service::ChainGuard;

mod verification;

mod watch;
