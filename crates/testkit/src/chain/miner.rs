//! A chain that grows by itself.

use super::SimChain;
use std::time::Duration;
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval_at},
};

/// Keeps a chain growing, one block per block time; dropping it stops that.
#[derive(Debug)]
pub struct Miner {
    task: JoinHandle<()>,
}

impl Miner {
    pub(super) fn start(chain: SimChain, block_time: Duration) -> Self {
        let period = block_time.max(Duration::from_millis(1));
        let task = tokio::spawn(async move {
            let mut slots = interval_at(Instant::now() + period, period);
            slots.set_missed_tick_behavior(MissedTickBehavior::Burst);
            loop {
                slots.tick().await;
                chain.mine(1);
            }
        });
        Self { task }
    }
}

impl Drop for Miner {
    fn drop(&mut self) {
        self.task.abort();
    }
}
