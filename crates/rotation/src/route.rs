use crate::{
    circuit::{Access, Probe},
    seat::Seat,
    verdict::Attempt,
};
use alclad_core::{CallOptions, EndpointId, Fault, Kind, Method, Replay, error::NoEndpoint};
use alloy_json_rpc::{Response, SerializedRequest};
use smallvec::SmallVec;
use std::time::Duration;

/// Where one member has been, and what it learnt there.
#[derive(Default)]
pub(crate) struct Route {
    /// The endpoints that were asked, in that order.
    pub(crate) asked: SmallVec<[usize; 4]>,
    /// Those whose fault counts only if another endpoint answers well.
    pub(crate) suspects: SmallVec<[(Attempt, Fault); 1]>,
    /// The error that nobody knows, as the last endpoint put it.
    pub(crate) unknown: Option<Response>,
    /// A `null` that another endpoint is to confirm.
    pub(crate) null: Option<Response>,
    /// The `null` is most often the truth.
    pub(crate) null_is_likely: bool,
}

/// Whom to ask next.
pub(crate) enum Next<'a> {
    Ask {
        seat: usize,
        healthy: bool,
        probe: Option<Probe<'a>>,
    },
    /// Everybody was asked.
    Nobody,
    /// Nobody was asked, and everybody wants to be left alone for so long.
    AllParked(Duration),
    /// There is nobody to ask.
    NoEndpoint(NoEndpoint),
}

impl Route {
    /// The first healthy endpoint that was not asked yet; if there is none, one in trouble.
    pub(crate) fn next<'a>(&self, request: &SerializedRequest, seats: &'a [Seat]) -> Next<'a> {
        let (mut last_resort, mut refuses, mut parked) = (None, None, None::<Duration>);
        for (index, seat) in seats.iter().enumerate() {
            if !self.may_go(request, seat, index) {
                continue;
            }
            if !seat.offers(request.method()) {
                refuses = refuses.or(Some(index));
                continue;
            }
            match seat.circuit.access() {
                Access::Free => return Next::Ask { seat: index, healthy: true, probe: None },
                Access::Probe(probe) if self.may_probe(request) => {
                    return Next::Ask { seat: index, healthy: true, probe: Some(probe) };
                }
                Access::Parked(left) => parked = Some(parked.map_or(left, |p| p.min(left))),
                Access::Refused => refuses = refuses.or(Some(index)),
                Access::Probe(_) | Access::LastResort => last_resort = last_resort.or(Some(index)),
            }
        }
        let first = self.asked.is_empty();
        match (last_resort, parked, refuses) {
            (Some(seat), _, _) => Next::Ask { seat, healthy: false, probe: None },
            (None, Some(left), _) if first => Next::AllParked(left),
            // The caller is to see the endpoint's own words.
            (None, None, Some(seat)) if first => Next::Ask { seat, healthy: false, probe: None },
            (None, None, None) if first => Next::NoEndpoint(match pin(request) {
                Some(endpoint) => NoEndpoint::Unknown(endpoint.clone()),
                None => NoEndpoint::Empty,
            }),
            _ => Next::Nobody,
        }
    }

    /// Whether a member that is on its way there may take this one along: if it would be its own
    /// next stop too. A probe takes nobody along.
    pub(crate) fn goes_to(&self, request: &SerializedRequest, seats: &[Seat], stop: usize) -> bool {
        matches!(self.next(request, seats), Next::Ask { seat, probe: None, .. } if seat == stop)
    }

    /// Whether the member may be asked there at all.
    fn may_go(&self, request: &SerializedRequest, seat: &Seat, index: usize) -> bool {
        let allowed = match pin(request) {
            Some(endpoint) => *endpoint == seat.id,
            None => index == 0 || !is_bound(request),
        };
        allowed && !self.asked.contains(&index)
    }

    /// Only what can be asked again elsewhere tries out an endpoint in trouble.
    fn may_probe(&self, request: &SerializedRequest) -> bool {
        Method::of(request.method()).replay == Replay::Freely && self.null.is_none()
    }

    /// Whether both members have been to the same endpoints, for the same reason.
    pub(crate) fn has_been_where(&self, other: &Self) -> bool {
        self.asked == other.asked
            && self.null.is_some() == other.null.is_some()
            && self.null_is_likely == other.null_is_likely
    }

    /// Whether two endpoints gave the very same error.
    pub(crate) fn agrees(&self, answer: Option<&Response>) -> bool {
        let error = |answer: &Response| {
            answer.payload.as_error().map(|error| (error.code, error.message.clone()))
        };
        matches!((&self.unknown, answer), (Some(one), Some(other)) if error(one) == error(other))
    }
}

fn pin(request: &SerializedRequest) -> Option<&EndpointId> {
    CallOptions::of(request)?.endpoint.as_ref()
}

/// A filter lives in the endpoint that made it, a subscription in its connection.
fn is_bound(request: &SerializedRequest) -> bool {
    matches!(Method::of(request.method()).kind, Kind::Filter | Kind::Subscription)
}
