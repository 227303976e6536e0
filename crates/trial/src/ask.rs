//! What an application asks.

use alloy::{
    consensus::Transaction,
    providers::Provider,
    rpc::{client::BatchRequest, types::Block},
    transports::TransportResult,
};
use fastrand::Rng;
use futures::future::join_all;
use serde_json::{Value, json};

/// The precompiled contract that gives back what it is given, on every chain.
const IDENTITY: &str = "0x0000000000000000000000000000000000000004";

/// One question.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Its method.
    pub method: &'static str,
    /// Its parameters.
    pub params: Value,
    /// What was true when it was asked, if that is known.
    pub(crate) before: Option<Before>,
}

/// How the chain stood before a question.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    pub(crate) head: u64,
    pub(crate) truth: Option<Value>,
    /// Whether its last blocks had been replaced by then.
    pub(crate) reorged: bool,
}

impl Ask {
    /// Asks this.
    pub const fn new(method: &'static str, params: Value) -> Self {
        Self { method, params, before: None }
    }
}

const fn ask(method: &'static str, params: Value) -> Ask {
    Ask::new(method, params)
}

/// What to ask next about these blocks: one question, or now and then a batch of them.
///
/// Every endpoint has `settled`, but not every one may have seen `fresh`.
pub fn draw(rng: &mut Rng, fresh: &Block, settled: &Block) -> Vec<Ask> {
    several(rng, |rng| draw_one(rng, fresh, settled))
}

/// The same, and every third question is about whatever block is the newest one.
///
/// Only who knows the heads of all endpoints can tell a late answer to that from a good one.
pub fn draw_at_the_head(rng: &mut Rng, fresh: &Block, settled: &Block) -> Vec<Ask> {
    several(rng, |rng| match rng.u8(..3) {
        0 => newest(rng, settled),
        _ => draw_one(rng, fresh, settled),
    })
}

fn several(rng: &mut Rng, mut one: impl FnMut(&mut Rng) -> Ask) -> Vec<Ask> {
    let members = if rng.u8(..10) == 0 { rng.u8(2..=10) } else { 1 };
    (0..members).map(|_| one(rng)).collect()
}

fn newest(rng: &mut Rng, settled: &Block) -> Ask {
    let account = settled.header.beneficiary;
    let from = format!("{:#x}", settled.header.number);
    match rng.u8(..5) {
        0 => ask("eth_blockNumber", json!([])),
        1 => ask("eth_getBlockByNumber", json!(["latest", false])),
        2 => ask("eth_getBalance", json!([account, "latest"])),
        3 => ask("eth_call", json!([{ "to": IDENTITY, "data": "0xa1c1ad" }, "latest"])),
        _ => ask("eth_getLogs", json!([{ "fromBlock": from, "toBlock": "latest" }])),
    }
}

fn draw_one(rng: &mut Rng, fresh: &Block, settled: &Block) -> Ask {
    let kind = rng.u8(..13);
    // A node that is behind calls a new transaction pending and a range above its head empty.
    // That is no fault that can be seen in an answer: one has to know the heads of all.
    let block = if kind < 2 { settled } else { fresh };
    let (number, hash) = (json!(format!("{:#x}", block.header.number)), block.header.hash);
    let at = if rng.bool() { number.clone() } else { json!({ "blockHash": hash }) };
    let transaction = rng.choice(block.transactions.as_transactions().unwrap_or_default());
    let account = transaction.and_then(|transaction| transaction.inner.to());
    let account = account.unwrap_or(block.header.beneficiary);
    match (kind, transaction.map(|transaction| transaction.inner.tx_hash())) {
        (0, _) => ask("eth_getLogs", json!([{ "fromBlock": number, "toBlock": number }])),
        (1, Some(transaction)) => ask("eth_getTransactionByHash", json!([transaction])),
        (2, Some(transaction)) => ask("eth_getTransactionReceipt", json!([transaction])),
        (3, _) => ask("eth_getLogs", json!([{ "blockHash": hash }])),
        (4, _) => ask("eth_getBlockByNumber", json!([number, rng.bool()])),
        (5, _) => ask("eth_getBlockByHash", json!([hash, rng.bool()])),
        (6, _) => ask("eth_getBlockTransactionCountByNumber", json!([number])),
        (7, _) => ask("eth_getBalance", json!([account, at])),
        (8, _) => ask("eth_getTransactionCount", json!([account, at])),
        (9, _) => ask("eth_getCode", json!([account, at])),
        (10, _) => ask("eth_getStorageAt", json!([account, "0x0", at])),
        (11, _) => ask("eth_call", json!([{ "to": IDENTITY, "data": "0xa1c1ad" }, at])),
        _ => ask("eth_getBlockReceipts", json!([number])),
    }
}

/// Asks as an application does, one call or a batch: an answer to each question.
pub async fn answers(provider: &impl Provider, asked: &[Ask]) -> Vec<TransportResult<Value>> {
    if let [Ask { method, params, .. }] = asked {
        return vec![provider.raw_request((*method).into(), params).await];
    }
    let mut batch = BatchRequest::new(provider.client());
    let add = |ask: &Ask| batch.add_call(ask.method, &ask.params).expect("a value is JSON");
    let waiting: Vec<_> = asked.iter().map(add).collect();
    let sent = batch.send().await;
    let mut answers = join_all(waiting).await;
    if let Err(error) = sent {
        answers[0] = Err(error);
    }
    answers
}
