//! How much more two threads do than one through one and the same stack, over an endpoint whose
//! answers take five microseconds of a processor: beside alloy's own layers. Needs two idle
//! processors.

use alclad::{Endpoint, RetryLayer, Rotation};
use alclad_bench::{Busy, boxed, call, request, runtime};
use alloy::transports::{BoxTransport, layers::FallbackService};
use comfy_table::Table;
use std::{thread, time::Duration};
use tower::Layer;

const TIME: Duration = Duration::from_millis(500);
const ROUNDS: usize = 5;

fn main() {
    let _runtime = runtime();
    let endpoints = || ["a", "b", "c"].map(|label| Endpoint::new(label, Busy::default()));
    let rotation = || Rotation::builder().endpoints(endpoints()).build();
    let fallback =
        || FallbackService::new(vec![Busy::default(), Busy::default(), Busy::default()], 1);
    let mut table = Table::new();
    table.set_header(["stack", "1 thread", "2 threads", "ratio"]);
    for (name, transport) in [
        ("bare", boxed(Busy::default())),
        ("alclad rotation of 3", boxed(rotation())),
        ("alclad retry, rotation", boxed(RetryLayer::new().layer(rotation()))),
        ("alloy fallback 1 of 3", boxed(fallback())),
    ] {
        let best = |threads| (0..ROUNDS).map(|_| rate(&transport, threads)).fold(0.0, f64::max);
        let (one, two) = (best(1), best(2));
        let row = [format!("{one:.0}/s"), format!("{two:.0}/s"), format!("{:.2}", two / one)];
        table.add_row(std::iter::once(name.to_owned()).chain(row));
    }
    println!("{table}");
}

/// Calls per second, all threads together.
fn rate(transport: &BoxTransport, threads: usize) -> f64 {
    let calls: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| count(transport))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    calls as f64 / TIME.as_secs_f64()
}

fn count(transport: &BoxTransport) -> u64 {
    let _runtime = runtime();
    let end = tokio::time::Instant::now() + TIME;
    let mut calls = 0;
    while tokio::time::Instant::now() < end {
        drop(call(transport, request()));
        calls += 1;
    }
    calls
}
