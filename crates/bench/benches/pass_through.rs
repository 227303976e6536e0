//! A call that nothing happens to, through each layer and through stacks, over an endpoint that
//! answers at once: nanoseconds, beside alloy's own layers.

use alclad::{RetryLayer, TimeoutLayer};
use alclad_bench::{Instant, boxed, call, fallback, request, rotation, runtime};
use alloy::transports::{BoxTransport, layers::RetryBackoffLayer};
use divan::Bencher;
use std::time::Duration;
use tower::Layer;

const LIMIT: Duration = Duration::from_secs(10);

fn main() {
    let _runtime = runtime();
    divan::main();
}

fn through(bencher: Bencher<'_, '_>, transport: BoxTransport) {
    bencher.with_inputs(request).bench_values(|packet| call(&transport, packet));
}

#[divan::bench(sample_size = 1000)]
fn bare(bencher: Bencher<'_, '_>) {
    through(bencher, boxed(Instant::new()));
}

#[divan::bench(sample_size = 1000)]
fn alclad_retry(bencher: Bencher<'_, '_>) {
    through(bencher, boxed(RetryLayer::new().layer(Instant::new())));
}

#[divan::bench(sample_size = 1000)]
fn alclad_timeout(bencher: Bencher<'_, '_>) {
    through(bencher, boxed(TimeoutLayer::new(LIMIT).layer(Instant::new())));
}

#[divan::bench(sample_size = 1000)]
fn alclad_rotation(bencher: Bencher<'_, '_>) {
    through(bencher, boxed(rotation()));
}

#[divan::bench(sample_size = 1000)]
fn alclad_retry_and_rotation(bencher: Bencher<'_, '_>) {
    through(bencher, boxed(RetryLayer::new().layer(rotation())));
}

#[divan::bench(sample_size = 1000)]
fn alloy_retry(bencher: Bencher<'_, '_>) {
    through(bencher, boxed(RetryBackoffLayer::new(5, 100, u64::MAX).layer(Instant::new())));
}

#[divan::bench(sample_size = 1000)]
fn alloy_fallback_1(bencher: Bencher<'_, '_>) {
    through(bencher, boxed(fallback(1)));
}

#[divan::bench(sample_size = 1000)]
fn alloy_retry_and_fallback_1(bencher: Bencher<'_, '_>) {
    through(bencher, boxed(RetryBackoffLayer::new(5, 100, u64::MAX).layer(fallback(1))));
}
