use crate::{
    Role,
    call::doubt::Doubt,
    call::survey::Survey,
    roster::Roster,
    seat::{Seat, circuit::Probe},
};
use alclad_core::{CallOptions, EndpointId, Fault, Kind, Method, Replay, error::NoEndpoint};
use alloy_json_rpc::{Response, SerializedRequest};
use smallvec::SmallVec;
use std::{slice, time::Duration};

/// Where one member has been, and what it learnt there.
#[derive(Default)]
pub(crate) struct Route {
    /// The endpoints that were asked, in that order.
    pub(crate) asked: SmallVec<[usize; 4]>,
    /// Those whose fault counts only if another endpoint answers well.
    pub(crate) suspects: SmallVec<[Suspect; 1]>,
    /// The error that nobody knows, as the last endpoint put it.
    pub(crate) unknown: Option<Response>,
    /// An answer in hand that another endpoint may put right.
    pub(crate) doubt: Option<Doubt>,
    /// Those whose own limiter had no room, and for how long.
    pub(crate) over_limit: SmallVec<[(usize, Duration); 1]>,
    /// Those that said that they do not have the block.
    pub(crate) lacking: SmallVec<[usize; 1]>,
    /// Those where a transaction may have arrived although they did not say so.
    pub(crate) arrived: SmallVec<[usize; 1]>,
    /// How many endpoints have rejected the transaction.
    pub(crate) rejections: usize,
}

#[derive(Clone, Copy)]
pub(crate) struct Suspect {
    pub(crate) seat: usize,
    pub(crate) age: u32,
    pub(crate) fault: Fault,
}

/// One member's request, looked at once for all endpoints.
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a SerializedRequest,
    pub(crate) method: &'static Method,
    /// All that would be sent with it.
    pub(crate) packet: &'a [SerializedRequest],
    pub(crate) pin: Option<&'a EndpointId>,
}

impl<'a> Asked<'a> {
    pub(crate) fn of(request: &'a SerializedRequest) -> Self {
        let pin = CallOptions::of(request).and_then(|options| options.endpoint.as_ref());
        let (method, packet) = (Method::of(request.method()), slice::from_ref(request));
        Self { request, method, packet, pin }
    }

    /// Whether all endpoints are alike to it, as to nearly every call.
    #[inline]
    fn goes_anywhere(&self) -> bool {
        self.pin.is_none() && self.method.kind == Kind::Read
    }
}

/// Whom to ask next.
pub(crate) enum Next {
    Ask(Pick),
    /// Everybody was asked, or those that were not want to be left alone for so long.
    Nobody(Option<Duration>),
    /// Nobody was asked, and everybody wants to be left alone for so long.
    AllParked(Duration),
    /// There is nobody to ask.
    NoEndpoint(NoEndpoint),
}

pub(crate) struct Pick {
    pub(crate) seat: usize,
    pub(crate) standing: Standing,
    /// Held while a half-open endpoint is asked.
    pub(crate) probe: Option<Probe>,
}

/// How good a choice an endpoint is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Healthy and fresh.
    Good,
    /// Healthy, but behind what is asked for.
    Behind,
    /// Asked because there is nobody better.
    Trouble,
}

/// That of a call that has not been anywhere.
pub(crate) static NOWHERE: Route = Route {
    asked: SmallVec::new_const(),
    suspects: SmallVec::new_const(),
    unknown: None,
    doubt: None,
    over_limit: SmallVec::new_const(),
    lacking: SmallVec::new_const(),
    arrived: SmallVec::new_const(),
    rejections: 0,
};

impl Route {
    /// One that could serve the member, by the strategy; if there is none, one in trouble.
    pub(crate) fn next(&self, asked: &Asked<'_>, roster: &Roster) -> Next {
        let mut survey = Survey::of(asked, self, roster);
        if let Some((seat, probe)) = survey.probe.take() {
            return ask(seat, Standing::Good, Some(probe));
        }
        if let Some(seat) = survey.chosen(asked, self, roster) {
            return ask(seat, Standing::Good, None);
        }
        let first = self.asked.is_empty();
        match (survey.behind, survey.last_resort, survey.parked, survey.refuses) {
            // It is known to be late, and who is not will have room before the next block.
            (Some((seat, _)), _, Some(left), _)
                if first
                    && roster.seats[seat].lookout.is_lagging()
                    && left <= roster.block_time() =>
            {
                Next::AllParked(left)
            }
            (Some((seat, _)), ..) => ask(seat, Standing::Behind, None),
            (None, Some(seat), ..) => ask(seat, Standing::Trouble, None),
            (None, None, Some(left), _) if first => Next::AllParked(left),
            // The caller is to see the endpoint's own words.
            (None, None, None, Some(seat)) if first => ask(seat, Standing::Trouble, None),
            (None, None, None, None) if first => Next::NoEndpoint(roster.missing(asked.pin)),
            _ => Next::Nobody(survey.parked),
        }
    }

    /// Whether a member that is on its way there may take this one along: if it could be its own
    /// next stop too. A probe takes nobody along.
    pub(crate) fn goes_to(&self, asked: &Asked<'_>, roster: &Roster, stop: usize) -> bool {
        let survey = Survey::of(asked, self, roster);
        match survey.candidates.is_empty() && survey.probe.is_none() {
            true => matches!(self.next(asked, roster), Next::Ask(pick) if pick.seat == stop),
            false => survey.candidates.iter().any(|candidate| candidate.index == stop),
        }
    }

    /// Whether the member may be asked there at all.
    #[inline(always)]
    pub(crate) fn may_go(&self, asked: &Asked<'_>, roster: &Roster, index: usize) -> bool {
        roster.may_serve(&roster.seats[index], asked.method)
            && (asked.goes_anywhere() || is_its_place(asked, roster, index))
            && (self.asked.is_empty() || !self.asked.contains(&index))
    }

    /// Only what can be asked again elsewhere tries out an endpoint in trouble. One that is there
    /// for transactions alone is tried out with those.
    pub(crate) fn may_probe(&self, method: &Method, seat: &Seat) -> bool {
        let may_replay = match method.replay {
            Replay::Freely => true,
            Replay::ByHash => seat.role == Role::Write,
            _ => false,
        };
        may_replay && self.doubt.is_none()
    }

    /// For how long an endpoint's own limiter has no room, if it was asked and had none.
    pub(crate) fn over_limit_for(&self, seat: usize) -> Option<Duration> {
        self.over_limit.iter().find(|(other, _)| *other == seat).map(|(_, wait)| *wait)
    }

    /// Whether both members have been to the same endpoints, for the same reason.
    pub(crate) fn has_been_where(&self, other: &Self) -> bool {
        let kind = |route: &Self| route.doubt.as_ref().map(|doubt| doubt.kind);
        self.asked == other.asked && kind(self) == kind(other)
    }

    /// Whether two endpoints gave the very same error.
    pub(crate) fn agrees(&self, answer: Option<&Response>) -> bool {
        let error = |answer: &Response| {
            answer.payload.as_error().map(|error| (error.code, error.message.clone()))
        };
        matches!((&self.unknown, answer), (Some(one), Some(other)) if error(one) == error(other))
    }
}

const fn ask(seat: usize, standing: Standing, probe: Option<Probe>) -> Next {
    Next::Ask(Pick { seat, standing, probe })
}

/// Whether a call that does not go just anywhere goes there: it is pinned, or bound to an endpoint.
#[cold]
fn is_its_place(asked: &Asked<'_>, roster: &Roster, index: usize) -> bool {
    let method = asked.method;
    match asked.pin {
        None => !is_bound(method) || roster.first(method) == Some(index),
        Some(endpoint) => roster.is_pinned_to(&roster.seats[index], endpoint, method),
    }
}

/// A subscription lives in its connection, and a filter of which we do not know who made it was
/// made before our time.
fn is_bound(method: &Method) -> bool {
    match method.kind {
        Kind::Subscription => true,
        Kind::Filter => !method.name.starts_with("eth_new"),
        _ => false,
    }
}
