//! What the tests of the guards share.
#![allow(dead_code, reason = "not every test needs all of it")]

use alclad_testkit::{MockUpstream, request, single};
use alloy_json_rpc::{Id, RequestPacket, Response, ResponsePayload};
use serde_json::{Value, json, value::to_raw_value};
use std::time::Duration;
use tower::{Service, ServiceExt};

pub(crate) const CHAIN: u64 = 1;
pub(crate) const INTERVAL: Duration = Duration::from_secs(60);

/// A call that tells nothing of the chain's head.
pub(crate) fn read(id: u64) -> RequestPacket {
    single(request(id, "eth_call", ()))
}

pub(crate) fn head(id: u64) -> RequestPacket {
    single(request(id, "eth_blockNumber", ()))
}

/// The guard's own question comes down, and this chain answers.
pub(crate) async fn serve_chain_id(upstream: &mut MockUpstream, chain_id: u64) {
    answer_question(upstream, "eth_chainId", chain_id).await;
}

/// A question of the guard's own comes down, and is answered so.
pub(crate) async fn answer_question(upstream: &mut MockUpstream, method: &str, number: u64) {
    let call = upstream.next().await.expect("the guard asks");
    let question = call.packet().as_single().expect("a single question");
    assert_eq!(question.method(), method);
    assert!(matches!(question.id(), Id::String(_)), "an id that no client uses");
    let result = to_raw_value(&format!("{number:#x}")).unwrap();
    let id = question.id().clone();
    call.answer(Response { id, payload: ResponsePayload::Success(result) });
}

pub(crate) async fn ask<S>(
    service: &S,
    method: &'static str,
    params: Value,
) -> Result<Value, S::Error>
where
    S: Service<RequestPacket, Response = alloy_json_rpc::ResponsePacket> + Clone,
{
    let answer = service.clone().oneshot(single(request(1, method, params))).await?;
    let answer = answer.as_single().expect("an answer to a single question").payload.clone();
    Ok(match answer {
        ResponsePayload::Success(raw) => serde_json::from_str(raw.get()).unwrap(),
        ResponsePayload::Failure(error) => json!({ "error": error.message }),
    })
}
