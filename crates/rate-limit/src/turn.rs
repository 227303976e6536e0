//! Waiting for one's turn.

use crate::{gate::Turn, shared::Shared};
use alclad_core::error::OverLimit;
use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::Ordering::Relaxed,
    task::{Poll, Waker, ready},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

impl Shared {
    /// Waits until the packet passes, and says when that was; not if it would be after `latest`.
    pub(crate) async fn wait(&self, cost: u64, latest: Instant) -> Result<Instant, OverLimit> {
        let start = Instant::now();
        let place = Place::take(self, start, cost, latest)?;
        let mut sleep = pin!(sleep_until(latest));
        let passed = poll_fn(|cx| {
            loop {
                let now = Instant::now();
                let wake_at = match place.advance(now, cx.waker()) {
                    Turn::Passed => return Poll::Ready(Ok(now)),
                    _ if now >= latest => return Poll::Ready(Err(place.give_up(now))),
                    Turn::First(due) => due.min(latest),
                    Turn::Behind => latest,
                };
                if sleep.deadline() != wake_at {
                    sleep.as_mut().reset(wake_at);
                }
                ready!(sleep.as_mut().poll(cx));
            }
        });
        let passed = passed.await?;
        let nanos = u64::try_from((passed - start).as_nanos()).unwrap_or(u64::MAX);
        self.counts.waited_nanos.fetch_add(nanos, Relaxed);
        Ok(passed)
    }

    fn refuse(&self, wait: Duration) -> OverLimit {
        self.counts.refused.fetch_add(1, Relaxed);
        // As timers count: in milliseconds, and never too early.
        let millis = wait.as_nanos().div_ceil(1_000_000);
        OverLimit::new(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

/// A place in the queue, given up when dropped.
struct Place<'a> {
    shared: &'a Shared,
    number: u64,
}

impl<'a> Place<'a> {
    /// The last one, unless there is none or it would take too long.
    fn take(
        shared: &'a Shared,
        now: Instant,
        cost: u64,
        latest: Instant,
    ) -> Result<Self, OverLimit> {
        let mut state = shared.state();
        let due = state.gate.due(now, cost);
        if due > latest || state.gate.waiters() >= shared.settings.max_waiters {
            drop(state);
            return Err(shared.refuse(due - now));
        }
        Ok(Self { shared, number: state.gate.enter(cost) })
    }

    fn advance(&self, now: Instant, waker: &Waker) -> Turn {
        self.shared.state().gate.advance(now, self.number, waker)
    }

    fn give_up(&self, now: Instant) -> OverLimit {
        let due = self.shared.state().gate.due_of(now, self.number);
        self.shared.refuse(due - now)
    }
}

impl Drop for Place<'_> {
    /// Also after it has passed: then the next one is first.
    fn drop(&mut self) {
        let next = self.shared.state().gate.leave(self.number);
        if let Some(next) = next {
            next.wake();
        }
    }
}
