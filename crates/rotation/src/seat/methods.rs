use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// How long an endpoint is believed that it does not offer a method.
const UNSUPPORTED_FOR: Duration = Duration::from_secs(600);
/// So many `null`s of one method in a row, each refuted by another endpoint, and it is not asked
/// for that method.
const REFUTED: u32 = 3;
/// For so long; then one more refuted `null` is enough.
const REFUTED_FOR: Duration = Duration::from_secs(60);
/// So many methods are remembered per endpoint; past them, nothing is.
const METHODS: usize = 64;
/// No method of any vendor has a longer name.
const LONGEST: usize = 64;

/// The methods for which an endpoint is not asked while another one is there.
#[derive(Default)]
pub(crate) struct Methods {
    any: AtomicBool,
    known: Mutex<BTreeMap<String, Flaw>>,
}

struct Flaw {
    /// How many of its `null`s in a row were refuted.
    refuted: u32,
    until: Instant,
}

// === impl Methods ===

impl Methods {
    pub(crate) fn are_all_offered(&self) -> bool {
        !self.any.load(Relaxed)
    }

    pub(crate) fn offers(&self, method: &str) -> bool {
        self.are_all_offered()
            || self.lock().get(method).is_none_or(|flaw| flaw.until <= Instant::now())
    }

    /// It said that it does not offer this method.
    pub(crate) fn refused(&self, method: &str) {
        self.update(method, |flaw| flaw.until = Instant::now() + UNSUPPORTED_FOR);
    }

    /// It had nothing where another endpoint had an answer.
    pub(crate) fn lacked(&self, method: &str) {
        self.update(method, |flaw| {
            flaw.refuted += 1;
            if flaw.refuted >= REFUTED {
                flaw.until = Instant::now() + REFUTED_FOR;
            }
        });
    }

    /// It has answered a call of this method well.
    pub(crate) fn answered(&self, method: &str) {
        if self.any.load(Relaxed) {
            let mut known = self.lock();
            known.remove(method);
            self.any.store(!known.is_empty(), Relaxed);
        }
    }

    /// The methods for which it is not asked now.
    pub(crate) fn avoided(&self) -> Vec<String> {
        let now = Instant::now();
        let known = self.lock();
        let avoided = known.iter().filter(|(_, flaw)| flaw.until > now);
        avoided.map(|(method, _)| method.clone()).collect()
    }

    fn update(&self, method: &str, change: impl FnOnce(&mut Flaw)) {
        let mut known = self.lock();
        if known.len() >= METHODS {
            let now = Instant::now();
            known.retain(|_, flaw| flaw.until > now);
        }
        let has_room = known.len() < METHODS && method.len() <= LONGEST;
        if has_room || known.contains_key(method) {
            let fresh = || Flaw { refuted: 0, until: Instant::now() };
            change(known.entry(method.to_owned()).or_insert_with(fresh));
            self.any.store(true, Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Flaw>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
