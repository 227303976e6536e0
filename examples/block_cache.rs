//! `BlockCacheLayer` over a rotation: an indexer that starts again, a dashboard, and a reorg.

use alclad::{BlockCacheLayer, Endpoint, Rotation};
use alclad_testkit::{SimChain, SimNode};
use alloy::{
    providers::{Provider, ProviderBuilder},
    rpc::client::RpcClient,
    transports::TransportResult,
};
use futures::future::try_join_all;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> TransportResult<()> {
    let chain = SimChain::random();
    chain.mine(300);
    let node = SimNode::new(&chain);
    let rotation = Rotation::builder().endpoint(Endpoint::new("node", node.transport())).build();
    let layer = BlockCacheLayer::new()
        .with_heads(rotation.heads())
        .with_pinned_latest(Duration::from_secs(12));
    let store = layer.store();
    let client = RpcClient::builder().layer(layer).transport(rotation, true);
    let provider = ProviderBuilder::new().connect_client(client);

    for run in ["first", "second"] {
        let before = node.total_calls();
        for number in 1..=100 {
            provider.get_block_receipts(number.into()).await?;
        }
        println!("{run} run over 100 blocks: {} calls", node.total_calls() - before);
    }

    let head = provider.get_block_number().await?;
    let (before, account) = (node.total_calls(), chain.accounts()[0]);
    try_join_all((0..50).map(|_| provider.get_balance(account).into_future())).await?;
    println!("50 balances at once: {} call", node.total_calls() - before);

    let block = provider.get_block_by_number(head.into()).await?.expect("the head");
    chain.reorg(2);
    provider.get_block_by_number((head - 1).into()).await?;
    let now = provider.get_block_by_number(head.into()).await?.expect("another head");
    println!("after a reorg another block {head}: {}", block.header.hash != now.header.hash);

    let statistics = store.statistics();
    println!(
        "{} answers in {} bytes, hit rate {:.0} %",
        statistics.entries,
        statistics.bytes,
        100.0 * statistics.total.hit_rate()
    );
    Ok(())
}
