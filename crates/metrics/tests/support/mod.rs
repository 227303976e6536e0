//! What a recorder has seen, and an endpoint that answers at once.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use alclad_testkit::{answer, answers};
use alloy_json_rpc::{Id, RequestPacket, ResponsePacket};
use alloy_transport::TransportError;
use metrics_util::debugging::{DebugValue, Snapshotter};
use std::{collections::BTreeMap, future::Ready, future::ready};
use tower::util::{ServiceFn, service_fn};

/// Values by name and labels, as `name{label="value"}`; of histograms, how often and the sum.
pub(crate) type Seen = BTreeMap<String, f64>;

pub(crate) fn seen(snapshotter: &Snapshotter) -> Seen {
    let mut seen = Seen::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let label = |label: &metrics::Label| format!("{}={}", label.key(), label.value());
        let labels = key.key().labels().map(label).collect::<Vec<_>>().join(",");
        let name = format!("{}{{{labels}}}", key.key().name());
        match value {
            DebugValue::Counter(count) => drop(seen.insert(name, count as f64)),
            DebugValue::Gauge(value) => drop(seen.insert(name, value.into_inner())),
            DebugValue::Histogram(values) => {
                let sum = values.iter().map(|value| value.into_inner()).sum();
                seen.insert(format!("{name} count"), values.len() as f64);
                seen.insert(format!("{name} sum"), sum);
            }
        }
    }
    seen
}

type Answer = Result<ResponsePacket, TransportError>;

/// An endpoint that answers every call at once with `"0x1"`.
pub(crate) fn instant() -> ServiceFn<fn(RequestPacket) -> Ready<Answer>> {
    service_fn(|packet: RequestPacket| {
        let ids = packet.requests().iter().map(|request| match request.id() {
            Id::Number(id) => *id,
            _ => 0,
        });
        let mut list = ids.map(|id| answer(id, "0x1"));
        ready(Ok(match packet {
            RequestPacket::Single(_) => ResponsePacket::Single(list.next().expect("one")),
            RequestPacket::Batch(_) => answers(list),
        }))
    })
}
