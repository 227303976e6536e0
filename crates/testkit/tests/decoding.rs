//! Alloy's `Provider` understands every answer, in process and over HTTP.

use alclad_testkit::{SimChain, SimNode};
use alloy::{
    consensus::{Transaction as _, TxReceipt},
    eips::{BlockId, BlockNumberOrTag},
    network::{EthereumWallet, TransactionBuilder, TransactionResponse},
    primitives::{Address, B256, Bloom, U256},
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::{
        client::RpcClient,
        types::{Filter, TransactionRequest},
    },
    signers::local::PrivateKeySigner,
};

fn chain() -> SimChain {
    let chain = SimChain::new(11);
    chain.mine(10);
    chain.mine_with(4, 2);
    chain
}

fn in_process(chain: &SimChain) -> DynProvider {
    let client = RpcClient::new(SimNode::new(chain).transport(), true);
    ProviderBuilder::new().connect_client(client).erased()
}

#[tokio::test]
async fn every_answer_is_decoded_in_process() {
    let chain = chain();
    let provider = in_process(&chain);
    decodes_blocks(&chain, &provider).await;
    decodes_transactions(&chain, &provider).await;
    decodes_state_and_fees(&chain, &provider).await;
    decodes_filters(&chain, &provider).await;
}

#[tokio::test]
async fn every_answer_is_decoded_over_http() {
    let chain = chain();
    let server = SimNode::new(&chain).serve_http().await;
    let provider = ProviderBuilder::new().connect_http(server.url()).erased();
    decodes_blocks(&chain, &provider).await;
    decodes_transactions(&chain, &provider).await;
    decodes_state_and_fees(&chain, &provider).await;
    decodes_filters(&chain, &provider).await;
}

async fn decodes_blocks(chain: &SimChain, provider: &DynProvider) {
    let truth = chain.block(11).unwrap();
    let full = provider.get_block(11.into()).full().await.unwrap().unwrap();
    assert_eq!(full, truth);
    let brief = provider.get_block(truth.header.hash.into()).await.unwrap().unwrap();
    assert_eq!(brief.transactions.hashes().collect::<Vec<_>>().len(), 4);
    assert_eq!(brief.header, truth.header);
    assert!(provider.get_block(12.into()).await.unwrap().is_none());

    let receipts = provider.get_block_receipts(BlockId::latest()).await.unwrap().unwrap();
    assert_eq!(receipts.len(), 4);
    let bloom = receipts.iter().fold(Bloom::ZERO, |all, one| all | one.inner.bloom());
    assert_eq!(truth.header.logs_bloom, bloom);
    let gas: u64 = receipts.iter().map(|receipt| receipt.gas_used).sum();
    assert_eq!(truth.header.gas_used, gas);
    let count = provider.get_block_transaction_count_by_number(BlockNumberOrTag::Latest).await;
    assert_eq!(count.unwrap(), Some(4));
    let count = provider.get_block_transaction_count_by_hash(truth.header.hash).await;
    assert_eq!(count.unwrap(), Some(4));
}

async fn decodes_transactions(chain: &SimChain, provider: &DynProvider) {
    let truth = chain.block(11).unwrap();
    for (index, expected) in truth.transactions.txns().enumerate() {
        let hash = expected.tx_hash();
        let found = provider.get_transaction_by_hash(hash).await.unwrap().unwrap();
        assert_eq!(&found, expected);
        let receipt = provider.get_transaction_receipt(hash).await.unwrap().unwrap();
        assert_eq!((receipt.from, receipt.to), (expected.from(), expected.to()));
        assert_eq!((receipt.transaction_index, receipt.logs().len()), (Some(index as u64), 2));
        let by_hash =
            provider.get_transaction_by_block_hash_and_index(truth.header.hash, index).await;
        let by_number = provider.get_transaction_by_block_number_and_index(11.into(), index).await;
        assert_eq!(by_hash.unwrap().unwrap(), by_number.unwrap().unwrap());
    }
    assert!(provider.get_transaction_by_hash(B256::ZERO).await.unwrap().is_none());
    assert!(provider.get_transaction_receipt(B256::ZERO).await.unwrap().is_none());

    let logs = provider.get_logs(&Filter::new().from_block(11)).await.unwrap();
    assert_eq!(logs.len(), 8);
    assert!(logs.iter().zip(0..).all(|(log, index)| log.log_index == Some(index)));
}

async fn decodes_state_and_fees(chain: &SimChain, provider: &DynProvider) {
    let (account, contract) = (chain.accounts()[0], chain.contracts()[0]);
    assert_eq!(provider.get_chain_id().await.unwrap(), 1);
    assert_eq!(provider.get_net_version().await.unwrap(), 1);
    assert!(provider.get_client_version().await.unwrap().starts_with("alclad-testkit"));
    assert_eq!(provider.get_block_number().await.unwrap(), 11);
    assert!(provider.get_balance(account).await.unwrap() > U256::ZERO);
    assert!(!provider.get_code_at(contract).await.unwrap().is_empty());
    assert!(provider.get_code_at(account).await.unwrap().is_empty());
    let slot = provider.get_storage_at(contract, U256::ZERO);
    assert_ne!(slot.number(10).await.unwrap(), U256::ZERO);
    provider.get_transaction_count(account).pending().await.unwrap();

    let request = TransactionRequest::default().with_to(contract).with_input(vec![1, 2, 3]);
    let result = provider.call(request.clone()).block(9.into()).await.unwrap();
    let block = chain.block(9).unwrap().header.hash;
    assert_eq!(result, SimChain::call_result(block, contract, &[1, 2, 3]));
    assert_eq!(provider.estimate_gas(request).await.unwrap(), 26_048);

    assert!(provider.get_gas_price().await.unwrap() > 8_000_000_000);
    assert_eq!(provider.get_max_priority_fee_per_gas().await.unwrap(), 1_000_000_000);
    assert_eq!(provider.get_blob_base_fee().await.unwrap(), 1);
    let history = provider.get_fee_history(5, 10.into(), &[10.0, 90.0]).await.unwrap();
    assert_eq!((history.oldest_block, history.gas_used_ratio.len()), (6, 5));
    let next = chain.block(11).unwrap().header.base_fee_per_gas.unwrap();
    assert_eq!(history.next_block_base_fee(), Some(u128::from(next)));
    assert!(history.reward.unwrap().iter().all(|row| row.len() == 2));
    assert!(provider.estimate_eip1559_fees().await.unwrap().max_fee_per_gas > 0);
}

async fn decodes_filters(chain: &SimChain, provider: &DynProvider) {
    let blocks = provider.new_block_filter().await.unwrap();
    let logs = provider.new_filter(&Filter::new()).await.unwrap();
    chain.mine_with(1, 3);
    let hashes: Vec<B256> = provider.get_filter_changes(blocks).await.unwrap();
    assert_eq!(hashes, [chain.head().hash]);
    let found: Vec<alloy::rpc::types::Log> = provider.get_filter_changes(logs).await.unwrap();
    assert_eq!(found.len(), 3);
    let reorg = chain.reorg_to(1, 2);
    let hashes: Vec<B256> = provider.get_filter_changes(blocks).await.unwrap();
    assert_eq!(hashes, reorg.adopted);
    assert!(provider.uninstall_filter(blocks).await.unwrap());
    assert!(provider.get_filter_changes::<B256>(blocks).await.is_err());
    chain.reorg_to(2, 0);
    chain.mine_with(4, 2);
}

#[tokio::test]
async fn fillers_send_a_transaction_and_its_receipt_comes() {
    let chain = chain();
    let node = SimNode::new(&chain);
    let provider = ProviderBuilder::new()
        .wallet(EthereumWallet::from(PrivateKeySigner::random()))
        .connect_client(RpcClient::new(node.transport(), true));
    let request =
        TransactionRequest::default().with_to(chain.contracts()[0]).with_value(U256::from(5));
    let pending = provider.send_transaction(request).await.unwrap();
    let hash = *pending.tx_hash();
    chain.mine(1);
    let receipt = pending.get_receipt().await.unwrap();
    assert!(receipt.status());
    assert_eq!((receipt.transaction_hash, receipt.logs().len()), (hash, 1));
    assert_eq!((chain.inclusions(hash), node.calls("eth_sendRawTransaction")), (1, 1));
}

#[tokio::test]
async fn a_creation_leaves_code_at_its_address() {
    let chain = chain();
    let provider = ProviderBuilder::new()
        .wallet(EthereumWallet::from(PrivateKeySigner::random()))
        .connect_client(RpcClient::new(SimNode::new(&chain).transport(), true));
    let request = TransactionRequest::default().with_deploy_code(vec![0x60, 0x00]);
    let pending = provider.send_transaction(request).await.unwrap();
    chain.mine(1);
    let created: Address = pending.get_receipt().await.unwrap().contract_address.unwrap();
    assert_eq!(provider.get_code_at(created).await.unwrap().to_vec(), [0x60, 0x00]);
    assert!(provider.get_code_at(created).number(11).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_node_that_lags_shows_an_older_chain() {
    let chain = chain();
    let node = SimNode::new(&chain).with_lag(4);
    let provider = ProviderBuilder::new().connect_client(RpcClient::new(node.transport(), true));
    assert_eq!(provider.get_block_number().await.unwrap(), 7);
    assert!(provider.get_block(8.into()).await.unwrap().is_none());
    assert!(provider.get_balance(Address::ZERO).number(8).await.is_err());
    let balance = provider.get_balance(Address::ZERO).await.unwrap();
    let truth = chain.answer_at(7, "eth_getBalance", serde_json::json!([Address::ZERO, "latest"]));
    assert_eq!(serde_json::json!(balance), truth.unwrap());

    let hash = chain.block(11).unwrap().transactions.hashes().next().unwrap();
    assert!(provider.get_transaction_receipt(hash).await.unwrap().is_none());
    let seen = provider.get_transaction_by_hash(hash).await.unwrap().unwrap();
    assert_eq!(seen.block_number, None);
    assert!(provider.get_logs(&Filter::new().from_block(11)).await.is_err());
    node.set_lag(0);
    assert!(provider.get_transaction_receipt(hash).await.unwrap().is_some());
}
