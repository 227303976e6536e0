//! What the status page shows: a sample every second, and those of the last minutes.

use crate::Gateway;
use alclad::{
    block_cache::Statistics,
    metrics::report::Totals,
    rotation::{Change, EndpointSnapshot},
};
use futures::{Stream, StreamExt, stream};
use serde::Serialize;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::broadcast,
    time::{MissedTickBehavior, interval},
};

/// So many samples are remembered.
const REMEMBERED: usize = 300;

/// What `GET /events` tells every second. Times are milliseconds, and counts are since the start or
/// the last reload: rates are the difference of two samples.
#[derive(Debug, Serialize)]
struct Sample<'a> {
    /// When, since 1970.
    time: u128,
    /// Calls of clients: how many `calls` ended, and `faults` by their names.
    requests: Totals,
    /// What the cache did: `entries`, `bytes`, `max_bytes`, `total` with `hits`, `misses`, `joined`.
    cache: Statistics,
    /// The newest block that is served.
    head: Option<u64>,
    /// Each endpoint's snapshot, the best tier first.
    endpoints: Vec<EndpointSnapshot>,
    /// The latest changes at the endpoints, the newest first: `age_ms`, `endpoint`, `event`, `text`.
    changes: &'a [Change],
}

/// The last minutes, and who follows them.
#[derive(Debug)]
pub struct Status {
    history: Mutex<VecDeque<Arc<str>>>,
    followers: broadcast::Sender<Arc<str>>,
}

impl Default for Status {
    fn default() -> Self {
        Self { history: Mutex::default(), followers: broadcast::Sender::new(4) }
    }
}

impl Status {
    /// The last minutes as an array, the oldest first, and the samples from now on.
    pub fn follow(&self) -> (String, impl Stream<Item = Arc<str>> + use<>) {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let samples: Vec<&str> = history.iter().map(|sample| &**sample).collect();
        let follower = self.followers.subscribe();
        // Who is too slow misses some.
        let stream = stream::unfold(follower, async |mut follower| {
            loop {
                match follower.recv().await {
                    Ok(sample) => return Some((sample, follower)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        (format!("[{}]", samples.join(",")), stream.boxed())
    }

    fn add(&self, sample: Arc<str>) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if history.len() == REMEMBERED {
            history.pop_front();
        }
        history.push_back(Arc::clone(&sample));
        let _ = self.followers.send(sample);
    }
}

/// Takes samples until the gateway stops.
pub async fn watch(gateway: Arc<Gateway>) {
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !gateway.is_stopping() {
        seconds.tick().await;
        gateway.metrics.run_upkeep();
        gateway.status.add(sample(&gateway));
    }
}

fn sample(gateway: &Gateway) -> Arc<str> {
    let stack = gateway.stack.load();
    let changes = stack.rotation.changes();
    let sample = Sample {
        time: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis()),
        requests: stack.report.totals(),
        cache: gateway.store.statistics(),
        head: stack.rotation.heads().latest(),
        endpoints: stack.rotation.snapshot(),
        changes: &changes[..changes.len().min(10)],
    };
    serde_json::to_string(&sample).expect("its keys are texts").into()
}
