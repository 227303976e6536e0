//! What the guards count.

mod support;

use alclad_chain_guard::{ChainGuardLayer, TxGuardLayer};
use alclad_core::{names, note};
use alclad_testkit::{Disruption, SimChain, SimNode};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};
use support::{CHAIN, ask};
use tokio::runtime::Builder;
use tower::Layer;

async fn run() {
    let chain = SimChain::new(7);
    let node = SimNode::new(&chain);
    let again = Duration::ZERO;
    let chain_guard = ChainGuardLayer::expect(CHAIN).with_recheck(again, again);
    let service = TxGuardLayer::expect(CHAIN).layer(chain_guard.layer(node.transport()));
    for disruption in [Disruption::LoseAnswer, Disruption::WrongChain(chain.twin(1337))] {
        node.set(disruption);
        assert!(ask(&service, "eth_gasPrice", json!([])).await.is_err());
    }
    node.clear();
    assert!(ask(&service, "eth_gasPrice", json!([])).await.is_ok());
    assert!(ask(&service, "eth_sendRawTransaction", json!(["0x"])).await.is_err());
}

#[test]
fn verifications_mismatches_and_refusals_are_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(note::capture_at("a".into(), run()));
    });
    let mut counts = BTreeMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let labels = key.key().labels().map(|label| label.value().to_owned());
        let labels = labels.collect::<Vec<_>>().join(" ");
        let DebugValue::Counter(count) = value else { panic!("all are counters") };
        counts.insert((key.key().name().to_owned(), labels), count);
    }
    let expected = [
        (names::CHAIN_MISMATCHES, "a"),
        (names::CHAIN_VERIFICATIONS, "a match"),
        (names::CHAIN_VERIFICATIONS, "a mismatch"),
        (names::CHAIN_VERIFICATIONS, "a no_answer"),
        (names::REFUSED_TRANSACTIONS, "unreadable"),
    ];
    let expected = expected.map(|(name, labels)| ((name.to_owned(), labels.to_owned()), 1));
    assert_eq!(counts, BTreeMap::from(expected));
}
