//! The three ways in which options reach a call, on two real chains: an answer says where it is
//! from.

use alclad::{CallOptions, Endpoint, Ordered, RetryLayer, Rotation};
use alclad_tests::{Node, within};
use alloy::{
    consensus::Transaction,
    primitives::{Address, U64, U256},
    providers::{Provider, ProviderBuilder},
    rpc::{
        client::{BatchRequest, RpcClient},
        types::TransactionRequest,
    },
    sol,
    transports::IntoBoxTransport,
};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

const FIRST: U64 = U64::from_limbs([1001]);
const SECOND: U64 = U64::from_limbs([1002]);

sol! {
    #[sol(rpc)]
    interface Word {
        function word() external view returns (uint256);
        function set(uint256 word) external;
    }
}

struct Chains {
    nodes: [Node; 2],
    rotation: Rotation,
}

/// Two chains, which no rotation would have in earnest.
fn chains() -> Chains {
    let nodes = ["1001", "1002"].map(|chain| Node::start_with(&["--chain-id", chain]));
    let rotation = Rotation::builder()
        .with_strategy(Ordered::strict())
        .endpoint(Endpoint::http("first", nodes[0].url()))
        .endpoint(Endpoint::http("second", nodes[1].url()))
        .build();
    Chains { nodes, rotation }
}

fn client(transport: impl IntoBoxTransport) -> RpcClient {
    RpcClient::builder().layer(RetryLayer::new()).transport(transport, true)
}

fn second() -> CallOptions {
    CallOptions::new().pinned_to("second")
}

#[tokio::test]
async fn one_request_has_them_in_its_extensions() {
    let Chains { rotation, nodes: _nodes } = chains();
    let client = client(rotation);
    let ask = || client.request_noparams::<U64>("eth_chainId");
    let pinned = ask().map_meta(|mut meta| {
        meta.extensions_mut().insert(second());
        meta
    });
    assert_eq!(pinned.await.unwrap(), SECOND);
    assert_eq!(ask().await.unwrap(), FIRST);

    // Extensions win over a scope.
    let first = ask().map_meta(|mut meta| {
        meta.extensions_mut().insert(CallOptions::new().pinned_to("first"));
        meta
    });
    assert_eq!(second().scope(first).await.unwrap(), FIRST);
}

#[tokio::test]
async fn a_scope_holds_for_batches_and_contract_calls() {
    let Chains { rotation, nodes } = chains();
    // Returns the chain id: CHAINID PUSH0 MSTORE PUSH1 32 PUSH0 RETURN.
    let (at, code) = (Address::repeat_byte(0xcc), "0x465f5260205ff3");
    for node in &nodes {
        let set: () = node.direct().client().request("anvil_setCode", (at, code)).await.unwrap();
        set
    }
    let provider = ProviderBuilder::new().connect_client(client(rotation));
    let contract = Word::new(at, &provider);
    assert_eq!(contract.word().call().await.unwrap(), U256::from(FIRST));
    let word = second().scope(async { contract.word().call().await }).await;
    assert_eq!(word.unwrap(), U256::from(SECOND));

    let mut batch = BatchRequest::new(provider.client());
    let answers = [(), ()].map(|()| batch.add_call::<_, U64>("eth_chainId", &()).unwrap());
    second().scope(async { batch.send().await }).await.unwrap();
    for answer in answers {
        assert_eq!(answer.await.unwrap(), SECOND);
    }
}

#[tokio::test]
async fn a_scope_holds_for_the_calls_of_fillers() {
    let Chains { rotation, nodes } = chains();
    let provider =
        ProviderBuilder::new().wallet(nodes[1].wallet()).connect_client(client(rotation.clone()));
    let to = Address::repeat_byte(0xaa);
    let transfer = TransactionRequest::default().to(to).value(U256::from(7));
    let sent = second().scope(async { provider.send_transaction(transfer).await });
    let hash = *within(Duration::from_secs(10), sent).await.unwrap().tx_hash();

    let receipt = nodes[1].direct().get_transaction_receipt(hash).await.unwrap();
    assert!(receipt.expect("mined by the second node").status());
    assert_eq!(nodes[0].direct().get_block_number().await.unwrap(), 0);
    assert_eq!(rotation.snapshot()[0].requests, 0, "not even the nonce is from the first node");
}

#[tokio::test]
async fn a_derived_rotation_sends_for_a_contract_from_the_nonce_to_the_receipt() {
    let Chains { rotation, nodes } = chains();
    let pinned = client(rotation.pinned("second"));
    let provider = ProviderBuilder::new().wallet(nodes[1].wallet()).connect_client(pinned);
    // An account without code takes any call.
    let contract = Word::new(Address::repeat_byte(0xcc), &provider);
    for nonce in 0..2 {
        let sent = within(LIMIT, async { contract.set(U256::from(7)).send().await }).await;
        let receipt = within(LIMIT, sent.unwrap().get_receipt()).await.unwrap();
        let mined = nodes[1].direct().get_transaction_by_hash(receipt.transaction_hash).await;
        assert_eq!((receipt.status(), mined.unwrap().unwrap().nonce()), (true, nonce));
    }
    let [first, second] = [0, 1].map(|index| rotation.snapshot()[index].requests);
    assert_eq!(first, 0, "not even a look at the head");
    assert!(second >= 8, "nonce, fees, gas, send and receipt of two: {second}");
}

#[tokio::test]
async fn a_derived_rotation_has_them_for_all_its_calls() {
    let Chains { rotation, nodes: _nodes } = chains();
    let pinned = client(rotation.pinned("second"));
    let free = client(rotation);
    assert_eq!(pinned.request_noparams::<U64>("eth_chainId").await.unwrap(), SECOND);
    assert_eq!(free.request_noparams::<U64>("eth_chainId").await.unwrap(), FIRST);

    // A scope wins over a derived rotation.
    let first = CallOptions::new().pinned_to("first");
    let ask = async { pinned.request_noparams::<U64>("eth_chainId").await };
    assert_eq!(first.scope(ask).await.unwrap(), FIRST);
}
