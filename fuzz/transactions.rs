mod made;
mod named;

use self::{made::Made, named::Named};
use crate::scripted::{Scripted, call};
use alclad_chain_guard::TxGuardLayer;
use alclad_core::error::{RefusedTransaction, cause};
use alloy_json_rpc::{
    Id, Request, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest,
};
use alloy_primitives::Bytes;
use arbitrary::{Arbitrary, Unstructured};
use serde_json::{json, value::to_raw_value};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use tower::Layer;

/// What is sent as a transaction to chain 1: the first byte tells what is allowed and how it is
/// sent; then come the bytes, or how a transaction is made and spoilt.
///
/// Nothing but a transaction that names chain 1, as read by hand, leaves, or one that names none
/// where that is allowed; and what has not been spoilt is judged as it was made.
pub fn transactions(input: &[u8]) {
    let Some((settings, rest)) = input.split_first() else { return };
    let settings = Settings(*settings);
    if !settings.has(Settings::MADE) {
        send(settings, rest);
    } else if let Ok(made) = Made::arbitrary_take_rest(Unstructured::new(rest)) {
        let refused = send(settings, &made.raw());
        if made.is_whole() && !settings.has(Settings::CAPS) {
            assert_eq!(refused, made.refused_because(settings), "{made:?}");
        }
    }
}

const CHAIN: u64 = 1;
const GAS_CAP: u64 = 1_000_000;

#[derive(Clone, Copy)]
struct Settings(u8);

impl Settings {
    const UNPROTECTED: u8 = 1;
    const UNKNOWN_TYPES: u8 = 2;
    const CAPS: u8 = 4;
    const MADE: u8 = 128;

    const fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    fn layer(self) -> TxGuardLayer {
        let mut layer = TxGuardLayer::expect(CHAIN);
        if self.has(Self::UNPROTECTED) {
            layer = layer.allowing_unprotected();
        }
        if self.has(Self::UNKNOWN_TYPES) {
            layer = layer.allowing_unknown_types();
        }
        if self.has(Self::CAPS) {
            let cap = u128::from(GAS_CAP);
            layer = layer.with_gas_cap(GAS_CAP).with_fee_cap(cap).with_total_fee_cap(cap * cap);
        }
        layer
    }

    fn request(self, raw: &[u8]) -> SerializedRequest {
        let raw = Bytes::copy_from_slice(raw);
        let (method, params) = match self.0 >> 4 & 3 {
            0 => ("eth_sendRawTransaction", json!([raw])),
            1 => ("eth_sendPrivateTransaction", json!([{ "tx": raw }])),
            2 => ("eth_sendBundle", json!([{ "txs": [raw] }])),
            _ => ("zks_sendRawTransactionWithDetailedOutput", json!([raw])),
        };
        Request::new(method, Id::Number(1), params).serialize().expect("that is JSON")
    }

    const fn allow(self, named: &Named) -> bool {
        match named {
            Named::Chain(id) => *id == CHAIN,
            Named::NoChain => self.has(Self::UNPROTECTED),
            Named::UnknownType(_) => self.has(Self::UNKNOWN_TYPES),
            Named::Unreadable => false,
        }
    }
}

/// Sends it, and returns why it was not sent.
fn send(settings: Settings, raw: &[u8]) -> Option<RefusedTransaction> {
    let sent = Arc::new(AtomicBool::new(false));
    let below = Scripted::new({
        let sent = Arc::clone(&sent);
        move |_| {
            sent.store(true, Relaxed);
            let payload = ResponsePayload::Success(to_raw_value("0x").expect("it is JSON"));
            Ok(ResponsePacket::Single(Response { id: Id::Number(1), payload }))
        }
    });
    let packet = RequestPacket::Single(settings.request(raw));
    let answer = call(&mut settings.layer().layer(below), packet);
    let refused = answer
        .err()
        .map(|error| cause::<RefusedTransaction>(&error).expect("nothing else goes wrong").clone());
    assert_eq!(sent.load(Relaxed), refused.is_none());
    let named = Named::read(raw);
    match &refused {
        None => assert!(settings.allow(&named), "{named:?}"),
        Some(RefusedTransaction::OtherChain { expected, actual }) => {
            assert!(*expected == CHAIN && named == Named::Chain(*actual) && *actual != CHAIN);
        }
        Some(RefusedTransaction::Unprotected) => assert_eq!(named, Named::NoChain),
        Some(RefusedTransaction::UnknownType { ty }) => assert_eq!(named, Named::UnknownType(*ty)),
        Some(_) => {}
    }
    refused
}
