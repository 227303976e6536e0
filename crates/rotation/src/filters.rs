use alclad_core::{CallOptions, EndpointId, Kind, Member, Method};
use alloy_json_rpc::{Request, RequestPacket, Response, ResponsePayload, SerializedRequest};
use serde_json::value::to_raw_value;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;

/// So many filters are remembered; for one more, the one that was used longest ago is forgotten.
/// Nodes themselves forget one after five minutes (geth's `filterDeadline`).
const FILTERS: usize = 4096;

/// Which endpoint made which filter.
#[derive(Default)]
pub(crate) struct Filters(Mutex<HashMap<String, Filter>>);

struct Filter {
    endpoint: EndpointId,
    /// What its endpoint calls it, if another endpoint's filter has that name here.
    name: String,
    used: Instant,
}

// === impl Filters ===

impl Filters {
    /// Sends what is about a known filter to the endpoint that made it, under the name that it has
    /// there.
    pub(crate) fn direct(&self, packet: &mut RequestPacket) {
        for request in packet.requests_mut() {
            if Method::of(request.method()).kind != Kind::Filter {
                continue;
            }
            let Some(id) = filter_of(request) else { continue };
            let mut filters = self.lock();
            let Some(filter) = filters.get_mut(&id) else { continue };
            filter.used = Instant::now();
            if filter.name != id {
                rename(request, &filter.name);
            }
            let extensions = request.meta_mut().extensions_mut();
            let options = extensions.remove::<CallOptions>().unwrap_or_default();
            extensions.insert(options.pinned_to(filter.endpoint.clone()));
        }
    }

    /// Remembers who made a filter. If another endpoint's has the same name, as with nodes that
    /// count from 0x1, this one gets a name of its own.
    pub(crate) fn remember(&self, member: &mut Member, endpoint: &EndpointId) {
        let Some(name) = member.last_answer().and_then(made_filter) else { return };
        let mut filters = self.lock();
        make_room(&mut filters);
        let mut id = name.clone();
        while filters.get(&id).is_some_and(|other| other.endpoint != *endpoint) {
            id = format!("0x{:x}{:016x}", 1, fastrand::u64(..));
        }
        if id != name
            && let Ok(payload) = to_raw_value(&id)
        {
            let id = member.question().id().clone();
            member.answer(Response { id, payload: ResponsePayload::Success(payload) });
        }
        let used = Instant::now();
        filters.insert(id, Filter { endpoint: endpoint.clone(), name, used });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Filter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(filters: &mut HashMap<String, Filter>) {
    let used = || filters.iter().min_by_key(|(_, filter)| filter.used);
    if filters.len() >= FILTERS
        && let Some(oldest) = used().map(|(id, _)| id.clone())
    {
        filters.remove(&oldest);
    }
}

fn filter_of(request: &SerializedRequest) -> Option<String> {
    let (id,) = serde_json::from_str::<(String,)>(request.params()?.get()).ok()?;
    Some(id)
}

fn made_filter(answer: &Response) -> Option<String> {
    serde_json::from_str(answer.payload.as_success()?.get()).ok()
}

fn rename(request: &mut SerializedRequest, name: &str) {
    let method = request.method_clone();
    let Ok(params) = to_raw_value(&[name]) else { return };
    let renamed = Request::new(method, request.id().clone(), params).serialize();
    if let Ok(mut renamed) = renamed {
        std::mem::swap(renamed.meta_mut().extensions_mut(), request.meta_mut().extensions_mut());
        *request = renamed;
    }
}
