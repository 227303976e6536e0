use crate::{
    call::route::{Asked, Route},
    freshness::Wanted,
    roster::Roster,
    seat::{
        Seat,
        circuit::{Access, Probe},
    },
    strategy::{Candidate, Candidates},
};
use smallvec::SmallVec;
use std::time::Duration;

/// Who could serve one member now.
#[derive(Default)]
pub(crate) struct Survey<'a> {
    /// Those that are healthy, fresh and free, all of one tier.
    pub(crate) candidates: SmallVec<[Candidate<'a>; 4]>,
    /// A half-open one of this tier or a better one, to be tried out.
    pub(crate) probe: Option<(usize, Probe)>,
    /// The one that is the fewest blocks behind.
    pub(crate) behind: Option<(usize, u64)>,
    /// The first that is in trouble.
    pub(crate) last_resort: Option<usize>,
    /// The first that would refuse.
    pub(crate) refuses: Option<usize>,
    /// A healthy one was left out, because of what this call asks for.
    pub(crate) is_partial: bool,
    /// When the first is free that wants to be left alone, or whose limiter is empty.
    pub(crate) parked: Option<Duration>,
}

impl<'a> Survey<'a> {
    pub(crate) fn of(asked: &Asked<'_>, route: &Route, roster: &'a Roster) -> Self {
        let wanted = roster.wanted(asked.request);
        // Transactions that have endpoints of their own say nothing of where the reads go.
        let is_partial = roster.has_writers && asked.method.is_send();
        let mut survey = Self { is_partial, ..Self::default() };
        if let Some(switched) = roster.switched
            && route.may_go(asked, roster, switched)
        {
            survey.add(switched, &roster.seats[switched], asked, route, &wanted);
            if survey.has_found() {
                return survey;
            }
            survey = Self { is_partial, ..Self::default() };
        }
        let mut tier = None;
        for (index, seat) in roster.seats.iter().enumerate() {
            if survey.has_found() && tier != Some(seat.tier) {
                break;
            }
            tier = Some(seat.tier);
            if !route.may_go(asked, roster, index) {
                continue;
            }
            // Nearly always nothing stands against an endpoint.
            match matches!(wanted, Wanted::Anything) && seat.is_plain() {
                true => survey.candidates.push(Candidate::new(seat, index)),
                false => survey.add(index, seat, asked, route, &wanted),
            }
        }
        survey
    }

    /// By the strategy, one of the candidates.
    pub(crate) fn chosen(
        &self,
        asked: &Asked<'_>,
        route: &Route,
        roster: &Roster,
    ) -> Option<usize> {
        let is_detour = self.is_partial || !route.asked.is_empty();
        let candidates = Candidates::new(&self.candidates, asked.request.method(), is_detour)
            .with_changes(&roster.shared.changes);
        let chosen = match asked.pin {
            Some(_) => candidates.first(),
            None if candidates.is_empty() => None,
            None => candidates.chosen_by(&*roster.shared.strategy),
        };
        chosen.map(|chosen| chosen.index)
    }

    /// A worse tier sees nothing while a better one can serve.
    fn has_found(&self) -> bool {
        !self.candidates.is_empty() || self.probe.is_some()
    }

    fn add(
        &mut self,
        index: usize,
        seat: &'a Seat,
        asked: &Asked<'_>,
        route: &Route,
        wanted: &Wanted,
    ) {
        if !seat.methods.offers(asked.request.method()) {
            self.refuses = self.refuses.or(Some(index));
            self.is_partial = true;
            return;
        }
        match seat.circuit.access() {
            Access::Free => {
                let wait = seat.free_in(asked.packet);
                self.is_partial |= !wait.is_zero() || !wanted.is_at(&seat.lookout);
                if !wait.is_zero() {
                    self.park(wait);
                } else if wanted.is_at(&seat.lookout) {
                    self.candidates.push(Candidate::new(seat, index));
                } else if self.behind.is_none_or(|(_, lag)| seat.lookout.lag() < lag) {
                    self.behind = Some((index, seat.lookout.lag()));
                }
            }
            // What tries it out is asked in earnest: it has to be there, and to have room.
            Access::Probe(probe)
                if self.probe.is_none()
                    && route.may_probe(asked.method, seat)
                    && wanted.is_at(&seat.lookout)
                    && seat.free_in(asked.packet).is_zero() =>
            {
                self.probe = Some((index, probe));
            }
            Access::Parked(left) => self.park(left),
            Access::Refused => self.refuses = self.refuses.or(Some(index)),
            Access::Probe(_) | Access::LastResort => {
                self.last_resort = self.last_resort.or(Some(index));
            }
        }
    }

    fn park(&mut self, left: Duration) {
        self.parked = Some(self.parked.map_or(left, |parked| parked.min(left)));
    }
}
