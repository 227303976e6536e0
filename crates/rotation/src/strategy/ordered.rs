use super::{Candidates, Strategy};
use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

const RETURN_AFTER: Duration = Duration::from_secs(30);
/// No endpoint has this place.
const NOBODY: usize = usize::MAX;

/// The first endpoint that can serve, in the order in which they were added; and sticky.
///
/// When the endpoint in use cannot serve, it moves to another and stays there. It returns to an
/// earlier one once that has been healthy for 30 seconds: so an endpoint that comes and goes does
/// not take the calls with it each time. For a cheap primary and a dear backup.
///
/// That one call failed over does not move it: only that the endpoint in use is no candidate any
/// more. Weights mean nothing to it.
#[derive(Debug)]
pub struct Ordered {
    /// The place of the endpoint in use.
    current: AtomicUsize,
    return_after: Duration,
}

// === impl Ordered ===

impl Ordered {
    /// Returns to an earlier endpoint after 30 seconds.
    pub const fn new() -> Self {
        Self { current: AtomicUsize::new(NOBODY), return_after: RETURN_AFTER }
    }

    /// Always the first that can serve: returns to an earlier endpoint at once.
    pub const fn strict() -> Self {
        Self::new().with_return_after(Duration::ZERO)
    }

    /// Returns to an earlier endpoint once that has been healthy for so long.
    #[must_use]
    pub const fn with_return_after(mut self, time: Duration) -> Self {
        self.return_after = time;
        self
    }
}

impl Strategy for Ordered {
    fn choose(&self, candidates: &Candidates<'_>) -> usize {
        let current = self.current.load(Relaxed);
        let in_use = candidates.iter().position(|candidate| candidate.order() == current);
        let mut earlier = candidates[..in_use.unwrap_or(candidates.len())].iter();
        let chosen = if self.return_after.is_zero() || current == NOBODY {
            0
        } else {
            let returned = earlier.position(|other| other.healthy_for() >= self.return_after);
            returned.or(in_use).unwrap_or(0)
        };
        if let Some(chosen) = candidates.get(chosen)
            && chosen.order() != current
            && !candidates.is_detour()
        {
            self.current.store(chosen.order(), Relaxed);
            if current != NOBODY {
                candidates.tell_of_move(chosen);
            }
        }
        chosen
    }

    fn reset(&self) {
        self.current.store(NOBODY, Relaxed);
    }
}

impl Default for Ordered {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::Field, *};

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn asks_the_first_as_long_as_it_can_serve() {
        let (field, strategy) = (Field::of(&[1, 9, 9]), Ordered::default());
        assert_eq!(field.row(&strategy, "abc", 5), "aaaaa");
    }

    #[tokio::test(start_paused = true)]
    async fn stays_with_the_one_it_moved_to_until_an_earlier_one_was_healthy_for_long() {
        let (field, strategy) = (Field::of_healthy(3).await, Ordered::new());
        field.heal(0, secs(0));
        assert_eq!(field.first(&strategy, "abc"), 'a');
        assert_eq!(field.first(&strategy, "bc"), 'b');
        assert_eq!(field.first(&strategy, "abc"), 'b');
        field.heal(0, secs(29));
        assert_eq!(field.first(&strategy, "abc"), 'b');
        field.heal(0, secs(30));
        assert_eq!(field.row(&strategy, "abc", 2), "aa");
    }

    #[tokio::test(start_paused = true)]
    async fn moves_to_one_that_has_been_healthy_rather_than_to_one_that_has_just_healed() {
        let (field, strategy) = (Field::of_healthy(3).await, Ordered::new());
        field.heal(0, secs(5));
        assert_eq!(field.first(&strategy, "bc"), 'b');
        assert_eq!(field.first(&strategy, "ac"), 'c');
        assert_eq!(field.first(&strategy, "abc"), 'b');
    }

    #[test]
    fn a_failover_of_one_call_does_not_move_it() {
        let (field, strategy) = (Field::of(&[1, 1, 1]), Ordered::new());
        assert_eq!(field.first(&strategy, "abc"), 'a');
        assert_eq!(field.next(&strategy, "bc"), 'b');
        assert_eq!(field.first(&strategy, "abc"), 'a');
        assert_eq!(field.first(&strategy, "bc"), 'b');
        assert_eq!(field.next(&strategy, "ac"), 'a');
        assert_eq!(field.first(&strategy, "abc"), 'b');
    }

    #[test]
    fn strict_order_returns_at_once() {
        let (field, strategy) = (Field::of(&[1, 1]), Ordered::strict());
        assert_eq!(field.first(&strategy, "ab"), 'a');
        assert_eq!(field.first(&strategy, "b"), 'b');
        assert_eq!(field.first(&strategy, "ab"), 'a');
    }

    #[test]
    fn a_reset_goes_back_to_the_first_at_once() {
        let (field, strategy) = (Field::of(&[1, 1]), Ordered::new());
        assert_eq!(field.first(&strategy, "b"), 'b');
        assert_eq!(field.first(&strategy, "ab"), 'b');
        strategy.reset();
        assert_eq!(field.row(&strategy, "ab", 2), "aa");
    }

    #[test]
    fn a_better_tier_that_comes_back_is_taken_at_once() {
        let (field, strategy) = (Field::of(&[1, 1, 1, 1]), Ordered::new());
        assert_eq!(field.first(&strategy, "ab"), 'a');
        assert_eq!(field.row(&strategy, "cd", 2), "cc");
        assert_eq!(field.row(&strategy, "ab", 2), "aa");
    }
}
