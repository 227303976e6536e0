use alclad_core::{Fault, Limiter, Method, Same};
use std::{sync::Arc, time::Duration};

/// What happened to one member, for a policy to decide on.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RetryEvent {
    /// How the attempt ended.
    pub fault: Fault,
    /// Which attempt it was, from 1. A refusal by our own limiter is none: nobody was asked.
    pub attempt: u32,
    /// How long ago the caller asked.
    pub elapsed: Duration,
    /// What is known about the method.
    pub method: &'static Method,
    /// When the endpoint said that it may be asked again.
    pub hint: Option<Duration>,
    /// A random number from 0 to 1, for jitter. Members that failed together have the same, so
    /// that a policy may let them be asked again together.
    pub spread: f64,
}

/// What to do about one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// The caller gets what there is.
    Stop,
    /// Ask again after this long.
    RetryAfter(Duration),
}

/// Decides whether, and when, a failed member is asked again.
///
/// The layer asks a policy only about members that may be replayed at all, and draws on its
/// budget only after the policy has said yes. A closure is a policy:
///
/// ```
/// # use alclad_retry::{Decision, RetryEvent, RetryLayer};
/// # use std::time::Duration;
/// let thrice = |event: RetryEvent| match event.attempt {
///     1..3 => Decision::RetryAfter(Duration::from_millis(250)),
///     _ => Decision::Stop,
/// };
/// let layer = RetryLayer::with_policy(thrice);
/// # drop(layer);
/// ```
pub trait RetryPolicy: Send + Sync + 'static {
    /// Decides about one member.
    fn decide(&self, event: RetryEvent) -> Decision;
}

impl<F> RetryPolicy for F
where
    F: Fn(RetryEvent) -> Decision + Send + Sync + 'static,
{
    fn decide(&self, event: RetryEvent) -> Decision {
        self(event)
    }
}

impl<P: RetryPolicy + ?Sized> RetryPolicy for Arc<P> {
    fn decide(&self, event: RetryEvent) -> Decision {
        (**self).decide(event)
    }
}

/// How a backoff is spread, so that clients which failed together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Jitter {
    /// Anything from nothing to the whole backoff ("full jitter").
    Full,
    /// Exactly the backoff.
    None,
}

/// Exponential backoff: the default policy.
///
/// Full jitter and the exponential form are those of "Exponential Backoff And Jitter" (AWS
/// Architecture Blog, 2015).
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    attempts: u32,
    jitter: Jitter,
    max_hint: Duration,
    block_time: Duration,
    block_waits: u32,
}

impl Backoff {
    /// From 100 ms, doubled each time, at most 10 s, full jitter, 5 attempts in all; hints are
    /// obeyed up to 30 s; missing data is waited for twice, 2 s each time.
    pub const fn new() -> Self {
        Self {
            first: Duration::from_millis(100),
            cap: Duration::from_secs(10),
            attempts: 5,
            jitter: Jitter::Full,
            max_hint: Duration::from_secs(30),
            block_time: Duration::from_secs(2),
            block_waits: 2,
        }
    }

    /// The first backoff; each further one is twice the one before.
    #[must_use]
    pub const fn with_first(mut self, first: Duration) -> Self {
        self.first = first;
        self
    }

    /// No backoff is longer.
    #[must_use]
    pub const fn with_cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// How often a member is asked in all, the first time included.
    #[must_use]
    pub const fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// How the backoff is spread.
    #[must_use]
    pub const fn with_jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// An endpoint that wants to be left alone for longer than this is not waited for: the caller
    /// gets its answer at once. Nor is our own limiter, in all.
    #[must_use]
    pub const fn with_max_hint(mut self, max_hint: Duration) -> Self {
        self.max_hint = max_hint;
        self
    }

    /// The chain's block time (12 s on Ethereum): how long missing data is waited for, each time.
    #[must_use]
    pub const fn with_block_time(mut self, block_time: Duration) -> Self {
        self.block_time = block_time;
        self
    }

    /// After how many attempts, at most, missing data is waited for.
    #[must_use]
    pub const fn with_block_waits(mut self, block_waits: u32) -> Self {
        self.block_waits = block_waits;
        self
    }

    fn backoff(&self, attempt: u32, spread: f64) -> Duration {
        let doublings = 2u32.saturating_pow(attempt.saturating_sub(1));
        let longest = self.first.saturating_mul(doublings).min(self.cap);
        match self.jitter {
            Jitter::None => longest,
            Jitter::Full => longest.mul_f64(spread),
        }
    }

    fn hinted(&self, hint: Duration, event: RetryEvent) -> Decision {
        let spread = event.spread;
        match limiter(event.fault) {
            _ if hint > self.max_hint => Decision::Stop,
            Limiter::Local if event.elapsed + hint > self.max_hint => Decision::Stop,
            // Our own limiter has told each call a time of its own.
            Limiter::Local => Decision::RetryAfter(hint),
            // Clients that a vendor told the same time do not all come back at it.
            Limiter::Vendor if self.jitter == Jitter::Full => {
                Decision::RetryAfter(hint.saturating_add((hint / 10).mul_f64(spread)))
            }
            Limiter::Vendor => Decision::RetryAfter(hint),
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

impl RetryPolicy for Backoff {
    fn decide(&self, event: RetryEvent) -> Decision {
        let RetryEvent { fault, attempt, hint, spread, .. } = event;
        if attempt >= self.attempts {
            return Decision::Stop;
        }
        // "Now" is no hint: an endpoint that says it for ever would be asked without a pause.
        let hint = match fault.same() {
            Same::AfterHint(own) => own.or(hint),
            _ => hint,
        }
        .filter(|hint| !hint.is_zero());
        match (fault.same(), hint) {
            (Same::AfterBlock, _) if attempt <= self.block_waits => {
                Decision::RetryAfter(self.block_time)
            }
            (Same::AfterHint(_) | Same::AfterBackoff, Some(hint)) => self.hinted(hint, event),
            (Same::AfterHint(_) | Same::AfterBackoff, None) => {
                Decision::RetryAfter(self.backoff(attempt, spread))
            }
            _ => Decision::Stop,
        }
    }
}

const fn limiter(fault: Fault) -> Limiter {
    match fault {
        Fault::RateLimited { by, .. } => by,
        _ => Limiter::Vendor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(fault: Fault, attempt: u32) -> RetryEvent {
        let elapsed = Duration::ZERO;
        let method = Method::of("eth_call");
        RetryEvent { fault, attempt, elapsed, method, hint: None, spread: 1.0 }
    }

    fn limited(retry_after: Duration) -> Fault {
        Fault::RateLimited { retry_after: Some(retry_after), by: Limiter::Vendor }
    }

    #[test]
    fn a_backoff_doubles_up_to_its_cap() {
        let policy = Backoff::new().with_jitter(Jitter::None).with_attempts(u32::MAX);
        let wait = |attempt| policy.decide(event(Fault::ServerError, attempt));
        let after = |ms| Decision::RetryAfter(Duration::from_millis(ms));
        assert_eq!((1..=4).map(wait).collect::<Vec<_>>(), [100, 200, 400, 800].map(after));
        assert_eq!(wait(1000), after(10_000));
    }

    #[test]
    fn full_jitter_spreads_over_the_whole_backoff() {
        let policy = Backoff::new().with_cap(Duration::MAX).with_attempts(u32::MAX);
        let wait = |attempt, spread| {
            policy.decide(RetryEvent { spread, ..event(Fault::ServerError, attempt) })
        };
        let after = |ms| Decision::RetryAfter(Duration::from_millis(ms));
        assert_eq!([0.0, 0.5, 1.0].map(|spread| wait(1, spread)), [0, 50, 100].map(after));
        assert_eq!(wait(2, 0.5), after(100));
        assert!(matches!(wait(u32::MAX - 1, 0.999_999), Decision::RetryAfter(_)));
    }

    #[test]
    fn a_hint_is_obeyed_up_to_a_maximum() {
        let policy = Backoff::new();
        let hint = Duration::from_secs(3);
        let Decision::RetryAfter(wait) = policy.decide(event(limited(hint), 1)) else { panic!() };
        assert!((hint..=hint + hint / 10).contains(&wait), "{wait:?}");
        let year = Duration::from_secs(365 * 86_400);
        assert_eq!(policy.decide(event(limited(year), 1)), Decision::Stop);
    }

    #[test]
    fn a_hint_of_nothing_is_none() {
        let wait = Decision::RetryAfter(Duration::from_millis(100));
        assert_eq!(Backoff::new().decide(event(limited(Duration::ZERO), 1)), wait);
    }

    #[test]
    fn missing_data_has_a_cap_of_its_own() {
        let policy = Backoff::new();
        let wait = Decision::RetryAfter(Duration::from_secs(2));
        assert_eq!(policy.decide(event(Fault::MissingData, 2)), wait);
        assert_eq!(policy.decide(event(Fault::MissingData, 3)), Decision::Stop);
    }

    #[test]
    fn what_the_same_endpoint_would_say_again_is_not_asked_again() {
        let policy = Backoff::new();
        for fault in [Fault::Reverted, Fault::TxRejected, Fault::Unauthorized, Fault::Unknown] {
            assert_eq!(policy.decide(event(fault, 1)), Decision::Stop);
        }
    }
}
