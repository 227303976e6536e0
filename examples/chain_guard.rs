//! `ChainGuardLayer` and `TxGuardLayer`: an endpoint is moved to another chain while it is used, and
//! a transaction that is signed for another one stays here.

use alclad::{ChainGuardLayer, Endpoint, Ordered, RetryLayer, Rotation, TxGuardLayer};
use alclad_testkit::{Disruption, SimChain, SimNode};
use alloy::{
    consensus::{SignableTransaction, TxEip1559},
    eips::Encodable2718,
    primitives::Signature,
    providers::{Provider, ProviderBuilder},
    rpc::client::RpcClient,
    transports::TransportResult,
};
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> TransportResult<()> {
    let chain = SimChain::random();
    chain.mine(20);
    let [vendor, spare] = [(); 2].map(|()| SimNode::new(&chain));
    let guard = ChainGuardLayer::expect(1).with_interval(Duration::from_millis(100));
    let rotation = Rotation::builder()
        .endpoint(Endpoint::new("vendor", vendor.transport()).layer(guard.clone()))
        .endpoint(Endpoint::new("spare", spare.transport()).layer(guard))
        .with_strategy(Ordered::new())
        .build();
    let client = RpcClient::builder()
        .layer(TxGuardLayer::expect(1))
        .layer(RetryLayer::new().with_budget(rotation.budget()))
        .transport(rotation.clone(), true);
    let provider = ProviderBuilder::new().connect_client(client);

    println!("block {} by the vendor", provider.get_block_number().await?);
    vendor.set(Disruption::WrongChain(chain.twin(1337)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    println!("block {} although the vendor moved", provider.get_block_number().await?);
    for endpoint in rotation.snapshot() {
        println!("    {}: {:?}", endpoint.id, endpoint.state);
    }

    let transaction = TxEip1559 { chain_id: 1337, gas_limit: 21_000, ..TxEip1559::default() };
    let signed = transaction.into_signed(Signature::test_signature());
    let sent = provider.send_raw_transaction(&signed.encoded_2718()).await;
    println!("{}", sent.expect_err("it is for another chain"));
    println!("transactions that reached a node: {}", spare.calls("eth_sendRawTransaction"));
    Ok(())
}
