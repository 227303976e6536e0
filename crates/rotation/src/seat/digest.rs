use std::{
    array,
    sync::atomic::{
        AtomicBool, AtomicU32,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::Duration,
};

/// The first bucket begins at 2^14 ns, 16 microseconds; what is shorter is counted there.
const FIRST: u32 = 14;
/// The last bucket ends at 2^37 ns, 137 seconds; what is longer is counted there.
const END: u32 = 37;
/// An octave has 2^2 buckets of equal width, so that none is wider than a quarter of its times.
const SPLIT: u32 = 2;
const BUCKETS: usize = ((END - FIRST) << SPLIT) as usize;
/// With more samples than these, all buckets are halved.
const FULL: u64 = 1024;
/// A bucket has the sum looked at once in so many of its samples.
const LOOK: u32 = 16;

/// How long the latest answers took: a histogram of logarithmic buckets in 368 bytes.
///
/// It forgets: when it is full, all buckets are halved, so that a sample weighs half after every
/// 512 further ones.
pub(crate) struct Digest {
    buckets: [AtomicU32; BUCKETS],
    halving: AtomicBool,
}

// === impl Digest ===

impl Digest {
    pub(crate) fn new() -> Self {
        Self { buckets: array::from_fn(|_| AtomicU32::new(0)), halving: AtomicBool::new(false) }
    }

    /// Counts one answer.
    pub(crate) fn record(&self, latency: Duration) {
        let before = self.buckets[bucket_of(latency)].fetch_add(1, Relaxed);
        // There is no sum to keep: it would be a second write to memory that all calls share.
        if before % LOOK == LOOK - 1 && self.count() > FULL {
            self.halve();
        }
    }

    /// The latency that this share of the answers (0.99 is 99 %) did not exceed; none without any.
    ///
    /// Interpolated within a bucket, as if its samples were spread evenly.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        let counts = self.buckets.each_ref().map(|bucket| u64::from(bucket.load(Relaxed)));
        let total = counts.iter().sum::<u64>();
        let rank = ((share.clamp(0.0, 1.0) * total as f64).ceil() as u64).max(1);
        let mut before = 0;
        for (index, count) in counts.into_iter().enumerate() {
            if before + count >= rank {
                let (lower, width) = bounds(index);
                let inside = ((rank - before) as f64 - 0.5) / count as f64;
                return Some(Duration::from_nanos(lower + (width as f64 * inside) as u64));
            }
            before += count;
        }
        None
    }

    /// How many samples it holds.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| u64::from(bucket.load(Relaxed))).sum()
    }

    fn halve(&self) {
        if self.halving.swap(true, Acquire) {
            return;
        }
        // The half that is left over goes to the next bucket, or the lone samples of the tail
        // would all stay for ever, or all go at once.
        let mut left_over = 0;
        for bucket in &self.buckets {
            let count = bucket.load(Relaxed);
            let kept = (count + left_over) / 2;
            left_over = (count + left_over) % 2;
            bucket.fetch_sub(count - kept, Relaxed);
        }
        self.halving.store(false, Release);
    }
}

fn bucket_of(latency: Duration) -> usize {
    let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
    let nanos = nanos.clamp(1 << FIRST, (1 << END) - 1);
    let octave = nanos.ilog2();
    let position = (nanos >> (octave - SPLIT)) & ((1 << SPLIT) - 1);
    (((octave - FIRST) as usize) << SPLIT) + position as usize
}

/// Where a bucket begins, and how wide it is, in nanoseconds.
fn bounds(bucket: usize) -> (u64, u64) {
    let (octave, position) = (FIRST as usize + (bucket >> SPLIT), bucket & ((1 << SPLIT) - 1));
    let width = 1 << (octave - SPLIT as usize);
    ((1 << octave) + position as u64 * width, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARES: [f64; 7] = [0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 1.0];

    fn exact(sorted: &[Duration], share: f64) -> Duration {
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted[rank.max(1) - 1]
    }

    fn width_at(latency: Duration) -> Duration {
        Duration::from_nanos(bounds(bucket_of(latency)).1)
    }

    /// Any latency between 16 microseconds and 137 seconds, all octaves alike.
    fn any(dice: &mut fastrand::Rng) -> Duration {
        let octave = dice.u32(FIRST..END);
        Duration::from_nanos(dice.u64(1 << octave..1 << (octave + 1)))
    }

    #[test]
    fn buckets_follow_on_one_another_and_hold_what_is_between_their_bounds() {
        let mut end = 1 << FIRST;
        for bucket in 0..BUCKETS {
            let (lower, width) = bounds(bucket);
            assert_eq!(lower, end);
            assert_eq!(bucket_of(Duration::from_nanos(lower)), bucket);
            assert_eq!(bucket_of(Duration::from_nanos(lower + width - 1)), bucket);
            assert!(width * 4 <= lower);
            end = lower + width;
        }
        assert_eq!(end, 1 << END);
    }

    #[test]
    fn what_is_out_of_range_is_counted_at_its_ends() {
        assert_eq!(bucket_of(Duration::ZERO), 0);
        assert_eq!(bucket_of(Duration::from_micros(15)), 0);
        assert_eq!(bucket_of(Duration::from_secs(140)), BUCKETS - 1);
        assert_eq!(bucket_of(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn knows_nothing_without_a_sample() {
        let digest = Digest::new();
        assert_eq!((digest.count(), digest.quantile(0.5)), (0, None));
        digest.record(Duration::from_millis(10));
        assert_eq!(digest.count(), 1);
        let median = digest.quantile(f64::NAN).unwrap();
        assert!(median.abs_diff(Duration::from_millis(10)) <= Duration::from_millis(2));
    }

    #[test]
    fn quantiles_are_within_a_bucket_of_the_exact_ones() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut dice = fastrand::Rng::with_seed(seed);
        for _ in 0..200 {
            let count = dice.usize(1..=1000);
            let mut samples = Vec::from_iter(std::iter::repeat_with(|| any(&mut dice)).take(count));
            let digest = Digest::new();
            samples.iter().for_each(|sample| digest.record(*sample));
            samples.sort();
            assert_eq!(digest.count(), count as u64);
            for share in SHARES {
                let (exact, found) = (exact(&samples, share), digest.quantile(share).unwrap());
                assert!(exact.abs_diff(found) <= width_at(exact), "{share}: {found:?}, {exact:?}");
            }
        }
    }

    #[test]
    fn old_times_fade() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut dice = fastrand::Rng::with_seed(seed);
        let digest = Digest::new();
        (0..5_000).for_each(|_| digest.record(Duration::from_millis(500)));
        let recent = || Duration::from_micros(dice.u64(1_000..3_000));
        let samples = Vec::from_iter(std::iter::repeat_with(recent).take(10_000));
        samples.iter().for_each(|sample| digest.record(*sample));
        let mut last = samples[samples.len() - FULL as usize..].to_vec();
        last.sort();
        for share in [0.05, 0.5, 0.9, 0.99] {
            let (exact, found) = (exact(&last, share), digest.quantile(share).unwrap());
            assert!(exact.abs_diff(found) <= width_at(exact), "{share}: {found:?}, {exact:?}");
        }
    }

    #[test]
    fn a_rare_slow_answer_is_neither_kept_for_ever_nor_always_the_first_to_go() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut dice = fastrand::Rng::with_seed(seed);
        let digest = Digest::new();
        for _ in 0..50_000 {
            let slow = dice.u8(..100) < 3;
            let micros = if slow { 400_000..900_000 } else { 1_000..3_000 };
            digest.record(Duration::from_micros(dice.u64(micros)));
        }
        assert!(digest.quantile(0.9).unwrap() < Duration::from_millis(4));
        assert!(digest.quantile(0.995).unwrap() > Duration::from_millis(300));
        (0..20_000).for_each(|_| digest.record(Duration::from_micros(dice.u64(1_000..3_000))));
        assert!(digest.quantile(1.0).unwrap() < Duration::from_millis(4));
    }

    #[test]
    fn threads_that_record_together_lose_nothing_but_old_times() {
        let digest = Digest::new();
        let record = |first: u64| {
            (0..20_000).for_each(|n| digest.record(Duration::from_micros(first + n % 1_000)));
        };
        std::thread::scope(|scope| {
            (0..4).for_each(|thread| drop(scope.spawn(move || record(1_000 * (thread + 1)))));
        });
        assert!((FULL / 2..2 * FULL).contains(&digest.count()), "{}", digest.count());
    }
}
