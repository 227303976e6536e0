use crate::{
    call::{
        Call, Indices, Leg,
        route::{Asked, Next, Standing},
    },
    seat::{Digest, Load},
};
use alclad_core::{Method, names};
use std::{
    future::Future,
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// No call is asked twice before so long.
const FLOOR: Duration = Duration::from_millis(2);
/// So many good answers must have been timed before a time is thought late.
const COLD: u64 = 20;
/// The class of all batches, after the rows of the single methods.
const BATCH: usize = Method::ROWS;

/// When an answer is late: by method, from the times of good answers.
pub(crate) struct Hedging {
    attempt_timeout: Duration,
    times: Box<[OnceLock<Box<Digest>>]>,
}

// === impl Hedging ===

impl Hedging {
    pub(crate) fn new(attempt_timeout: Duration) -> Self {
        Self { attempt_timeout, times: (0..=BATCH).map(|_| OnceLock::new()).collect() }
    }

    fn observe(&self, class: usize, latency: Duration) {
        self.times[class].get_or_init(|| Box::new(Digest::new())).record(latency);
    }

    /// After how long an answer to such a call, from this endpoint, is late.
    fn delay(&self, class: usize, load: &Load) -> Option<Duration> {
        let of_method = late(self.times[class].get()?)?;
        // An endpoint that is always slower is not late; to be asked less is all it deserves.
        let late = of_method.max(late(load.times())?).min(self.attempt_timeout / 2);
        Some(late.max(FLOOR))
    }
}

/// Twice the 90th percentile, so that a tail on one call in ten does not move it, and at most
/// four times the median, so that a longer one does not either.
fn late(times: &Digest) -> Option<Duration> {
    let times = Some(times).filter(|times| times.count() >= COLD)?;
    Some((2 * times.quantile(0.9)?).min(4 * times.quantile(0.5)?))
}

/// Goes off when an answer is late, and again after each further such time.
pub(crate) struct Alarm {
    delay: Duration,
    rings: u32,
    sleep: Pin<Box<Sleep>>,
}

impl Alarm {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(cx)
    }

    fn set_again(&mut self) {
        self.rings += 1;
        let wait = self.delay * (self.rings / 8).max(1);
        self.sleep.as_mut().reset(Instant::now() + wait);
    }
}

impl Call {
    pub(crate) fn set_alarm(&mut self, leg: &Leg) {
        let Some(hedging) = &self.roster.shared.hedging else { return };
        let delay = self.class(&leg.members);
        let delay = delay.and_then(|class| hedging.delay(class, &leg.exchange.seat.load));
        self.alarm = delay.map(|delay| {
            let sleep = Box::pin(sleep_until(Instant::now() + delay));
            Alarm { delay, rings: 0, sleep }
        });
    }

    /// Takes note how long a good answer took.
    pub(crate) fn time(&self, members: &[usize], latency: Duration) {
        if let (Some(hedging), Some(class)) = (&self.roster.shared.hedging, self.class(members)) {
            hedging.observe(class, latency);
        }
    }

    /// What kind of packet it is, for the time that it takes; nothing if it may not be asked
    /// twice at once.
    fn class(&self, members: &[usize]) -> Option<usize> {
        let question = |index: &usize| self.members[*index].question();
        let may_hedge = |index: &usize| {
            let once = question(index)
                .options()
                .is_some_and(|o| o.no_retry || o.ignore_errors || o.endpoint.is_some());
            question(index).method().hedged && !once
        };
        match members {
            members if self.roster.seats.len() < 2 || !members.iter().all(may_hedge) => None,
            [index] => Some(question(index).method().row()),
            _ => Some(BATCH),
        }
    }

    /// The answer is late: asks a second endpoint, if that is allowed now. The first good answer
    /// wins, and the other one ends unheeded.
    ///
    /// The first time half of the reserve is left for those that are later still: so when more
    /// calls are late than the budget has, it is spent on the latest.
    pub(crate) fn hedge(&mut self) {
        let Some(alarm) = &mut self.alarm else { return };
        // Once one of two has failed, the other one may be late as well.
        let [leg] = &self.legs[..] else { return alarm.set_again() };
        let is_early = alarm.rings == 0;
        alarm.set_again();
        // Of those that were asked, a hedge may have answered some.
        let members: Indices = self.open(&leg.members).collect();
        let Some(first) = members.first() else { return };
        let Some(request) = self.members[*first].question().request() else { return };
        let Next::Ask(pick) = self.routes[*first].next(&Asked::of(request), &self.roster) else {
            return;
        };
        let spare = &self.roster.shared.spare;
        let late = &self.roster.seats[leg.index];
        // A worse tier sees nothing while a better one can serve, be it late.
        let is_good = pick.standing == Standing::Good
            && pick.probe.is_none()
            && self.roster.seats[pick.seat].tier <= late.tier;
        let is_allowed = is_good
            && match is_early {
                true => spare.withdraw_spare(members.len()),
                false => spare.withdraw_all(members.len()),
            };
        if is_allowed {
            let first = &self.legs[0].exchange.seat;
            first.count_hedge();
            metrics::counter!(names::HEDGES, names::ENDPOINT => first.id.to_string()).increment(1);
            let leg = self.send(pick, members);
            self.legs.push(Leg { is_hedge: true, ..leg });
        }
    }
}
