use super::{Candidate, Candidates, Strategy};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One call in so many explores.
const EXPLORES: f64 = 1.0 / 256.0;
/// The step in which `fastrand`'s generator counts from one number to the next.
const STRIDE: u64 = 0x2d35_8dcc_aa6c_78a5;

/// The faster and less busy of two endpoints taken at random: the default within a tier.
///
/// Two candidates are drawn, and the one with the lesser burden is asked: its latency times the
/// requests it would then have in flight, divided by its weight. The latency is a peak EWMA: it
/// follows a slow answer at once and forgets it in the course of 10 seconds. Of two with the same
/// burden either is asked. Drawing two at random and not taking the best of all keeps many
/// clients from running to the same endpoint at once (Mitzenmacher, "The power of two choices in
/// randomized load balancing", 2001).
///
/// An endpoint that was never measured comes first, with one request at a time. A small share of
/// the calls, 1 in 256, goes to any candidate, so that one which has healed or become faster is
/// found; a failover does not explore. An endpoint of weight 0 is asked only when there is none
/// with more.
///
/// A choice takes no lock and no look at the clock, and allocates nothing.
#[derive(Debug)]
pub struct LeastLatency {
    /// Of 2^32 calls so many explore.
    explores: u64,
    dice: Dice,
}

// === impl LeastLatency ===

impl LeastLatency {
    /// Explores with 1 call in 256.
    pub fn new() -> Self {
        Self { explores: threshold(EXPLORES), dice: Dice::OfThread }
    }

    /// This share of the calls (0.01 is 1 %) goes to any candidate, however burdened. With 0 an
    /// endpoint that was slow once is asked again only when the others are slower.
    #[must_use]
    pub fn with_exploration(mut self, share: f64) -> Self {
        self.explores = threshold(share);
        self
    }

    /// Chooses by a sequence of random numbers of its own, which is the same for the same seed:
    /// for tests. Otherwise they come from the thread's generator.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.dice = Dice::Seeded(AtomicU64::new(seed));
        self
    }
}

impl Strategy for LeastLatency {
    fn choose(&self, candidates: &Candidates<'_>) -> usize {
        let weighted = candidates.iter().filter(|candidate| candidate.weight() > 0).count();
        let all = weighted == 0 || weighted == candidates.len();
        let count = if all { candidates.len() } else { weighted };
        let index = |drawn| if all { drawn } else { nth_with_weight(candidates, drawn) };
        if count <= 1 {
            return index(0);
        }
        // The low half tells whether to explore, each quarter of the high half draws one.
        let roll = self.dice.roll();
        let first = below(count, roll >> 32);
        let second = below(count - 1, roll >> 48);
        let second = second + usize::from(second >= first);
        let (first, second) = (index(first), index(second));
        let explores = !candidates.is_detour() && roll & u64::from(u32::MAX) < self.explores;
        if explores || !is_lighter(&candidates[second], &candidates[first]) {
            first
        } else {
            second
        }
    }
}

impl Default for LeastLatency {
    fn default() -> Self {
        Self::new()
    }
}

/// Where random numbers come from.
#[derive(Debug)]
enum Dice {
    OfThread,
    Seeded(AtomicU64),
}

impl Dice {
    fn roll(&self) -> u64 {
        match self {
            Self::OfThread => fastrand::u64(..),
            Self::Seeded(state) => {
                fastrand::Rng::with_seed(state.fetch_add(STRIDE, Relaxed)).u64(..)
            }
        }
    }
}

/// Compares by burden over weight.
fn is_lighter(one: &Candidate<'_>, other: &Candidate<'_>) -> bool {
    let times = |candidate: &Candidate<'_>, weight: u32| {
        u128::from(candidate.burden()) * u128::from(weight.max(1))
    };
    times(one, other.weight()) < times(other, one.weight())
}

/// One of so many, by the low 16 bits.
const fn below(count: usize, bits: u64) -> usize {
    (((bits & 0xffff) * count as u64) >> 16) as usize
}

fn nth_with_weight(candidates: &[Candidate<'_>], nth: usize) -> usize {
    let weighted = candidates.iter().enumerate().filter(|(_, candidate)| candidate.weight() > 0);
    weighted.map(|(index, _)| index).nth(nth).unwrap_or(0)
}

fn threshold(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * 2.0_f64.powi(32)) as u64
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{Field, count},
        *,
    };
    use std::time::Duration;

    const SEED: u64 = 11;

    fn seeded() -> LeastLatency {
        println!("seed {SEED}");
        LeastLatency::new().with_seed(SEED)
    }

    /// A strategy that never explores.
    fn settled() -> LeastLatency {
        seeded().with_exploration(0.0)
    }

    #[test]
    fn of_two_the_faster_is_asked() {
        let field = Field::of(&[1, 1]).answering_in(&[20, 5]);
        assert_eq!(count(&field.row(&settled(), "ab", 100), 'b'), 100);
    }

    #[test]
    fn the_slowest_of_many_is_never_asked_and_the_fastest_most_often() {
        let field = Field::of(&[1; 4]).answering_in(&[40, 30, 20, 10]);
        let row = field.row(&settled(), "abcd", 6_000);
        // Of the six pairs d wins three, c two, b one.
        assert_eq!(count(&row, 'a'), 0);
        assert!((800..1_200).contains(&count(&row, 'b')), "{}", count(&row, 'b'));
        assert!((1_700..2_300).contains(&count(&row, 'c')), "{}", count(&row, 'c'));
        assert!((2_700..3_300).contains(&count(&row, 'd')), "{}", count(&row, 'd'));
    }

    #[test]
    fn a_fast_endpoint_that_is_busy_gives_way() {
        let field = Field::of(&[1, 1]).answering_in(&[20, 5]);
        (0..3).for_each(|_| field.load(1).begin());
        let row = field.row(&settled(), "ab", 1_000);
        assert!((400..600).contains(&count(&row, 'a')), "equal burdens: {row}");
        field.load(1).begin();
        assert_eq!(count(&field.row(&settled(), "ab", 100), 'a'), 100);
    }

    #[test]
    fn equal_endpoints_share_the_calls() {
        let field = Field::of(&[1; 3]).answering_in(&[5, 5, 5]);
        let row = field.row(&seeded(), "abc", 9_000);
        for name in ['a', 'b', 'c'] {
            assert!((2_700..3_300).contains(&count(&row, name)), "{}", count(&row, name));
        }
    }

    #[test]
    fn one_call_in_256_finds_out_who_has_become_faster() {
        let field = Field::of(&[1, 1]).answering_in(&[500, 5]);
        let explored = count(&field.row(&seeded(), "ab", 51_200), 'a');
        // One in 256 explores, and half of those go to the slow one.
        assert!((60..150).contains(&explored), "{explored}");
        let often = seeded().with_exploration(0.5);
        let explored = count(&field.row(&often, "ab", 1_000), 'a');
        assert!((200..300).contains(&explored), "{explored}");
        let always = seeded().with_exploration(f64::INFINITY);
        let explored = count(&field.row(&always, "ab", 1_000), 'a');
        assert!((400..600).contains(&explored), "{explored}");
    }

    #[test]
    fn a_failover_does_not_explore() {
        let field = Field::of(&[1, 1]).answering_in(&[500, 5]);
        let strategy = seeded().with_exploration(1.0);
        assert!((0..100).all(|_| field.next(&strategy, "ab") == 'b'));
    }

    #[test]
    fn who_was_never_measured_is_tried_first_with_one_request() {
        let field = Field::of(&[1, 1]);
        field.load(0).observe(Duration::from_millis(1));
        assert_eq!(count(&field.row(&settled(), "ab", 100), 'b'), 100);
        field.load(1).begin();
        assert_eq!(count(&field.row(&settled(), "ab", 100), 'a'), 100);
    }

    #[test]
    fn weight_divides_the_burden() {
        let field = Field::of(&[1, 3]).answering_in(&[10, 20]);
        assert_eq!(count(&field.row(&settled(), "ab", 100), 'b'), 100);
        let field = Field::of(&[2, 3]).answering_in(&[10, 20]);
        assert_eq!(count(&field.row(&settled(), "ab", 100), 'a'), 100);
    }

    #[test]
    fn without_weight_it_is_asked_only_when_there_is_nobody_else() {
        let field = Field::of(&[0, 1, 0, 1]).answering_in(&[1, 50, 1, 50]);
        let explorer = seeded().with_exploration(0.5);
        let row = field.row(&explorer, "abcd", 1_000);
        assert_eq!((count(&row, 'a'), count(&row, 'c')), (0, 0));
        assert!((400..600).contains(&count(&row, 'b')));
        assert_eq!(field.row(&explorer, "ab", 3), "bbb");
        assert_eq!(field.row(&explorer, "a", 3), "aaa");
        let row = field.row(&settled(), "ac", 1_000);
        assert!((400..600).contains(&count(&row, 'a')));
    }

    #[test]
    fn the_same_seed_makes_the_same_choices() {
        let field = Field::of(&[1; 4]).answering_in(&[5; 4]);
        let row = |seed| field.row(&LeastLatency::new().with_seed(seed), "abcd", 50);
        assert_eq!(row(1), row(1));
        assert_ne!(row(1), row(2));
        let by_thread = LeastLatency::default();
        let row = field.row(&by_thread, "abcd", 2_000);
        assert!("abcd".chars().all(|name| (300..700).contains(&count(&row, name))));
    }
}
