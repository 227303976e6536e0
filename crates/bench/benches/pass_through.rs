//! A call that nothing happens to, through each layer and through stacks, over an endpoint that
//! answers at once: nanoseconds, beside alloy's own layers.

use alclad::{MetricsLayer, Report, RetryLayer, TimeoutLayer, TxGuardLayer, rate_limit::Aimd};
use alclad_bench::{
    Instant, boxed, call, fallback, guarded, prometheus, rate_limit, request, rotation, runtime,
};
use alloy::transports::{
    BoxTransport,
    layers::{RetryBackoffLayer, ThrottleLayer},
};
use divan::{Bencher, counter::ItemsCount};
use std::{num::NonZeroU32, time::Duration};
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
fn alclad_rate_limit(bencher: Bencher<'_, '_>) {
    through(bencher, boxed(rate_limit().layer(Instant::new())));
}

#[divan::bench(sample_size = 1000)]
fn alclad_rate_limit_adaptive(bencher: Bencher<'_, '_>) {
    through(bencher, boxed(rate_limit().with_policy(Aimd::new()).layer(Instant::new())));
}

/// Two threads on one budget: how many calls pass in a second, in all.
#[divan::bench(sample_size = 1000, threads = [2])]
fn alclad_rate_limit_on_two_threads(bencher: Bencher<'_, '_>) {
    let transport = boxed(rate_limit().layer(Instant::new()));
    let bencher = bencher.with_inputs(request).counter(ItemsCount::new(1u32));
    bencher.bench_values(|packet| call(&transport, packet));
}

#[divan::bench(sample_size = 1000)]
fn alclad_timeout(bencher: Bencher<'_, '_>) {
    through(bencher, boxed(TimeoutLayer::new(LIMIT).layer(Instant::new())));
}

#[divan::bench(sample_size = 1000)]
fn alclad_chain_guard(bencher: Bencher<'_, '_>) {
    through(bencher, guarded());
}

#[divan::bench(sample_size = 1000)]
fn alclad_tx_guard(bencher: Bencher<'_, '_>) {
    through(bencher, boxed(TxGuardLayer::expect(1).layer(Instant::new())));
}

/// No recorder, no subscriber, no report.
#[divan::bench(sample_size = 1000)]
fn alclad_metrics(bencher: Bencher<'_, '_>) {
    through(bencher, boxed(MetricsLayer::new().layer(Instant::new())));
}

#[divan::bench(sample_size = 1000)]
fn alclad_metrics_with_report(bencher: Bencher<'_, '_>) {
    let layer = MetricsLayer::new().with_report(&Report::new());
    through(bencher, boxed(layer.layer(Instant::new())));
}

/// With the exporter's recorder, but nobody who scrapes it.
#[divan::bench(sample_size = 1000)]
fn alclad_metrics_with_prometheus(bencher: Bencher<'_, '_>) {
    let recorder = prometheus();
    metrics::with_local_recorder(&recorder, || {
        through(bencher, boxed(MetricsLayer::new().layer(Instant::new())));
    });
}

#[divan::bench(sample_size = 1000)]
fn alclad_metrics_for_endpoint_with_prometheus(bencher: Bencher<'_, '_>) {
    let recorder = prometheus();
    metrics::with_local_recorder(&recorder, || {
        through(bencher, boxed(MetricsLayer::for_endpoint("own").layer(Instant::new())));
    });
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
fn alloy_throttle(bencher: Bencher<'_, '_>) {
    let throttle = ThrottleLayer::new_with_burst(u32::MAX, NonZeroU32::MAX);
    through(bencher, boxed(throttle.layer(Instant::new())));
}

#[divan::bench(sample_size = 1000)]
fn alloy_fallback_1(bencher: Bencher<'_, '_>) {
    through(bencher, boxed(fallback(1)));
}

#[divan::bench(sample_size = 1000)]
fn alloy_retry_and_fallback_1(bencher: Bencher<'_, '_>) {
    through(bencher, boxed(RetryBackoffLayer::new(5, 100, u64::MAX).layer(fallback(1))));
}
