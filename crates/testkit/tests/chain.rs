//! What a simulated chain promises.

use alclad_testkit::{ChainSpec, REVERT_DATA, REVERTING, SimChain};
use alloy::{
    consensus::{
        BlobTransactionSidecar, SignableTransaction, TxEip4844, TxEip4844Variant,
        TxEip4844WithSidecar, TxEnvelope,
    },
    eips::{Encodable2718, eip4844::Blob},
    network::{EthereumWallet, NetworkTransactionBuilder, TransactionBuilder},
    primitives::{Address, B256, Bytes, U256, hex},
    rpc::types::TransactionRequest,
    signers::{SignerSync, local::PrivateKeySigner},
};
use serde_json::{Value, json};
use std::{collections::HashSet, time::Duration};

fn hashes(chain: &SimChain) -> Vec<B256> {
    (0..=chain.block_number()).map(|number| chain.block(number).unwrap().header.hash).collect()
}

fn signer() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(0x42)).unwrap()
}

/// A raw transfer of one wei, and its hash.
async fn transfer(nonce: u64, fee: u128) -> (String, B256) {
    let wallet = EthereumWallet::from(signer());
    let request = TransactionRequest::default()
        .with_to(Address::repeat_byte(0x11))
        .with_value(U256::ONE)
        .with_nonce(nonce)
        .with_chain_id(1)
        .with_gas_limit(21_000)
        .with_max_fee_per_gas(fee)
        .with_max_priority_fee_per_gas(1_000_000_000);
    let envelope: TxEnvelope = request.build(&wallet).await.unwrap();
    (hex::encode_prefixed(envelope.encoded_2718()), *envelope.tx_hash())
}

const FEE: u128 = 30_000_000_000;

#[test]
fn the_same_seed_makes_the_same_chain() {
    let (one, two, other) = (SimChain::new(7), SimChain::new(7), SimChain::new(8));
    for chain in [&one, &two, &other] {
        chain.mine(30);
        chain.reorg(3);
        chain.mine(2);
    }
    assert_eq!(hashes(&one), hashes(&two));
    assert!(hashes(&one).iter().all(|hash| !hashes(&other).contains(hash)));
}

#[test]
fn a_block_is_linked_to_its_parent_and_hashed_from_its_header() {
    let chain = SimChain::new(1);
    chain.mine(20);
    for number in 1..=20 {
        let (parent, block) = (chain.block(number - 1).unwrap(), chain.block(number).unwrap());
        assert_eq!(block.header.parent_hash, parent.header.hash);
        assert_eq!(block.header.inner.hash_slow(), block.header.hash);
        assert_eq!(block.header.timestamp, parent.header.timestamp + 12);
    }
}

#[test]
fn blocks_of_a_quarter_second_share_their_timestamps() {
    let chain = SimChain::start(ChainSpec::new(1).with_block_time(Duration::from_millis(250)));
    chain.mine(8);
    let genesis = chain.block(0).unwrap().header.timestamp;
    assert_eq!(chain.block(3).unwrap().header.timestamp, genesis);
    assert_eq!(chain.head().timestamp, genesis + 2);
}

#[test]
fn a_reorg_changes_the_last_blocks_and_no_others() {
    let chain = SimChain::new(3);
    chain.mine(10);
    let before = hashes(&chain);
    let reorg = chain.reorg(4);
    let after = hashes(&chain);
    assert_eq!(before[..7], after[..7]);
    assert_eq!(
        (reorg.fork, &reorg.orphaned[..], &reorg.adopted[..]),
        (6, &before[7..], &after[7..])
    );
    assert!(reorg.orphaned.iter().all(|hash| chain.is_orphaned(*hash)));
    assert!(after.iter().all(|hash| !chain.is_orphaned(*hash)));
    for number in 1..=10 {
        let parent = chain.block(number - 1).unwrap().header.hash;
        assert_eq!(chain.block(number).unwrap().header.parent_hash, parent);
    }
    assert_eq!(chain.reorg_to(2, 3).adopted.len(), 3);
    assert_eq!(chain.block_number(), 11);
    assert_eq!(chain.reorg(100).fork, 0);
}

#[test]
fn an_orphaned_block_is_unknown() {
    let chain = SimChain::new(3);
    chain.mine(5);
    let gone = chain.reorg(1).orphaned[0];
    assert_eq!(chain.answer("eth_getBlockByHash", json!([gone, false])).unwrap(), Value::Null);
    let error =
        chain.answer("eth_getBalance", json!([Address::ZERO, { "blockHash": gone }])).unwrap_err();
    assert_eq!((error.code, &*error.message), (-32000, "header not found"));
}

#[tokio::test]
async fn a_sent_transaction_is_mined_exactly_once_also_after_a_reorg() {
    let chain = SimChain::new(5);
    chain.mine(3);
    let (raw, hash) = transfer(0, FEE).await;
    assert_eq!(chain.answer("eth_sendRawTransaction", json!([raw])).unwrap(), json!(hash));
    let again = chain.answer("eth_sendRawTransaction", json!([raw])).unwrap_err();
    assert_eq!((again.code, &*again.message), (-32000, "already known"));
    let pending = chain.answer("eth_getTransactionByHash", json!([hash])).unwrap();
    assert_eq!(pending["blockHash"], Value::Null);

    chain.mine(3);
    assert_eq!((chain.inclusions(hash), chain.submissions(hash)), (1, 2));
    let late = chain.answer("eth_sendRawTransaction", json!([raw])).unwrap_err();
    assert!(late.message.starts_with("nonce too low"), "{late}");

    chain.reorg(3);
    assert_eq!((chain.inclusions(hash), chain.pending()), (0, vec![hash]));
    let receipt = chain.answer("eth_getTransactionReceipt", json!([hash])).unwrap();
    assert_eq!(receipt, Value::Null);
    chain.mine(2);
    assert_eq!((chain.inclusions(hash), chain.pending()), (1, vec![]));
}

#[tokio::test]
async fn nonces_are_mined_in_order_and_gaps_wait() {
    let chain = SimChain::new(5);
    let from = signer().address();
    let mut sent = Vec::new();
    for nonce in [2, 0, 4, 1] {
        let (raw, hash) = transfer(nonce, FEE).await;
        chain.answer("eth_sendRawTransaction", json!([raw])).unwrap();
        sent.push((nonce, hash));
    }
    let nonce = |tag: &str| chain.answer("eth_getTransactionCount", json!([from, tag])).unwrap();
    assert_eq!((nonce("latest"), nonce("pending")), (json!("0x0"), json!("0x3")));
    chain.mine(2);
    assert_eq!((nonce("latest"), nonce("0x0")), (json!("0x3"), json!("0x0")));
    assert_eq!(chain.pending(), [sent[2].1]);
    assert!(chain.forget(sent[2].1));
    assert!(chain.pending().is_empty());
}

#[tokio::test]
async fn a_sender_pays_and_a_receiver_gets() {
    let from = signer().address();
    let spec = ChainSpec::new(5).with_balance(from, U256::from(1_000_000_000_000_000_000_u64));
    let chain = SimChain::start(spec);
    let (raw, hash) = transfer(0, FEE).await;
    chain.answer("eth_sendRawTransaction", json!([raw])).unwrap();
    chain.mine(1);
    let receipt = chain.answer("eth_getTransactionReceipt", json!([hash])).unwrap();
    let number = |value: &Value| value.as_str().unwrap().parse::<U256>().unwrap();
    let fee = number(&receipt["gasUsed"]) * number(&receipt["effectiveGasPrice"]);
    let balance = number(&chain.answer("eth_getBalance", json!([from, "latest"])).unwrap());
    assert_eq!(balance + fee + U256::ONE, U256::from(1_000_000_000_000_000_000_u64));
}

#[tokio::test]
async fn a_replacement_must_pay_more() {
    let chain = SimChain::new(5);
    let (cheap, first) = transfer(0, FEE).await;
    let (slightly, _) = transfer(0, FEE + 1).await;
    let (dear, second) = transfer(0, 2 * FEE).await;
    chain.answer("eth_sendRawTransaction", json!([cheap])).unwrap();
    let error = chain.answer("eth_sendRawTransaction", json!([slightly])).unwrap_err();
    assert_eq!(error.message, "replacement transaction underpriced");
    chain.answer("eth_sendRawTransaction", json!([dear])).unwrap();
    chain.mine(1);
    assert_eq!((chain.inclusions(first), chain.inclusions(second)), (0, 1));
}

#[test]
fn a_transaction_for_another_chain_or_without_funds_is_rejected() {
    let poor = ChainSpec::new(5).with_balance(signer().address(), U256::ONE);
    for (chain, why) in [
        (SimChain::start(poor), "insufficient funds for gas"),
        (SimChain::start(ChainSpec::new(5).with_chain_id(10)), "invalid chain id"),
    ] {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (raw, _) = runtime.block_on(transfer(0, FEE));
        let error = chain.answer("eth_sendRawTransaction", json!([raw])).unwrap_err();
        assert!(error.message.contains(why), "{error}");
    }
    let garbage = SimChain::new(5).answer("eth_sendRawTransaction", json!(["0x02c0"]));
    assert!(garbage.unwrap_err().message.starts_with("rlp"));
}

#[test]
fn a_blob_transaction_is_known_by_the_hash_without_its_sidecar() {
    let chain = SimChain::new(5);
    let sidecar = BlobTransactionSidecar::new(
        vec![Blob::ZERO],
        vec![[0_u8; 48].into()],
        vec![[0_u8; 48].into()],
    );
    let tx = TxEip4844 {
        chain_id: 1,
        gas_limit: 21_000,
        max_fee_per_gas: FEE,
        max_priority_fee_per_gas: 1,
        max_fee_per_blob_gas: 10,
        blob_versioned_hashes: sidecar.versioned_hashes().collect(),
        ..TxEip4844::default()
    };
    let signature = signer().sign_hash_sync(&tx.signature_hash()).unwrap();
    let hash = *tx.clone().into_signed(signature).hash();
    let sent = TxEip4844WithSidecar { tx, sidecar }.into_signed(signature);
    let sent = TxEnvelope::from(sent.map(|tx| -> TxEip4844Variant { tx.into() }));
    let raw = hex::encode_prefixed(sent.encoded_2718());
    assert_eq!(chain.answer("eth_sendRawTransaction", json!([raw])).unwrap(), json!(hash));
    chain.mine(1);
    let mined = chain.answer("eth_getTransactionByHash", json!([hash])).unwrap();
    assert_eq!(mined["blockNumber"], "0x1");
}

#[test]
fn calls_answer_by_block_by_closure_or_by_reverting() {
    let answering = Address::repeat_byte(0x77);
    let spec = ChainSpec::new(5).with_contract(answering, |call| match call.data.is_empty() {
        true => Err(Bytes::from_static(b"no")),
        false => Ok(Bytes::from(vec![call.block as u8])),
    });
    let chain = SimChain::start(spec);
    chain.mine(5);
    let call = |to: Address, data: &str, block: &str| {
        chain.answer("eth_call", json!([{ "to": to, "input": data }, block]))
    };
    let other = Address::repeat_byte(0x78);
    let truth = SimChain::call_result(chain.block(3).unwrap().header.hash, other, &[0xab]);
    assert_eq!(call(other, "0xab", "0x3").unwrap(), json!(truth));
    assert_ne!(call(other, "0xab", "0x4").unwrap(), json!(truth));
    assert_eq!(call(answering, "0xab", "0x3").unwrap(), "0x03");
    assert_eq!(call(answering, "0x", "0x3").unwrap_err().data, Some(json!("0x6e6f")));
    let reverted = call(REVERTING, "0x", "latest").unwrap_err();
    assert_eq!(reverted.code, 3);
    assert_eq!(reverted.data, Some(json!(hex::encode_prefixed(REVERT_DATA))));
    let estimate = chain.answer("eth_estimateGas", json!([{ "to": REVERTING }])).unwrap_err();
    assert_eq!(estimate.code, 3);
}

#[test]
fn tags_follow_the_head_and_what_lies_above_is_unknown() {
    let chain = SimChain::start(ChainSpec::new(5).with_finality(3, 6));
    chain.mine(10);
    let number = |tag: &str| {
        chain.answer("eth_getBlockByNumber", json!([tag, false])).unwrap()["number"].clone()
    };
    assert_eq!(number("latest"), "0xa");
    assert_eq!(number("pending"), "0xa");
    assert_eq!(number("safe"), "0x7");
    assert_eq!(number("finalized"), "0x4");
    assert_eq!(number("earliest"), "0x0");
    assert_eq!(chain.answer("eth_getBlockByNumber", json!(["0xb", true])).unwrap(), Value::Null);
    let error = chain.answer("eth_getBalance", json!([Address::ZERO, "0xb"])).unwrap_err();
    assert_eq!((error.code, &*error.message), (-32000, "header not found"));
    let by_number = json!([Address::ZERO, { "blockNumber": "0x3" }]);
    let by_hash = json!([Address::ZERO, { "blockHash": chain.block(3).unwrap().header.hash }]);
    let plain = chain.answer("eth_getBalance", json!([Address::ZERO, "0x3"])).unwrap();
    assert_eq!(chain.answer("eth_getBalance", by_number).unwrap(), plain);
    assert_eq!(chain.answer("eth_getBalance", by_hash).unwrap(), plain);
}

#[test]
fn logs_are_found_by_address_and_topics_alternatives_included() {
    let chain = SimChain::new(5);
    (0..10).for_each(|_| chain.mine_with(3, 2));
    let logs = |filter: Value| {
        let found = chain.answer("eth_getLogs", json!([filter])).unwrap();
        serde_json::from_value::<Vec<alloy::rpc::types::Log>>(found).unwrap()
    };
    let all = logs(json!({ "fromBlock": "earliest", "toBlock": "latest" }));
    assert_eq!(all.len(), 60);
    let contract = chain.contracts()[0];
    let (first, second) = (all[0].topics()[0], all[0].topics()[1]);
    let expected = |keep: &dyn Fn(&alloy::rpc::types::Log) -> bool| {
        all.iter().filter(|log| keep(log)).cloned().collect::<Vec<_>>()
    };
    let of_contract = logs(json!({ "fromBlock": "0x0", "address": contract }));
    assert_eq!(of_contract, expected(&|log| log.address() == contract));
    let of_topic = logs(json!({ "fromBlock": "0x0", "topics": [null, second] }));
    assert_eq!(of_topic, expected(&|log| log.topics()[1] == second));
    let names: HashSet<_> = all.iter().map(|log| log.topics()[0]).collect();
    assert_eq!(names.len(), 2);
    let either = logs(json!({ "fromBlock": "0x0", "topics": [names] }));
    assert_eq!(either.len(), 60);
    let one = logs(json!({ "blockHash": chain.block(4).unwrap().header.hash, "topics": [first] }));
    assert_eq!(one, expected(&|log| log.block_number == Some(4) && log.topics()[0] == first));
    assert!(logs(json!({ "fromBlock": "0x64", "toBlock": "0x65" })).is_empty());
}

#[test]
fn the_random_senders_count_their_nonces() {
    let chain = SimChain::new(5);
    (0..20).for_each(|_| chain.mine_with(4, 0));
    let sent = |from: Address| {
        let blocks = (0..=20).map(|number| chain.block(number).unwrap());
        blocks
            .flat_map(|block| block.transactions.into_transactions_vec())
            .filter(|tx| tx.inner.signer() == from)
            .count()
    };
    for from in chain.accounts() {
        let nonce = chain.answer("eth_getTransactionCount", json!([from, "latest"])).unwrap();
        assert_eq!(nonce, json!(format!("{:#x}", sent(*from))));
    }
}

#[test]
fn what_is_not_a_method_is_not_found_and_bad_parameters_are_named() {
    let chain = SimChain::new(5);
    assert_eq!(chain.answer("eth_mine", json!([])).unwrap_err().code, -32601);
    let missing = chain.answer("eth_getBalance", json!([])).unwrap_err();
    assert_eq!(
        (missing.code, &*missing.message),
        (-32602, "missing value for required argument 0")
    );
    assert_eq!(chain.answer("eth_getBalance", json!(["0x12"])).unwrap_err().code, -32602);
}

#[tokio::test(start_paused = true)]
async fn a_miner_makes_a_block_per_block_time_until_it_is_dropped() {
    let chain = SimChain::start(ChainSpec::new(5).with_block_time(Duration::from_millis(250)));
    let miner = chain.mine_on_schedule();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(chain.block_number(), 4);
    drop(miner);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(chain.block_number(), 4);
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let chain = SimChain::new(7);
    chain.mine(5);
    let (snapshot, before) = (chain.snapshot(), hashes(&chain));
    chain.reorg(3);
    chain.mine(1);
    assert_eq!(hashes(&snapshot), before);
    snapshot.mine(2);
    assert_eq!((snapshot.block_number(), chain.block_number()), (7, 6));
}

#[test]
fn a_twin_has_the_same_height_and_nothing_else() {
    let chain = SimChain::new(5);
    chain.mine(5);
    let twin = chain.twin(56);
    assert_eq!((twin.chain_id(), twin.block_number()), (56, 5));
    assert!(hashes(&chain).iter().all(|hash| !hashes(&twin).contains(hash)));
}
