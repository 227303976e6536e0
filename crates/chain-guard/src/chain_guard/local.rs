use super::{
    gate::{Gate, Pass},
    service::exchange,
};
use crate::question::CHAIN_ID;
use alclad_core::{CallOptions, Members, Questions, Ready, Upstream, note};
use alloy_json_rpc::{RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest};
use alloy_transport::TransportError;
use serde_json::value::to_raw_value;
use std::sync::Arc;

const NET_VERSION: &str = "net_version";

/// Whether any member asks what a verified endpoint need not be asked.
pub(super) fn any_in(packet: &RequestPacket) -> bool {
    packet.requests().iter().any(|request| is_about_chain(request.method()))
}

pub(super) fn is_about_chain(method: &str) -> bool {
    method == CHAIN_ID || method == NET_VERSION
}

/// Answers what is known, and asks for the rest. A caller who wants no cache is not answered here.
pub(super) async fn answer<S: Upstream>(
    inner: &mut Ready<S, Arc<Gate>>,
    mut packet: RequestPacket,
    pass: Pass,
) -> Result<ResponsePacket, TransportError> {
    CallOptions::adopt(&mut packet);
    let chain_id = inner.state().baseline.chain_id();
    let known = |request: &SerializedRequest| known(request, chain_id?);
    if let RequestPacket::Single(request) = &packet {
        return match known(request) {
            Some(answer) => Ok(ResponsePacket::Single(answer)),
            None => exchange(inner, packet, pass).await,
        };
    }
    let mut members = Members::new(Questions::new(&packet, false)?);
    let (mut rest, mut asked) = (Vec::new(), Vec::new());
    for (index, request) in requests(packet).into_iter().enumerate() {
        match known(&request) {
            Some(answer) => {
                members[index].set_note(note::heard().of(&answer.id));
                members[index].answer(answer);
            }
            None => {
                asked.push(index);
                rest.push(request);
            }
        }
    }
    if !rest.is_empty() {
        let call = exchange(inner, RequestPacket::Batch(rest), pass);
        let (answer, notes) = note::capture(call).await;
        members.absorb(&asked, answer, &notes, None);
    }
    members.finish()
}

fn requests(packet: RequestPacket) -> Vec<SerializedRequest> {
    match packet {
        RequestPacket::Single(request) => vec![request],
        RequestPacket::Batch(requests) => requests,
    }
}

fn known(request: &SerializedRequest, chain_id: u64) -> Option<Response> {
    if CallOptions::of(request).is_some_and(|options| options.no_cache) {
        return None;
    }
    let text = match request.method() {
        CHAIN_ID => format!("{chain_id:#x}"),
        NET_VERSION => chain_id.to_string(),
        _ => return None,
    };
    let id = request.id().clone();
    Some(Response { id, payload: ResponsePayload::Success(to_raw_value(&text).ok()?) })
}
