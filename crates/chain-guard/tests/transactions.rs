//! What is sent, and what is not.

mod support;

use alclad_chain_guard::TxGuardLayer;
use alclad_core::{
    ChainBaseline, Fault, classify,
    error::{RefusedTransaction, cause},
};
use alclad_testkit::{SimChain, SimNode, answer, batch, mock, request, single};
use alloy_consensus::{TxEip1559, TxEnvelope, TxLegacy, TypedTransaction};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes, Signature};
use alloy_transport::{TransportError, TransportErrorKind};
use serde_json::{Value, json};
use support::CHAIN;
use tower::{Layer, ServiceExt};

const OTHER: RefusedTransaction = RefusedTransaction::OtherChain { expected: CHAIN, actual: 1337 };

fn raw(transaction: impl Into<TypedTransaction>) -> Bytes {
    TxEnvelope::from((transaction.into(), Signature::test_signature())).encoded_2718().into()
}

fn signed_for(chain_id: u64) -> Bytes {
    raw(TxEip1559 { chain_id, gas_limit: 21_000, max_fee_per_gas: 7, ..TxEip1559::default() })
}

fn unprotected() -> Bytes {
    raw(TxLegacy { gas_limit: 21_000, ..TxLegacy::default() })
}

/// What the guard says of this call over a node that would take anything.
async fn sent(
    layer: &TxGuardLayer,
    method: &'static str,
    params: Value,
) -> Result<(), RefusedTransaction> {
    let node = SimNode::new(&SimChain::new(7));
    let answer = layer.layer(node.transport()).oneshot(single(request(1, method, params))).await;
    let refused = |error: &TransportError| cause::<RefusedTransaction>(error).unwrap().clone();
    let verdict = answer.map(drop).map_err(|error| refused(&error));
    assert_eq!(node.calls(method), u64::from(verdict.is_ok()), "{method}");
    verdict
}

#[tokio::test(start_paused = true)]
async fn every_method_that_sends_is_looked_through() {
    let layer = TxGuardLayer::expect(CHAIN);
    for (chain_id, verdict) in [(CHAIN, Ok(())), (1337, Err(OTHER))] {
        let tx = signed_for(chain_id);
        for (method, params) in [
            ("eth_sendRawTransaction", json!([tx])),
            ("eth_sendRawTransactionSync", json!([tx, 2000])),
            ("eth_sendRawTransactionConditional", json!([tx, { "blockNumberMin": "0x1" }])),
            ("zks_sendRawTransactionWithDetailedOutput", json!([tx])),
            ("eth_sendPrivateTransaction", json!([{ "tx": tx, "maxBlockNumber": "0x1" }])),
            ("eth_sendPrivateRawTransaction", json!([tx, { "fast": true }])),
            ("eth_sendBundle", json!([{ "txs": [signed_for(CHAIN), tx], "blockNumber": "0x1" }])),
            ("eth_sendMevBundle", json!([{ "txs": [tx], "maxBlockNumber": 1 }])),
            ("eth_sendTransaction", json!([{ "chainId": chain_id, "value": "0x1" }])),
            ("eth_sendTransaction", json!([{ "chainId": format!("{chain_id:#x}") }])),
        ] {
            assert_eq!(sent(&layer, method, params).await, verdict, "{method}");
        }
    }
    // The node signs for its own chain.
    assert_eq!(sent(&layer, "eth_sendTransaction", json!([{ "value": "0x1" }])).await, Ok(()));
    assert_eq!(sent(&layer, "mev_sendBundle", json!([{ "body": [] }])).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_transaction_is_refused() {
    let layer = TxGuardLayer::expect(CHAIN);
    for params in [
        json!([]),
        json!(["0x"]),
        json!(["0xzz"]),
        json!(["0x02c0"]),
        json!([7]),
        json!([null]),
        json!([{}]),
        json!({ "tx": signed_for(CHAIN) }),
        json!(null),
    ] {
        let verdict = sent(&layer, "eth_sendRawTransaction", params.clone()).await;
        assert_eq!(verdict, Err(RefusedTransaction::Unreadable), "{params}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_allowed_passes() {
    let (strict, send) = (TxGuardLayer::expect(CHAIN), "eth_sendRawTransaction");
    let params = json!([unprotected()]);
    let verdict = sent(&strict, send, params.clone()).await;
    assert_eq!(verdict, Err(RefusedTransaction::Unprotected));
    assert_eq!(sent(&strict.clone().allowing_unprotected(), send, params).await, Ok(()));

    let params = json!(["0x7ec0"]);
    let verdict = sent(&strict, send, params.clone()).await;
    assert_eq!(verdict, Err(RefusedTransaction::UnknownType { ty: 0x7e }));
    assert_eq!(sent(&strict.allowing_unknown_types(), send, params).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_costs_too_much_is_refused() {
    let send = "eth_sendRawTransaction";
    let params = json!([signed_for(CHAIN)]);
    let layer = TxGuardLayer::expect(CHAIN);
    let enough = layer.clone().with_fee_cap(7).with_total_fee_cap(7 * 21_000).with_gas_cap(21_000);
    assert_eq!(sent(&enough, send, params.clone()).await, Ok(()));
    for too_little in [
        enough.clone().with_fee_cap(6),
        enough.clone().with_total_fee_cap(7 * 21_000 - 1),
        enough.clone().with_gas_cap(20_999),
    ] {
        assert!(sent(&too_little, send, params.clone()).await.is_err());
    }
    for object in [
        json!([{ "gas": "0x5208", "maxFeePerGas": "0x8" }]),
        json!([{ "maxFeePerBlobGas": "0x2", "blobVersionedHashes": [B256::ZERO] }]),
    ] {
        assert!(sent(&enough, "eth_sendTransaction", object).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_final_and_says_what_to_do() {
    let node = SimNode::new(&SimChain::new(7));
    let service = TxGuardLayer::expect(CHAIN).layer(node.transport());
    let call = request(1, "eth_sendRawTransaction", [signed_for(1337)]);
    let error = service.oneshot(single(call)).await.unwrap_err();
    assert_eq!(Fault::of_error("eth_sendRawTransaction", &error), Fault::TxRejected);
    assert!(error.as_transport_err().unwrap().is_non_retryable());
    let text = "not sent: it is signed for chain 1337, and this is chain 1; sign it for this chain";
    assert_eq!(error.to_string(), text);
    assert_eq!(node.packets(), 0);
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_only_the_refused_members_stay_behind() {
    let (transport, mut upstream) = mock();
    let service = TxGuardLayer::expect(CHAIN).layer(transport);
    let send = |id, tx| request(id, "eth_sendRawTransaction", [tx]);
    let members =
        [send(1, signed_for(1337)), request(2, "eth_call", ()), send(3, signed_for(CHAIN))];
    let call = tokio::spawn(service.clone().oneshot(batch(members.clone())));
    let rest = upstream.expect(&[(2, "eth_call"), (3, "eth_sendRawTransaction")]).await;
    rest.answer_batch([answer(2, "0x2"), answer(3, "0x3")]);
    let packet = call.await.unwrap().unwrap();
    let [refused, read, sent] = packet.responses() else { panic!("three answers") };
    assert!(read.is_success() && sent.is_success());
    let error = refused.payload.as_error().unwrap();
    assert_eq!(error.code, -32603);
    assert!(error.message.starts_with("not sent: it is signed for chain 1337"));
    let fault = classify("eth_sendRawTransaction", refused).fault();
    assert_eq!(fault, Some(Fault::TxRejected));

    // What became of the others is not what became of it.
    let call = tokio::spawn(service.clone().oneshot(batch(members)));
    let rest = upstream.expect(&[(2, "eth_call"), (3, "eth_sendRawTransaction")]).await;
    rest.fail(TransportErrorKind::backend_gone());
    let packet = call.await.unwrap().unwrap();
    let fault = |index: usize| classify("eth_call", &packet.responses()[index]).fault();
    let gone = Some(Fault::Connection { maybe_sent: true });
    assert_eq!([0, 1, 2].map(fault), [Some(Fault::TxRejected), gone, gone]);

    // If nothing is left to send, nothing is sent.
    let all = [send(1, signed_for(1337)), send(2, unprotected())];
    let error = service.oneshot(batch(all)).await.unwrap_err();
    assert_eq!(cause::<RefusedTransaction>(&error), Some(&OTHER));
    assert!(upstream.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_is_not_known_yet_is_asked_for_once() {
    let node = SimNode::new(&SimChain::new(7));
    let baseline = ChainBaseline::new();
    let service = TxGuardLayer::learn(baseline.clone()).layer(node.transport());
    for _ in 0..3 {
        let call = request(1, "eth_sendRawTransaction", [signed_for(1337)]);
        let error = service.clone().oneshot(single(call)).await.unwrap_err();
        assert_eq!(cause::<RefusedTransaction>(&error), Some(&OTHER));
    }
    assert_eq!(baseline.chain_id(), Some(CHAIN));
    assert_eq!((node.total_calls(), node.calls("eth_chainId")), (1, 1));
}
