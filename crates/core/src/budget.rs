//! How many extra requests a pipeline may cause.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// One extra request, in the unit in which the budget counts.
const TOKEN: u64 = 1000;

/// The token budget of one pipeline, on which its retries and failovers draw, so that endpoints
/// in trouble are not buried under the extra requests.
///
/// Every call pays in a share of a token (20 % by default), every extra request takes a whole one.
/// A pipeline with little traffic lives from a reserve: ten tokens at the start, refilled by one
/// per second. Clones are handles on the same budget: give one to every layer of a pipeline.
///
/// The defaults are those of Finagle's and Linkerd's retry budgets: 20 % and, at the start,
/// 10 requests.
#[derive(Clone)]
pub struct Budget {
    state: Arc<State>,
    pays: bool,
}

struct State {
    /// In thousandths of a token.
    balance: AtomicU64,
    share: u64,
    cap: u64,
    reserve: u64,
    refilled: Mutex<Option<Instant>>,
}

impl Budget {
    /// `share` of an extra request for every call (0.2 is 20 %), and a reserve of `reserve`
    /// requests for quiet times, refilled by one per second.
    ///
    /// At most 100 tokens more than the reserve are saved up.
    pub fn new(share: f64, reserve: u32) -> Self {
        let reserve = u64::from(reserve) * TOKEN;
        let state = State {
            balance: AtomicU64::new(reserve),
            share: (share.clamp(0.0, 1000.0) * TOKEN as f64) as u64,
            cap: reserve + 100 * TOKEN,
            reserve,
            refilled: Mutex::new(None),
        };
        Self { state: Arc::new(state), pays: true }
    }

    /// A handle that draws on this budget and pays nothing in: for a layer above one that pays in
    /// for the same calls already.
    #[must_use]
    pub fn drawing(&self) -> Self {
        Self { state: Arc::clone(&self.state), pays: false }
    }

    /// A budget that never runs out.
    pub fn unlimited() -> Self {
        let budget = Self::new(0.0, 0);
        budget.state.balance.store(u64::MAX, Relaxed);
        budget
    }

    /// Pays in for `calls` calls.
    pub fn deposit(&self, calls: usize) {
        let balance = self.state.balance.load(Relaxed);
        // Above the cap nothing is written, so that a healthy pipeline's threads share the line.
        if self.pays && balance < self.state.cap {
            self.state.balance.fetch_add(self.state.share * calls as u64, Relaxed);
        }
    }

    /// Takes one extra request out, if the budget has it.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        self.refill();
        let take = |balance: u64| match balance {
            u64::MAX => Some(balance),
            _ => balance.checked_sub(TOKEN),
        };
        self.state.balance.fetch_update(Relaxed, Relaxed, take).is_ok()
    }

    /// How many extra requests it has now.
    pub fn balance(&self) -> u64 {
        self.state.balance.load(Relaxed) / TOKEN
    }

    /// Only as far as the reserve, so that silence saves up nothing more.
    fn refill(&self) {
        let now = Instant::now();
        let mut refilled = self.state.refilled.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = now.duration_since(*refilled.get_or_insert(now)).as_secs();
        if seconds == 0 {
            return;
        }
        *refilled = refilled.map(|last| last + Duration::from_secs(seconds));
        let add = |balance: u64| {
            (balance < self.state.reserve).then(|| {
                balance.saturating_add(seconds.saturating_mul(TOKEN)).min(self.state.reserve)
            })
        };
        let _ = self.state.balance.fetch_update(Relaxed, Relaxed, add);
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(0.2, 10)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("balance", &self.balance()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(budget: &Budget) -> usize {
        std::iter::repeat_with(|| budget.withdraw()).take_while(|taken| *taken).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_fifth_of_the_calls_may_be_repeated() {
        let budget = Budget::default();
        assert_eq!(drain(&budget), 10);
        (0..100).for_each(|_| budget.deposit(1));
        assert_eq!(drain(&budget), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn the_reserve_comes_back_with_time_and_no_further() {
        let budget = Budget::default();
        assert_eq!(drain(&budget), 10);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(drain(&budget), 3);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(drain(&budget), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn savings_are_capped() {
        let budget = Budget::default();
        (0..10_000).for_each(|_| budget.deposit(1));
        assert_eq!(drain(&budget), 110);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drawing_handle_pays_nothing_in() {
        let budget = Budget::default();
        let drawing = budget.drawing();
        (0..100).for_each(|_| drawing.deposit(1));
        assert_eq!(drain(&drawing), 10);
        assert_eq!(drain(&budget), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unlimited_budget_never_runs_out() {
        let budget = Budget::unlimited();
        assert!((0..1000).all(|_| budget.withdraw()));
    }
}
