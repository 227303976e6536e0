//! A signed transaction whose first answer is lost on the way: mined once, and the caller has its
//! receipt.

use alclad::{Endpoint, HttpTransport, Ordered, RetryLayer, Rotation};
use alclad_tests::{LossyRelay, Node, within};
use alloy::{
    primitives::{Address, U256},
    providers::{Provider, ProviderBuilder, ext::AnvilApi},
    rpc::{
        client::RpcClient,
        types::{TransactionReceipt, TransactionRequest},
    },
    transports::IntoBoxTransport,
};
use std::time::Duration;

const TO: Address = Address::repeat_byte(0xaa);
const VALUE: U256 = U256::from_limbs([7, 0, 0, 0]);
const LIMIT: Duration = Duration::from_secs(30);

/// A wallet over this transport.
fn wallet<T: IntoBoxTransport>(node: &Node, transport: T) -> impl Provider + use<T> {
    let client = RpcClient::builder().layer(RetryLayer::new()).transport(transport, true);
    ProviderBuilder::new().wallet(node.wallet()).connect_client(client)
}

async fn send(provider: &impl Provider) -> TransactionReceipt {
    let transfer = TransactionRequest::default().to(TO).value(VALUE);
    let sent = provider.send_transaction(transfer).await.expect("the send succeeds");
    sent.get_receipt().await.expect("it is mined")
}

async fn assert_mined_once(node: &Node, receipt: &TransactionReceipt) {
    let direct = node.direct();
    assert!(receipt.status());
    assert_eq!(direct.get_balance(TO).await.unwrap(), VALUE);
    assert_eq!(direct.get_transaction_count(node.account()).await.unwrap(), 1);
    let block = direct.get_block(receipt.block_hash.unwrap().into()).await.unwrap().unwrap();
    assert_eq!(block.transactions.hashes().collect::<Vec<_>>(), [receipt.transaction_hash]);
}

#[tokio::test]
async fn over_one_endpoint_the_retry_finds_its_transaction_mined() {
    let node = Node::start();
    let relay = LossyRelay::before(node.address()).await.unwrap();
    let provider = wallet(&node, HttpTransport::named("relay", relay.url()));
    let receipt = within(LIMIT, send(&provider)).await;
    assert_mined_once(&node, &receipt).await;
    assert_eq!(relay.sends(), 2);
}

#[tokio::test]
async fn over_one_endpoint_the_retry_finds_its_transaction_waiting() {
    let node = Node::start_with(&["--no-mining"]);
    let relay = LossyRelay::before(node.address()).await.unwrap();
    let provider = wallet(&node, HttpTransport::named("relay", relay.url()));
    let direct = node.direct();
    let mine_once_it_waits = async {
        while relay.sends() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        direct.anvil_mine(Some(1), None).await.unwrap();
    };
    let both = async { tokio::join!(send(&provider), mine_once_it_waits) };
    let (receipt, ()) = within(LIMIT, both).await;
    assert_mined_once(&node, &receipt).await;
}

#[tokio::test]
async fn over_alloys_own_transport_too() {
    let node = Node::start();
    let relay = LossyRelay::before(node.address()).await.unwrap();
    let provider = ProviderBuilder::new()
        .wallet(node.wallet())
        .layer(RetryLayer::new())
        .connect_http(relay.url());
    let receipt = within(LIMIT, send(&provider)).await;
    assert_mined_once(&node, &receipt).await;
    assert_eq!(relay.sends(), 2);
}

#[tokio::test]
async fn over_two_endpoints_the_second_one_knows_it() {
    let node = Node::start();
    let relay = LossyRelay::before(node.address()).await.unwrap();
    let rotation = Rotation::builder()
        .with_strategy(Ordered::strict())
        .endpoint(Endpoint::http("lossy", relay.url()))
        .endpoint(Endpoint::http("sound", node.url()))
        .build();
    let provider = wallet(&node, rotation.clone());
    let receipt = within(LIMIT, send(&provider)).await;
    assert_mined_once(&node, &receipt).await;
    assert_eq!(relay.sends(), 1, "the second endpoint was asked, not the first one again");
}
