//! The status page, and what it shows: a sample every second, and those of the last minutes.

use crate::Gateway;
use alclad::block_cache::Statistics;
use alclad::metrics::report::Totals;
use alclad::rotation::{Change, EndpointSnapshot};
use axum::response::{Html, Sse, sse::Event};
use axum::{extract::State, http::StatusCode};
use futures::{Stream, StreamExt, stream};
use serde::Serialize;
use std::time::{Duration, UNIX_EPOCH};
use std::{collections::VecDeque, convert::Infallible, future::ready, sync::Arc};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// So many samples are remembered.
const REMEMBERED: usize = 300;

/// So many pages are served at once.
const STREAMS: usize = 64;

/// One sample of `GET /events`. The cache's counts are since the start, the others since the last
/// reload: rates are the difference of two samples.
#[derive(Serialize)]
struct Sample<'a> {
    /// In milliseconds since 1970.
    time: u128,
    /// What became of the clients' calls.
    requests: Totals,
    /// What the cache did.
    cache: Statistics,
    /// The newest block that is served.
    head: Option<u64>,
    /// The best tier first.
    endpoints: Vec<EndpointSnapshot>,
    /// The latest at the endpoints, the newest first.
    changes: &'a [Change],
}

/// The samples of the last minutes as JSON, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Status(watch::Sender<VecDeque<Arc<str>>>);

pub(crate) async fn page() -> Html<&'static str> {
    Html(include_str!("page.html"))
}

/// The last minutes at once, then a sample every second.
pub(crate) async fn events(
    State(gateway): State<Arc<Gateway>>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, StatusCode> {
    if gateway.status.0.receiver_count() >= STREAMS {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let samples = gateway.status.follow();
    let samples = samples.map(|sample| Event::default().event("sample").data(&*sample));
    let history = Event::default().event("history").data(gateway.status.history());
    let all = stream::once(ready(history)).chain(samples).map(Ok);
    Ok(Sse::new(all.take_until(gateway.stopped())))
}

impl Status {
    /// All so far, as an array.
    fn history(&self) -> String {
        let history = self.0.borrow();
        format!("[{}]", Vec::from_iter(history.iter().map(|sample| &**sample)).join(","))
    }

    /// Those that follow. Who is too slow misses some.
    fn follow(&self) -> impl Stream<Item = Arc<str>> + use<> {
        stream::unfold(self.0.subscribe(), async |mut history| {
            history.changed().await.ok()?;
            let sample = history.borrow_and_update().back().cloned()?;
            Some((sample, history))
        })
    }
}

/// Takes samples until the gateway stops.
pub(crate) async fn watch(gateway: Arc<Gateway>) {
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !gateway.is_stopping() {
        seconds.tick().await;
        gateway.metrics.run_upkeep();
        let sample = sample(&gateway);
        gateway.status.0.send_modify(|history| {
            history.push_back(sample);
            let surplus = history.len().saturating_sub(REMEMBERED);
            history.drain(..surplus);
        });
    }
}

fn sample(gateway: &Gateway) -> Arc<str> {
    let stack = gateway.stack.load();
    let changes = stack.rotation.changes();
    let sample = Sample {
        time: UNIX_EPOCH.elapsed().unwrap_or_default().as_millis(),
        requests: stack.report.totals(),
        cache: gateway.store.statistics(),
        head: stack.rotation.heads().latest(),
        endpoints: stack.rotation.snapshot(),
        changes: &changes[..changes.len().min(10)],
    };
    serde_json::to_string(&sample).expect("its keys are texts").into()
}
