//! How the calls of a run went.

use hdrhistogram::Histogram;
use std::time::Duration;

/// How a call went, and if not well, how the answer looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The answer is the truth.
    Right,
    /// It is not.
    Missed(Miss, String),
}

/// In which way a call went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// The answer never was the truth.
    Wrong,
    /// The answer was the truth before the call was made.
    Stale,
    /// `null` for what exists.
    Null,
    /// An error came in place of an answer.
    Failed,
}

/// How the calls of a run went, each member of a batch counted by itself.
#[derive(Clone, Debug)]
pub struct Score {
    /// How many were answered with the truth.
    pub right: u64,
    missed: [u64; 4],
    /// What went wrong first.
    pub first_miss: Option<String>,
    /// Of calls and whole batches, in microseconds.
    latencies: Histogram<u64>,
}

impl Default for Score {
    fn default() -> Self {
        let latencies = Histogram::new(3).expect("three digits are allowed");
        Self { right: 0, missed: [0; 4], first_miss: None, latencies }
    }
}

impl Score {
    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.right + self.missed.iter().sum::<u64>()
    }

    /// How many went wrong in this way.
    pub const fn missed(&self, miss: Miss) -> u64 {
        self.missed[miss as usize]
    }

    /// How long calls and batches took that were faster than all but this share of them.
    pub fn latency(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.latencies.value_at_quantile(quantile))
    }

    pub(crate) fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Right => self.right += 1,
            Verdict::Missed(miss, seen) => {
                self.missed[miss as usize] += 1;
                self.first_miss.get_or_insert_with(|| format!("{miss:?}: {seen}"));
            }
        }
    }

    pub(crate) fn took(&mut self, time: Duration) {
        self.latencies += time.as_micros() as u64;
    }
}
