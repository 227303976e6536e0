//! What the guards ask by themselves.

use alclad_core::{
    Ready, Upstream,
    error::{BadAnswer, Misfit, TypedError},
    note,
};
use alloy_json_rpc::{Id, Request, RequestPacket, Response, ResponsePacket, ResponsePayload};
use alloy_primitives::U64;
use alloy_transport::TransportError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub(crate) const CHAIN_ID: &str = "eth_chainId";
pub(crate) const BLOCK_NUMBER: &str = "eth_blockNumber";

/// Asks this for a number, with an id that nobody else has: the socket may be shared.
pub(crate) async fn ask<S: Upstream, T>(
    inner: &mut Ready<S, T>,
    method: &'static str,
) -> Result<u64, TransportError> {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let id = Id::String(format!("alclad-chain-guard-{}", ASKED.fetch_add(1, Relaxed)));
    let request = Request::new(method, id.clone(), ()).serialize();
    let request = request.map_err(TransportError::ser_err)?;
    match inner.call(RequestPacket::Single(request)).await? {
        ResponsePacket::Single(answer) if answer.id == id || is_refusal(&answer) => read(answer),
        _ => Err(BadAnswer::new(Misfit::Foreign, note::endpoint()).into_transport_error()),
    }
}

/// An endpoint that could not read the question, or did not want to, may answer without an id.
fn is_refusal(answer: &Response) -> bool {
    answer.id.is_none() && answer.is_error()
}

fn read(answer: Response) -> Result<u64, TransportError> {
    match answer.payload {
        ResponsePayload::Success(raw) => {
            let number = serde_json::from_str::<U64>(raw.get());
            number.map(|n| n.to()).map_err(|error| TransportError::deser_err(error, raw.get()))
        }
        ResponsePayload::Failure(error) => Err(TransportError::ErrorResp(error)),
    }
}
