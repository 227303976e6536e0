//! A change of health or of endpoint is told once, by name, and not per call.

mod nodes;
mod stage;

use alclad_rotation::{Candidates, Endpoint, Ordered, Role, Rotation};
use alclad_testkit::{Disruption, RetryAfter, SimNode};
use nodes::Nodes;
use stage::{dressed, ms, secs, three, transfer};
use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::time::advance;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::{DefaultGuard, set_default},
};

/// Writes down every event of note.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn begin() -> (Self, DefaultGuard) {
        let log = Self::default();
        (log.clone(), set_default(log))
    }

    /// What was written since the last look.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target().starts_with("alclad")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").expect("a string grows");
    }
}

async fn reads(nodes: &Nodes, calls: usize) {
    for _ in 0..calls {
        nodes.read_well().await;
    }
}

/// The first that can serve, by a strategy that tells nothing.
fn first_of_three() -> Nodes {
    three(Rotation::builder().with_strategy(|_: &Candidates<'_>| 0))
}

#[track_caller]
fn assert_tells(lines: &[String], words: &[&str]) {
    let [line] = lines else { panic!("one event, but {lines:#?}") };
    for word in words {
        assert!(line.contains(word), "{word} in {line}");
    }
}

#[tokio::test(start_paused = true)]
async fn healthy_calls_tell_nothing() {
    let (log, _guard) = Log::begin();
    let nodes = first_of_three();
    reads(&nodes, 100).await;
    assert_eq!(log.take(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_circuit_tells_that_it_opens_and_that_it_closes_each_once() {
    let (log, _guard) = Log::begin();
    let nodes = first_of_three();
    nodes.nodes[0].set(Disruption::Reset);
    reads(&nodes, 50).await;
    assert_tells(&log.take(), &["WARN", "endpoint=a", "state=\"open\"", "fault=Connection", "1s"]);
    nodes.nodes[0].clear();
    advance(ms(1001)).await;
    reads(&nodes, 50).await;
    assert_tells(&log.take(), &["INFO", "endpoint=a", "state=\"closed\""]);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_stays_bad_is_not_told_of_again_and_again() {
    let (log, _guard) = Log::begin();
    let nodes = first_of_three();
    nodes.nodes[0].set(Disruption::Reset);
    for _ in 0..100 {
        reads(&nodes, 10).await;
        advance(secs(10)).await;
    }
    assert_eq!(log.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_park_is_told_once_with_its_reason() {
    for (trouble, fault) in [
        (Disruption::too_many_requests(Some(RetryAfter::Seconds(7))), "RateLimited"),
        (Disruption::http_status(401), "Unauthorized"),
        (Disruption::http_status(402), "QuotaExhausted"),
    ] {
        let (log, _guard) = Log::begin();
        let nodes = first_of_three();
        nodes.nodes[0].set(trouble);
        reads(&nodes, 20).await;
        assert_tells(&log.take(), &["WARN", "endpoint=a", "state=\"parked\"", fault]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_move_of_an_ordered_rotation_is_told_once() {
    let (log, _guard) = Log::begin();
    let nodes = three(Rotation::builder().with_strategy(Ordered::new()));
    reads(&nodes, 1).await;
    nodes.rotation.disable(&"a".into());
    log.take();
    reads(&nodes, 20).await;
    assert_tells(&log.take(), &["INFO", "endpoint=b"]);
}

#[tokio::test(start_paused = true)]
async fn reads_and_sends_that_have_endpoints_of_their_own_are_no_moves() {
    for strategy in [Ordered::new(), Ordered::strict()] {
        let (log, _guard) = Log::begin();
        let builder = Rotation::builder().with_strategy(strategy);
        let nodes = dressed(builder, |label, endpoint| match label {
            "c" => endpoint.with_role(Role::Write),
            _ => endpoint,
        });
        for nonce in 0..5 {
            reads(&nodes, 1).await;
            nodes.submit(&transfer(nonce).0).await.expect("an answer");
            nodes.chain.mine(1);
        }
        assert_eq!(log.take(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_done_by_hand_is_told_once() {
    let (log, _guard) = Log::begin();
    let nodes = first_of_three();
    let fourth = SimNode::new(&nodes.chain);
    nodes.rotation.add(Endpoint::new("d", fourth.transport()));
    assert_tells(&log.take(), &["endpoint=d", "added"]);
    nodes.rotation.disable(&"d".into());
    nodes.rotation.disable(&"d".into());
    assert_tells(&log.take(), &["endpoint=d", "enabled=false"]);
    nodes.rotation.switch_to(&"b".into());
    assert_tells(&log.take(), &["endpoint=b"]);
    nodes.rotation.remove(&"d".into());
    nodes.rotation.remove(&"d".into());
    assert_tells(&log.take(), &["endpoint=d", "removed"]);
    nodes.rotation.reset();
    assert_tells(&log.take(), &["reset"]);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_falls_behind_and_catches_up_is_told_of_once_each() {
    let (log, _guard) = Log::begin();
    let nodes = first_of_three();
    nodes.nodes[1].set_lag(5);
    for _ in 0..10 {
        nodes.show_heads().await;
    }
    assert_tells(&log.take(), &["endpoint=b"]);
    nodes.nodes[1].set_lag(0);
    for _ in 0..10 {
        nodes.show_heads().await;
    }
    assert_tells(&log.take(), &["endpoint=b"]);
}
