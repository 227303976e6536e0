//! How many extra requests a pipeline may cause.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// One extra request, in the unit in which the budget counts.
const TOKEN: i64 = 1000;

/// The balance of a budget that never runs out.
const ENDLESS: i64 = i64::MAX;

/// The token budget of one pipeline, on which its retries and failovers draw, so that endpoints
/// in trouble are not buried under the extra requests.
///
/// Every call pays in a share of a token (20 % by default), every extra one takes a whole token;
/// a batch is as many calls as it has members. A pipeline with little traffic lives from a
/// reserve: ten tokens at the start, refilled by one per second. Clones are handles on the same
/// budget: give one to every layer of a pipeline.
///
/// The defaults are those of Finagle's and Linkerd's retry budgets: 20 % and, at the start,
/// 10 requests.
#[derive(Clone)]
pub struct Budget {
    state: Arc<State>,
    pays: bool,
}

struct State {
    /// In thousandths of a token; a batch may have left debts.
    balance: AtomicI64,
    share: i64,
    cap: i64,
    reserve: i64,
    refilled: Mutex<Option<Instant>>,
}

impl Budget {
    /// `share` of an extra request for every call (0.2 is 20 %), and a reserve of `reserve`
    /// requests for quiet times, refilled by one per second.
    ///
    /// At most 100 tokens more than the reserve are saved up.
    pub fn new(share: f64, reserve: u32) -> Self {
        let reserve = i64::from(reserve) * TOKEN;
        let state = State {
            balance: AtomicI64::new(reserve),
            share: (share.clamp(0.0, 1000.0) * TOKEN as f64) as i64,
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
        budget.state.balance.store(ENDLESS, Relaxed);
        budget
    }

    /// Pays in for `calls` calls.
    pub fn deposit(&self, calls: usize) {
        let State { balance, share, cap, .. } = &*self.state;
        let room = cap.saturating_sub(balance.load(Relaxed));
        // Above the cap nothing is written, so that a healthy pipeline's threads share the line.
        if self.pays && room > 0 {
            balance.fetch_add(share.saturating_mul(signed(calls)).min(room), Relaxed);
        }
    }

    /// Takes one extra call out, if the budget has it.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        self.withdraw_all(1)
    }

    /// Takes this many extra calls out, which go as one packet, if the budget has the first of
    /// them: it is all or none, or a large batch could never be asked again as a whole. What the
    /// budget lacks is owed, and paid back before the next extra call.
    #[must_use]
    pub fn withdraw_all(&self, calls: usize) -> bool {
        self.refill();
        let take = |balance: i64| match balance {
            ENDLESS => Some(balance),
            _ => (balance >= TOKEN).then(|| balance.saturating_sub(tokens(calls))),
        };
        self.state.balance.fetch_update(Relaxed, Relaxed, take).is_ok()
    }

    /// [`withdraw_all`](Self::withdraw_all) for what is not needed, only good to have: it leaves
    /// half the reserve to what is.
    #[must_use]
    pub fn withdraw_spare(&self, calls: usize) -> bool {
        let needed = self.state.reserve / 2 + tokens(calls);
        self.state.balance.load(Relaxed) >= needed && self.withdraw_all(calls)
    }

    /// Puts back what a call has drawn that turned out to be needed after all.
    pub fn give_back(&self, calls: usize) {
        let add = |balance: i64| {
            (balance != ENDLESS).then(|| balance.saturating_add(tokens(calls)).min(self.state.cap))
        };
        let _ = self.state.balance.fetch_update(Relaxed, Relaxed, add);
    }

    /// How many extra calls it has now.
    pub fn balance(&self) -> u64 {
        u64::try_from(self.state.balance.load(Relaxed) / TOKEN).unwrap_or_default()
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
        let reserve = self.state.reserve;
        let add = |balance: i64| {
            let refilled = || balance.saturating_add(tokens(seconds)).min(reserve);
            (balance < reserve).then(refilled)
        };
        let _ = self.state.balance.fetch_update(Relaxed, Relaxed, add);
    }
}

fn tokens(count: impl TryInto<i64>) -> i64 {
    signed(count).saturating_mul(TOKEN)
}

fn signed(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
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
    async fn a_large_batch_overdraws_it_once_and_is_paid_back() {
        let budget = Budget::default();
        assert!(budget.withdraw_all(100));
        assert!(!budget.withdraw());
        budget.deposit(450);
        assert!(!budget.withdraw());
        budget.deposit(5);
        assert_eq!(drain(&budget), 1);
        assert!(!budget.withdraw_all(2));
        assert_eq!(budget.balance(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_pays_in_no_further_than_the_cap() {
        let budget = Budget::default();
        budget.deposit(usize::MAX);
        assert_eq!(drain(&budget), 110);
        assert!(!Budget::new(f64::NAN, 0).withdraw());
        Budget::new(f64::INFINITY, u32::MAX).deposit(usize::MAX);
        let endless = Budget::unlimited();
        endless.deposit(usize::MAX);
        assert!(endless.withdraw_all(usize::MAX) && endless.withdraw());
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
