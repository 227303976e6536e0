use super::{Candidate, Candidates, Strategy};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Each endpoint in turn, as often as its weight says: with weights 5, 1 and 1 the turns are
/// `a a b a c a a`.
///
/// The smooth weighted round robin of nginx (commit
/// [52327e0](https://github.com/nginx/nginx/commit/52327e0627f49dbda1e8db695e63a4b0af4448b1),
/// "smooth weighted round-robin balancing"): at every turn each endpoint gains its weight, the
/// richest is asked, and pays the sum of all weights. Weights may change, and endpoints come and
/// go; what one has saved up or owes is never more than one such sum, so that none is asked or
/// left out for long because of what was before.
///
/// An endpoint of weight 0 is asked only when there is none with more. A failover is a turn too.
/// It takes one short lock per call.
#[derive(Debug, Default)]
pub struct WeightedRoundRobin {
    /// What each endpoint has saved up, by its place.
    savings: Mutex<Vec<i64>>,
}

// === impl WeightedRoundRobin ===

impl WeightedRoundRobin {
    /// Nobody has had a turn yet.
    pub const fn new() -> Self {
        Self { savings: Mutex::new(Vec::new()) }
    }

    fn savings(&self) -> MutexGuard<'_, Vec<i64>> {
        self.savings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Strategy for WeightedRoundRobin {
    fn choose(&self, candidates: &Candidates<'_>) -> usize {
        let no_weights = candidates.iter().all(|candidate| candidate.weight() == 0);
        let gain = |candidate: &Candidate<'_>| match candidate.weight() {
            0 if no_weights => 1,
            weight => i64::from(weight),
        };
        let sum = candidates.iter().map(gain).sum::<i64>();
        let places = candidates.iter().map(|candidate| candidate.order() + 1).max().unwrap_or(0);
        let mut savings = self.savings();
        if savings.len() < places {
            savings.resize(places, 0);
        }
        let mut richest = None;
        for (index, candidate) in candidates.iter().enumerate() {
            let (order, gain) = (candidate.order(), gain(candidate));
            savings[order] = savings[order].clamp(-sum, sum) + gain;
            if gain > 0 && richest.is_none_or(|(_, _, most)| savings[order] > most) {
                richest = Some((index, order, savings[order]));
            }
        }
        let Some((index, order, _)) = richest else { return 0 };
        savings[order] -= sum;
        index
    }

    fn reset(&self) {
        self.savings().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{Field, count},
        *,
    };

    #[test]
    fn a_heavy_endpoint_does_not_have_its_turns_in_a_row() {
        let (field, strategy) = (Field::of(&[5, 1, 1]), WeightedRoundRobin::new());
        assert_eq!(field.row(&strategy, "abc", 14), "aabacaaaabacaa");
    }

    #[test]
    fn shares_are_exact_over_every_round() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut dice = fastrand::Rng::with_seed(seed);
        for _ in 0..200 {
            let weights = [0; 6].map(|_| dice.u32(0..=20).max(1));
            let (field, strategy) = (Field::of(&weights), WeightedRoundRobin::new());
            for _ in 0..3 {
                let row = field.row(&strategy, "abcdef", weights.iter().sum::<u32>() as usize);
                for (name, weight) in "abcdef".chars().zip(weights) {
                    assert_eq!(count(&row, name), weight as usize, "{weights:?}");
                }
            }
        }
    }

    #[test]
    fn without_weight_it_is_asked_only_when_there_is_nobody_else() {
        let (field, strategy) = (Field::of(&[0, 1, 0]), WeightedRoundRobin::new());
        assert_eq!(field.row(&strategy, "abc", 4), "bbbb");
        assert_eq!(field.row(&strategy, "a", 2), "aa");
        assert_eq!(field.row(&strategy, "ac", 4), "acac");
    }

    #[test]
    fn one_that_was_away_does_not_catch_up() {
        let (field, strategy) = (Field::of(&[1, 1, 1]), WeightedRoundRobin::new());
        assert_eq!(field.row(&strategy, "abc", 4), "abca");
        assert_eq!(count(&field.row(&strategy, "bc", 100), 'b'), 50);
        let row = field.row(&strategy, "abc", 30);
        assert!((10..=11).contains(&count(&row, 'a')), "{row}");
        assert!(!row.contains("aa"), "{row}");
    }

    #[test]
    fn one_that_comes_does_not_get_everything() {
        let (field, strategy) = (Field::of(&[2, 2, 2]), WeightedRoundRobin::new());
        assert_eq!(count(&field.row(&strategy, "ab", 1000), 'a'), 500);
        let row = field.row(&strategy, "abc", 30);
        assert_eq!(count(&row, 'c'), 10);
        assert!(!row.contains("cc"), "{row}");
    }

    #[test]
    fn a_weight_that_changes_leaves_no_debts() {
        let (field, strategy) = (Field::of(&[1_000, 1, 1]), WeightedRoundRobin::new());
        assert_eq!(count(&field.row(&strategy, "abc", 500), 'a'), 499);
        field.weigh(0, 1);
        let row = field.row(&strategy, "abc", 30);
        for name in ['a', 'b', 'c'] {
            assert!((8..=12).contains(&count(&row, name)), "{row}");
        }
        field.weigh(1, 0);
        assert_eq!(count(&field.row(&strategy, "abc", 30), 'b'), 0);
    }

    #[test]
    fn a_heavy_one_that_leaves_does_not_set_the_others_at_odds() {
        let (field, strategy) = (Field::of(&[1_000, 1, 1]), WeightedRoundRobin::new());
        field.row(&strategy, "abc", 400);
        let row = field.row(&strategy, "bc", 20);
        assert!((8..=12).contains(&count(&row, 'b')), "{row}");
    }

    #[test]
    fn a_failover_is_a_turn() {
        let (field, strategy) = (Field::of(&[1, 1, 1]), WeightedRoundRobin::new());
        assert_eq!(field.first(&strategy, "abc"), 'a');
        assert_eq!(field.next(&strategy, "bc"), 'b');
        assert_eq!(field.first(&strategy, "abc"), 'c');
    }

    #[test]
    fn a_reset_begins_the_round_anew() {
        let (field, strategy) = (Field::of(&[1, 1, 1]), WeightedRoundRobin::new());
        assert_eq!(field.row(&strategy, "abc", 4), "abca");
        strategy.reset();
        assert_eq!(field.row(&strategy, "abc", 3), "abc");
    }

    #[test]
    fn the_heaviest_weights_there_can_be_do_not_overflow() {
        let (field, strategy) = (Field::of(&[u32::MAX; 4]), WeightedRoundRobin::new());
        assert_eq!(count(&field.row(&strategy, "abcd", 400), 'd'), 100);
    }
}
