//! Whatever happens, no window sees more than the rate times its length and the burst.

mod support;

use alclad_rate_limit::RateLimitLayer;
use alclad_testkit::{answer, request, single};
use alloy_json_rpc::{RequestPacket, ResponsePacket, SerializedRequest};
use alloy_transport::TransportError;
use fastrand::Rng;
use std::{
    future::ready,
    sync::{Arc, Mutex},
};
use support::{ms, send, units};
use tokio::time::{Duration, Instant, sleep};
use tower::Layer;

/// What passed: when, and at which cost.
type Log = Arc<Mutex<Vec<(Instant, u64)>>>;

/// A request says its own cost, as its id.
fn cost(request: &SerializedRequest) -> u32 {
    request.id().as_number().unwrap_or(0) as u32
}

fn endpoint(
    log: Log,
) -> impl tower::Service<RequestPacket, Response = ResponsePacket, Error = TransportError, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    tower::service_fn(move |packet: RequestPacket| {
        let cost = u64::from(cost(&packet.requests()[0]));
        log.lock().unwrap().push((Instant::now(), cost));
        ready(Ok(ResponsePacket::Single(answer(cost, "0x"))))
    })
}

/// The rates that held, from which time on each.
struct Rates(Vec<(Instant, u32)>);

impl Rates {
    /// How many units flowed in, in all, until then.
    fn earned(&self, until: Instant) -> f64 {
        let ends = self.0.iter().skip(1).map(|(from, _)| *from).chain([until]);
        let spans = self.0.iter().zip(ends);
        let span = |((from, rate), to): (&(Instant, u32), Instant)| {
            to.min(until).saturating_duration_since(*from).as_secs_f64() * f64::from(*rate)
        };
        spans.map(span).sum()
    }
}

/// Every window from one packet to another; also the last one of a window may be dearer than the
/// burst.
fn check(passed: &[(Instant, u64)], rates: &Rates, burst: u32, seed: u64) {
    let earned: Vec<_> = passed.iter().map(|(at, _)| rates.earned(*at)).collect();
    for first in 0..passed.len() {
        let mut sum = 0;
        for last in first..passed.len() {
            let cost = passed[last].1;
            sum += cost;
            let credit = cost.saturating_sub(u64::from(burst));
            let most = earned[last] - earned[first] + f64::from(burst) + credit as f64;
            assert!(sum as f64 <= most + 1e-6, "seed {seed}: {sum} units, and {most} at most");
        }
    }
}

async fn run(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let (rate, burst) = (rng.u32(1..300), rng.u32(1..60));
    let layer = RateLimitLayer::compute_units(units(rate), cost)
        .with_burst(units(burst))
        .with_max_wait(ms(rng.u64(0..5000)));
    let log = Log::default();
    let services = [(); 3].map(|()| layer.layer(endpoint(Arc::clone(&log))));
    let mut rates = Rates(vec![(Instant::now(), rate)]);
    let mut calls = Vec::new();
    for _ in 0..300 {
        match rng.u32(0..20) {
            0..12 => {
                let packet = single(request(rng.u64(0..2 * u64::from(burst)), "eth_call", ()));
                calls.push(send(rng.choice(&services).unwrap(), packet));
            }
            12..14 if !calls.is_empty() => {
                calls.swap_remove(rng.usize(..calls.len())).abort();
            }
            14 => {
                let rate = rng.u32(1..300);
                layer.limiter().set_rate(units(rate));
                rates.0.push((Instant::now(), rate));
            }
            _ => sleep(Duration::from_micros(rng.u64(0..100_000))).await,
        }
    }
    for call in calls {
        let _ = call.await;
    }
    assert_eq!(layer.limiter().waiters(), 0, "seed {seed}");
    let passed: Vec<_> = log.lock().unwrap().drain(..).filter(|(_, cost)| *cost > 0).collect();
    check(&passed, &rates, burst, seed);
}

#[tokio::test(start_paused = true)]
async fn no_window_sees_more_than_the_rate_times_its_length_and_the_burst() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    for run_seed in (0..200).map(|index| seed.wrapping_add(index)) {
        run(run_seed).await;
    }
}

/// With always somebody waiting, nothing is left unused but what a timer is late: a millisecond.
#[tokio::test(start_paused = true)]
async fn what_may_pass_does_pass() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    for _ in 0..50 {
        let (rate, burst) = (rng.u32(1..500), rng.u32(2..50));
        let layer = RateLimitLayer::compute_units(units(rate), cost)
            .with_burst(units(burst))
            .with_max_wait(Duration::MAX);
        let service = layer.layer(endpoint(Log::default()));
        let start = Instant::now();
        let costs: Vec<_> = (0..100).map(|_| rng.u64(1..=u64::from(burst / 2).max(1))).collect();
        let mut calls = Vec::new();
        for cost in &costs {
            let packet = single(request(*cost, "eth_call", ()));
            calls.push(send(&service, packet));
        }
        for call in calls {
            call.await.unwrap().unwrap();
        }
        let owed = costs.iter().sum::<u64>().saturating_sub(u64::from(burst));
        let due = Duration::from_secs_f64(owed as f64 / f64::from(rate));
        assert!(start.elapsed() >= due && start.elapsed() <= due + ms(1), "seed {seed}");
    }
}
