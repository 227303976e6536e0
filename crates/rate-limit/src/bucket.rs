//! The arithmetic of a token bucket (the generic cell rate algorithm), without a clock of its own.

use std::time::Duration;
use tokio::time::Instant;

/// One unit of cost, in the grains in which the bucket counts: a nanosecond at a thousandth of a
/// unit per second earns exactly one, so nothing is ever rounded.
const UNIT: i128 = 1_000_000_000_000;

/// Further away than anybody waits; the clock may not reach as far as the arithmetic.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// A bucket that fills at a rate up to its burst, and from which every packet takes its cost.
///
/// A packet that costs more than the burst passes when the bucket is full, and leaves a debt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// In thousandths of a unit per second.
    rate: u64,
    burst: i128,
    level: i128,
    /// What `level` is the level of. Nothing flows in before, also if it is still to come.
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(rate: f64, burst: u32, now: Instant) -> Self {
        let burst = i128::from(burst) * UNIT;
        Self { rate: thousandths(rate), burst, level: burst, at: now }
    }

    /// Takes the cost out, if it is there.
    pub(crate) fn take(&mut self, now: Instant, cost: u64) -> bool {
        self.settle(now);
        let enough = self.level >= self.needed(cost);
        if enough {
            self.level -= grains(cost);
        }
        enough
    }

    /// When a packet of this cost can pass after others that cost `ahead` in all.
    pub(crate) fn due(&mut self, now: Instant, ahead: u64, cost: u64) -> Instant {
        self.settle(now);
        let missing = (self.needed(cost) + grains(ahead) - self.level).max(0);
        let nanos = missing.unsigned_abs().div_ceil(u128::from(self.rate));
        let wait = u64::try_from(nanos).map_or(FOREVER, Duration::from_nanos).min(FOREVER);
        self.at + wait
    }

    /// From now on it fills at this rate; what it holds it keeps.
    pub(crate) fn set_rate(&mut self, now: Instant, rate: f64) {
        self.settle(now);
        self.rate = thousandths(rate);
    }

    /// It is empty, and stays so until then.
    pub(crate) fn drain_until(&mut self, until: Instant) {
        self.settle(until);
        self.level = self.level.min(0);
    }

    /// How many units are in it; negative while a debt is paid off.
    pub(crate) fn tokens(&mut self, now: Instant) -> f64 {
        self.settle(now);
        self.level as f64 / UNIT as f64
    }

    fn settle(&mut self, now: Instant) {
        if now > self.at {
            let nanos = u64::try_from((now - self.at).as_nanos()).unwrap_or(u64::MAX);
            let earned = i128::from(nanos) * i128::from(self.rate);
            self.level = (self.level + earned).min(self.burst);
            self.at = now;
        }
    }

    fn needed(&self, cost: u64) -> i128 {
        grains(cost).min(self.burst)
    }
}

fn grains(cost: u64) -> i128 {
    i128::from(cost) * UNIT
}

fn thousandths(rate: f64) -> u64 {
    // The cast saturates, and makes zero of what is not a number.
    ((rate * 1000.0).round() as u64).clamp(1, 1000 * u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secs(secs: f64) -> Duration {
        Duration::from_secs_f64(secs)
    }

    #[test]
    fn it_is_full_at_first_and_fills_no_further() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10.0, 3, start);
        assert!((0..3).all(|_| bucket.take(start, 1)));
        assert!(!bucket.take(start, 1));
        assert_eq!(bucket.due(start, 0, 1), start + secs(0.1));
        let later = start + secs(60.0);
        assert!((0..3).all(|_| bucket.take(later, 1)));
        assert!(!bucket.take(later, 1));
    }

    #[test]
    fn what_is_due_is_there_then_and_not_a_nanosecond_before() {
        let start = Instant::now();
        let mut bucket = Bucket::new(3.0, 1, start);
        assert!(bucket.take(start, 1));
        let due = bucket.due(start, 0, 1);
        assert_eq!(due - start, Duration::from_nanos(333_333_334));
        assert!(!bucket.take(due - Duration::from_nanos(1), 1));
        assert!(bucket.take(due, 1));
    }

    #[test]
    fn while_it_is_drained_nothing_flows_in() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10.0, 3, start);
        bucket.drain_until(start + secs(5.0));
        assert_eq!(bucket.due(start, 0, 1), start + secs(5.1));
        assert!(!bucket.take(start + secs(5.0), 1));
        assert!(bucket.take(start + secs(5.1), 1));
    }

    #[test]
    fn a_thread_that_read_the_clock_first_and_comes_second_passes_too() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10.0, 2, start + secs(0.001));
        assert!(bucket.take(start + secs(0.001), 1));
        assert!(bucket.take(start, 1));
    }

    #[test]
    fn the_dearest_and_the_slowest_do_not_overflow() {
        let start = Instant::now();
        let mut bucket = Bucket::new(f64::NAN, u32::MAX, start);
        assert!(bucket.take(start, u64::MAX));
        assert_eq!(bucket.due(start, u64::MAX, u64::MAX), start + FOREVER);
        bucket.set_rate(start + FOREVER, f64::INFINITY);
        assert!(bucket.tokens(start + FOREVER + FOREVER) <= f64::from(u32::MAX));
    }

    proptest! {
        /// The model counts in floating point, drop by drop.
        #[test]
        fn it_gives_what_a_naive_bucket_gives(
            burst in 1u32..50,
            rate in 1u32..500,
            steps in prop::collection::vec((0u64..400, 1u64..80, 1u32..500), 1..200),
        ) {
            let start = Instant::now();
            let (mut now, mut rate) = (start, f64::from(rate));
            let mut bucket = Bucket::new(rate, burst, start);
            let mut level = f64::from(burst);
            for (millis, cost, next_rate) in steps {
                now += Duration::from_millis(millis);
                level = (level + millis as f64 * rate / 1000.0).min(f64::from(burst));
                let needed = (cost as f64).min(f64::from(burst));
                prop_assert!((bucket.tokens(now) - level).abs() < 1e-6);
                let due = (bucket.due(now, 0, cost) - now).as_secs_f64();
                prop_assert!((due - (needed - level).max(0.0) / rate).abs() < 1e-6);
                if bucket.take(now, cost) {
                    prop_assert!(level >= needed - 1e-6);
                    level -= cost as f64;
                } else {
                    prop_assert!(level < needed + 1e-6);
                }
                if next_rate % 7 == 0 {
                    rate = f64::from(next_rate);
                    bucket.set_rate(now, rate);
                }
            }
        }
    }
}
