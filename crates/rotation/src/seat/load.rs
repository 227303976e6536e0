use super::Digest;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio::time::Instant;

/// How long a peak takes to fade to 1/e: the default decay time of Finagle's peak EWMA
/// (`Balancers.p2cPeakEwma`).
const DECAY: Duration = Duration::from_secs(10);
/// Answers below the average that end within this time of the last one do not move it: so close
/// together they weigh 0.1 %, and most calls write nothing.
const STEP: Duration = Duration::from_millis(10);
/// An endpoint that was asked and has not yet answered anything counts as this slow.
const UNKNOWN: Duration = Duration::from_secs(3600);

/// What one endpoint is burdened with, and how fast it answers.
// On cache lines of its own: every call writes to it.
#[repr(align(64))]
pub(crate) struct Load {
    started: AtomicU64,
    ended: AtomicU64,
    /// In nanoseconds; 0 is never measured.
    average: AtomicU64,
    /// When the average was last moved, in nanoseconds since `epoch`.
    moved: AtomicU64,
    epoch: Instant,
    digest: Digest,
}

// === impl Load ===

impl Load {
    pub(crate) fn new() -> Self {
        Self {
            started: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            average: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            epoch: Instant::now(),
            digest: Digest::new(),
        }
    }

    /// A request is sent.
    pub(crate) fn begin(&self) {
        self.started.fetch_add(1, Relaxed);
    }

    /// A request has ended, or was dropped.
    pub(crate) fn end(&self) {
        self.ended.fetch_add(1, Relaxed);
    }

    /// How many requests were sent.
    pub(crate) fn requests(&self) -> u64 {
        self.started.load(Relaxed)
    }

    /// How many of them have not ended.
    pub(crate) fn in_flight(&self) -> u64 {
        let ended = self.ended.load(Relaxed);
        self.requests().saturating_sub(ended)
    }

    /// A good answer, that ends now, took this long.
    pub(crate) fn observe(&self, latency: Duration) {
        self.observe_at(latency, Instant::now());
    }

    /// [`observe`](Self::observe) for who has looked at the clock already.
    ///
    /// The average is a peak EWMA: a latency above it replaces it, one below pulls it down, by
    /// the more the longer ago the last one was.
    pub(crate) fn observe_at(&self, latency: Duration, now: Instant) {
        self.digest.record(latency);
        let sample = nanos(latency).max(1);
        let now = nanos(now.saturating_duration_since(self.epoch));
        let average = self.average.load(Relaxed);
        if sample > average {
            self.average.fetch_max(sample, Relaxed);
            self.moved.store(now, Relaxed);
            return;
        }
        let since = Duration::from_nanos(now.saturating_sub(self.moved.load(Relaxed)));
        if since < STEP {
            return;
        }
        let weight = 1.0 - (-since.as_secs_f64() / DECAY.as_secs_f64()).exp();
        let pulled = average - ((average - sample) as f64 * weight) as u64;
        // If another thread moved it meanwhile, this sample is lost: a peak is not.
        if self.average.compare_exchange(average, pulled, Relaxed, Relaxed).is_ok() {
            self.moved.store(now, Relaxed);
        }
    }

    /// How long an answer takes; none before the first.
    pub(crate) fn average(&self) -> Option<Duration> {
        match self.average.load(Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    /// How long a further request would take, in nanoseconds: the average, times the requests
    /// that would then be in flight.
    ///
    /// An endpoint that was never measured comes first while it has nothing in flight. Once it
    /// is being asked it comes last, so that one which never answers does not get everything; as
    /// in Finagle.
    pub(crate) fn burden(&self) -> u64 {
        let in_flight = self.in_flight();
        let average = match (self.average.load(Relaxed), in_flight) {
            (0, 0) => 0,
            (0, _) => nanos(UNKNOWN),
            (average, _) => average,
        };
        average.saturating_mul(in_flight.saturating_add(1))
    }

    /// How long the latest answers, about a thousand, took.
    pub(crate) const fn times(&self) -> &Digest {
        &self.digest
    }

    /// The latency that this share of the latest answers did not exceed; none before the first.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        self.digest.quantile(share)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn close(load: &Load, expected: Duration) {
        let average = load.average().unwrap();
        let apart = average.abs_diff(expected);
        assert!(apart < expected / 1000, "{average:?} is not {expected:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slower_answer_replaces_the_average_at_once() {
        let load = Load::new();
        assert_eq!(load.average(), None);
        load.observe(ms(10));
        assert_eq!(load.average(), Some(ms(10)));
        load.observe(ms(500));
        assert_eq!(load.average(), Some(ms(500)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peak_fades_to_1_in_e_within_ten_seconds() {
        let (once, often) = (Load::new(), Load::new());
        once.observe(ms(1_000));
        often.observe(ms(1_000));
        for _ in 0..100 {
            advance(ms(100)).await;
            often.observe(ms(10));
        }
        once.observe(ms(10));
        let expected = ms(10) + ms(990).mul_f64((-1.0_f64).exp());
        close(&once, expected);
        close(&often, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_come_together_pull_as_one() {
        let load = Load::new();
        load.observe(ms(1_000));
        for _ in 0..10_000 {
            advance(ms(1)).await;
            load.observe(ms(10));
        }
        close(&load, ms(10) + ms(990).mul_f64((-1.0_f64).exp()));
        assert!(load.digest.count() > 500);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_long_silence_the_first_answer_counts_fully() {
        let load = Load::new();
        load.observe(ms(5_000));
        advance(Duration::from_secs(600)).await;
        load.observe(ms(20));
        close(&load, ms(20));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_no_time_is_an_answer() {
        let load = Load::new();
        load.observe(Duration::ZERO);
        assert_eq!(load.average(), Some(Duration::from_nanos(1)));
        load.observe_at(ms(1), Instant::now() - ms(50));
        assert_eq!(load.average(), Some(ms(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_burden_is_the_average_times_what_would_be_in_flight() {
        let load = Load::new();
        load.observe(ms(2));
        assert_eq!(load.burden(), 2_000_000);
        (0..3).for_each(|_| load.begin());
        assert_eq!((load.requests(), load.in_flight(), load.burden()), (3, 3, 8_000_000));
        (0..3).for_each(|_| load.end());
        assert_eq!((load.requests(), load.in_flight(), load.burden()), (3, 0, 2_000_000));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_never_measured_comes_first_until_it_is_being_asked() {
        let (new, slow, other) = (Load::new(), Load::new(), Load::new());
        slow.observe(Duration::from_secs(30));
        assert_eq!(new.burden(), 0);
        new.begin();
        assert!(new.burden() > slow.burden());
        (0..2).for_each(|_| other.begin());
        assert!(new.burden() < other.burden());
        new.observe(ms(1));
        assert!(new.burden() < slow.burden());
    }

    #[tokio::test(start_paused = true)]
    async fn knows_its_quantiles() {
        let load = Load::new();
        assert_eq!(load.quantile(0.5), None);
        (1..=100).for_each(|millis| load.observe(ms(millis)));
        let p90 = load.quantile(0.9).unwrap();
        assert!(p90.abs_diff(ms(90)) < ms(17), "{p90:?}");
    }

    #[test]
    fn a_peak_is_not_lost_among_threads() {
        let load = Load::new();
        let peak = Duration::from_secs(60);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..20_000).for_each(|n| load.observe(ms(1 + n % 5))));
            }
            scope.spawn(|| load.observe(peak));
        });
        assert!(load.average().unwrap() > peak / 2);
    }
}
