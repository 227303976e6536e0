//! I6: retries, failovers and hedges stay inside their budgets; nobody is asked twice in one pass.

use super::{Finding, Invariant};
use crate::record::{Asked, Ending, Flight, Place, Record, Tag};
use alclad::{
    Fault,
    core::{Kind, Limiter, Method},
};
use std::time::Duration;

/// A token budget, as it was promised to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Purse {
    pub(crate) share: f64,
    pub(crate) reserve: f64,
    changes: Vec<(Duration, f64)>,
    largest: f64,
}

/// Who pays from which purse.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budgets {
    /// Retries; none if they draw on that of the failovers.
    pub(crate) retries: Option<Purse>,
    pub(crate) failovers: Purse,
    pub(crate) hedges: Purse,
}

/// A budget saves up at most so many tokens above its reserve.
const SAVED: f64 = 100.0;

// === impl Purse ===

impl Purse {
    pub(crate) fn new(share: f64, reserve: u32) -> Self {
        Self { share, reserve: f64::from(reserve), ..Self::default() }
    }

    fn pay_in(&mut self, now: Duration, calls: usize) {
        self.changes.push((now, self.share * calls as f64));
    }

    fn take_out(&mut self, now: Duration, calls: usize) {
        if calls > 0 {
            self.largest = self.largest.max(calls as f64);
            self.changes.push((now, -(calls as f64)));
        }
    }

    /// By how much it was overdrawn. A batch may be asked again as a whole if there is one token,
    /// and the reserve is refilled in whole seconds: that is the slack.
    fn overdrawn(&self) -> Option<f64> {
        let mut changes = self.changes.clone();
        // What was paid in at the same instant may have come first.
        changes.sort_by(|one, other| one.0.cmp(&other.0).then(other.1.total_cmp(&one.1)));
        let (mut balance, mut at) = (self.reserve, Duration::ZERO);
        let mut worst = 0.0_f64;
        for (now, change) in changes {
            if balance < self.reserve {
                balance = (balance + (now - at).as_secs_f64()).min(self.reserve);
            }
            at = now;
            balance = (balance + change).min(self.reserve + SAVED);
            worst = worst.min(balance);
        }
        let slack = (self.largest - 1.0).max(0.0) + 1.0 + 1e-6;
        (worst < -slack).then_some(-worst)
    }
}

// === impl Budgets ===

impl Budgets {
    pub(super) fn overdrawn(&self) -> Finding {
        let named = [
            ("retries", self.retries.as_ref()),
            ("failovers", Some(&self.failovers)),
            ("hedges", Some(&self.hedges)),
        ];
        named.into_iter().find_map(|(name, purse)| {
            let purse = purse?;
            let by = purse.overdrawn()?;
            let Purse { share, reserve, .. } = purse;
            let what = format!("{name}: overdrawn by {by:.1} (share {share}, reserve {reserve})");
            Some((Invariant::I6Budgets, what))
        })
    }
}

const fn is_joint(place: Place) -> bool {
    matches!(place, Place::Joint)
}

/// Members come to the rotation: for the first time, or again.
pub(super) fn passes(record: &mut Record, flight: &Flight) {
    let (mut first, mut extra) = (0, Vec::new());
    for tag in flight.members.iter().filter_map(|asked| asked.tag) {
        match record.flights_of(tag, is_joint).last() {
            None => first += 1,
            // What our own limiter stopped was no attempt.
            Some((_, Asked { ending: Some(Ending::Fault(fault)), .. })) if is_local(*fault) => {}
            Some((before, _)) => extra.push(before.ended.unwrap_or(flight.sent)),
        }
    }
    record.tally.retries += extra.len() as u64;
    let Budgets { retries, failovers, hedges } = &mut record.checks.budgets;
    failovers.pay_in(flight.sent, flight.members.len());
    hedges.pay_in(flight.sent, flight.members.len());
    let purse = match retries {
        Some(purse) => {
            purse.pay_in(flight.sent, first);
            purse
        }
        None => failovers,
    };
    // It was drawn when it was decided to ask again.
    if let Some(decided) = extra.iter().max() {
        purse.take_out(*decided, extra.len());
    }
}

const fn is_local(fault: Fault) -> bool {
    matches!(fault, Fault::RateLimited { by: Limiter::Local, .. })
}

/// The doors that a member has been to since it last came to the rotation.
fn since_joint(record: &Record, tag: Tag) -> Vec<(&Flight, &Asked)> {
    let mut doors = Vec::new();
    for (flight, asked) in record.flights_of(tag, |place| !matches!(place, Place::Wire(_))) {
        match flight.place {
            Place::Joint => doors.clear(),
            _ => doors.push((flight, asked)),
        }
    }
    doors
}

/// The rotation asks every endpoint at most once per call.
pub(super) fn asked_twice(record: &Record, flight: &Flight) -> Finding {
    if !record.checks.has_rotation {
        return None;
    }
    flight.members.iter().find_map(|asked| {
        let tag = asked.tag?;
        let again = since_joint(record, tag).iter().any(|(door, _)| door.place == flight.place);
        again.then(|| {
            let what = format!("{tag:?} {} comes to {:?} twice", asked.method, flight.place);
            (Invariant::I6Budgets, what)
        })
    })
}

/// A member goes to one endpoint more: because those before failed, or because one is late.
///
/// The first failover is free, and so is one to an endpoint that is not in trouble.
pub(super) fn goes_on(record: &mut Record, flight: &Flight, endpoint: usize) {
    let (mut paid, mut hedged, mut free) = (0, 0, 0);
    for asked in &flight.members {
        let Some(tag) = asked.tag else { continue };
        let doors = since_joint(record, tag);
        let is_write = Method::of(&asked.method).kind == Kind::Write;
        if doors.iter().any(|(door, _)| door.ended.is_none()) {
            hedged += usize::from(!is_write);
        } else if doors.len() >= 2 && (record.checks.is_open)(endpoint) {
            paid += 1;
        } else if !doors.is_empty() {
            free += 1;
        }
    }
    record.tally.hedges += hedged as u64;
    record.tally.failovers += free + paid as u64;
    record.tally.last_resorts += paid as u64;
    let budgets = &mut record.checks.budgets;
    budgets.failovers.take_out(flight.sent, paid);
    budgets.hedges.take_out(flight.sent, hedged);
}
