//! A pipeline for another chain, which shares the cache's store.

use crate::{
    answers::{Call, Kind},
    faults::OTHER_CHAIN,
    invariants::Invariant,
    world::World,
};
use alclad_testkit::{batch, request_with_id};
use alloy::{
    rpc::json_rpc::{RequestPacket, ResponsePayload},
    transports::BoxTransport,
};
use serde_json::{Value, value::RawValue};
use tower::ServiceExt;

/// The same questions, as far as they only read.
pub(crate) fn packet(call: &Call) -> Option<RequestPacket> {
    let reads = call.members.iter().filter(|member| member.question.kind == Kind::Read);
    let requests = reads.enumerate().map(|(index, member)| {
        let question = &member.question;
        request_with_id(call.id(index), question.method, question.params.clone())
    });
    let requests: Vec<_> = requests.collect();
    (!requests.is_empty()).then(|| batch(requests))
}

/// It must be answered as on its own chain, which does not move.
pub(crate) async fn ask(world: &World, neighbour: BoxTransport, packet: RequestPacket) {
    let requests = packet.requests().to_vec();
    world.recorder.record().tally.neighbours += requests.len() as u64;
    let Ok(answer) = neighbour.oneshot(packet).await else { return };
    for (request, response) in requests.iter().zip(answer.responses()) {
        let ResponsePayload::Success(result) = &response.payload else { continue };
        let result: Value = serde_json::from_str(result.get()).expect("it is JSON");
        let params = request.params().map_or("[]", RawValue::get);
        let params: Value = serde_json::from_str(params).expect("it is JSON");
        if world.twin.answer(request.method(), params).as_ref() != Ok(&result) {
            let what = format!("{}, on chain {OTHER_CHAIN}: {result:.200}", request.method());
            world.recorder.violate(Invariant::I3Right, what);
        }
    }
}
