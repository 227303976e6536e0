//! What the tests of whole stacks share: real nodes, and what goes wrong on the way to them.

mod lossy_relay;
mod node;
mod scenario;

pub use lossy_relay::LossyRelay;
pub use node::Node;
pub use scenario::{SCENARIOS, Scenario};
use std::{future::IntoFuture, time::Duration};

/// Fails a test that hangs.
///
/// # Panics
///
/// If the future takes longer.
pub async fn within<F: IntoFuture>(limit: Duration, future: F) -> F::Output {
    let finished = tokio::time::timeout(limit, future).await;
    finished.unwrap_or_else(|_| panic!("not finished after {limit:?}"))
}
