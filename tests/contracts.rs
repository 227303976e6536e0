//! A contract through the whole stack, and a batch in which one member reverts.

use alclad::{Endpoint, RetryLayer, Rotation, TimeoutLayer};
use alclad_tests::{Node, within};
use alloy::{
    primitives::{Address, U64, U256},
    providers::{Provider, ProviderBuilder},
    rpc::{
        client::{BatchRequest, RpcClient},
        types::TransactionRequest,
    },
    sol,
    sol_types::SolCall,
};
use std::{collections::BTreeMap, time::Duration};

const LIMIT: Duration = Duration::from_secs(30);

sol! {
    // solc 0.8.30 --optimize
    #[sol(rpc, bytecode = "6080604052348015600e575f5ffd5b5061017b8061001c5f395ff3fe608060405234801561000f575f5ffd5b506004361061003f575f3560e01c80632ddbd13a1461004357806362c69b801461005d578063b6b55f2514610067575b5f5ffd5b61004b5f5481565b60405190815260200160405180910390f35b61006561007a565b005b610065610075366004610109565b6100bc565b60405162461bcd60e51b81526020600482015260136024820152721c985d19481b1a5b5a5d08195e18d959591959606a1b604482015260640160405180910390fd5b805f5f8282546100cc9190610120565b909155505060405181815233907f2da466a7b24304f47e87fa2e1e5a81b9831ce54fec19055ce277ca2f39ba42c49060200160405180910390a250565b5f60208284031215610119575f5ffd5b5035919050565b8082018082111561013f57634e487b7160e01b5f52601160045260245ffd5b9291505056fea264697066735822122011faf4ceae2ee8f223f0ec4755e0138accb544003066ecaddfceffc810b129c264736f6c634300081e0033")]
    contract Ledger {
        uint256 public total;
        event Deposited(address indexed from, uint256 amount);
        function deposit(uint256 amount) external { total += amount; emit Deposited(msg.sender, amount); }
        function refuse() external pure { revert("rate limit exceeded"); }
    }
}

/// Retry, rotation, timeout and alloy's recommended fillers.
fn stack(node: &Node) -> (Rotation, impl Provider + Clone + use<>) {
    let endpoint = |label: &str| {
        Endpoint::http(label, node.url()).layer(TimeoutLayer::new(Duration::from_secs(5)))
    };
    let rotation = Rotation::builder().endpoint(endpoint("one")).endpoint(endpoint("two")).build();
    let retry = RetryLayer::new().with_budget(rotation.budget());
    let client = RpcClient::builder().layer(retry).transport(rotation.clone(), true);
    (rotation, ProviderBuilder::new().wallet(node.wallet()).connect_client(client))
}

/// Nonce, fees, gas, the send and its receipt see one state of the chain.
#[tokio::test]
async fn a_whole_operation_stays_with_one_endpoint() {
    let node = Node::start();
    let (rotation, _) = stack(&node);
    let client = RpcClient::new(rotation.pinned("two"), true);
    let provider = ProviderBuilder::new().wallet(node.wallet()).connect_client(client);
    let operation = async {
        let ledger = Ledger::deploy(provider).await.unwrap();
        let deposit = ledger.deposit(U256::from(42)).send().await.unwrap();
        assert!(deposit.get_receipt().await.unwrap().status());
        assert_eq!(ledger.total().call().await.unwrap(), 42);
    };
    within(LIMIT, operation).await;
    let requests: Vec<_> = rotation.snapshot().iter().map(|endpoint| endpoint.requests).collect();
    assert!(requests[0] == 0 && requests[1] > 10, "{requests:?}");
}

/// How often an endpoint has said that a call reverts.
fn reverts(rotation: &Rotation) -> u64 {
    let reverted = |faults: &BTreeMap<&str, u64>| faults.get("Reverted").copied().unwrap_or(0);
    rotation.snapshot().iter().map(|endpoint| reverted(&endpoint.faults)).sum()
}

#[tokio::test]
async fn a_contract_is_deployed_and_called() {
    let node = Node::start();
    let (_, provider) = stack(&node);
    let deployed_and_called = async {
        let ledger = Ledger::deploy(provider).await.unwrap();
        for amount in [40, 2] {
            let deposit = ledger.deposit(U256::from(amount)).send().await.unwrap();
            assert!(deposit.get_receipt().await.unwrap().status());
        }
        assert_eq!(ledger.total().call().await.unwrap(), 42);

        let deposits = ledger.Deposited_filter().from_block(0).query().await.unwrap();
        let amounts: Vec<_> = deposits.iter().map(|(deposit, _)| deposit.amount).collect();
        assert_eq!(amounts, [40, 2].map(U256::from));
    };
    within(LIMIT, deployed_and_called).await;
}

#[tokio::test]
async fn a_revert_comes_back_whole_and_is_asked_for_once() {
    let node = Node::start();
    let (rotation, provider) = stack(&node);
    let ledger = Ledger::deploy(provider).await.unwrap();
    let error = within(LIMIT, ledger.refuse().call()).await.err().expect("a revert");
    // What it says sounds like a vendor's, but the contract said it.
    assert_eq!(error.as_revert_data().map(|data| data.len()), Some(100));
    assert_eq!(reverts(&rotation), 1);
}

#[tokio::test]
async fn a_batch_in_which_one_member_reverts_keeps_its_other_answers() {
    let node = Node::start();
    let (rotation, provider) = stack(&node);
    let ledger = *Ledger::deploy(&provider).await.unwrap().address();

    let call =
        |input: Vec<u8>| (TransactionRequest::default().to(ledger).input(input.into()), "latest");
    let mut batch = BatchRequest::new(provider.client());
    let total = batch.add_call::<_, U256>("eth_call", &call(Ledger::totalCall {}.abi_encode()));
    let refused = batch.add_call::<_, U256>("eth_call", &call(Ledger::refuseCall {}.abi_encode()));
    let height = batch.add_call::<_, U64>("eth_blockNumber", &());
    let empty = batch.add_call::<_, U256>("eth_getBalance", &(Address::repeat_byte(9), "latest"));
    within(LIMIT, batch.send()).await.unwrap();

    assert_eq!(total.unwrap().await.unwrap(), 0);
    let refused = refused.unwrap().await.unwrap_err();
    let payload = refused.as_error_resp().expect("the node's own error");
    assert_eq!((payload.code, &*payload.message), (3, "execution reverted: rate limit exceeded"));
    assert_eq!(height.unwrap().await.unwrap(), U64::from(1));
    assert_eq!(empty.unwrap().await.unwrap(), 0);
    assert_eq!(reverts(&rotation), 1);
}
