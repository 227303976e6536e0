//! `RetryLayer` over one endpoint: what failed is asked again, and nothing else is.

use alclad::RetryLayer;
use alclad_testkit::{Disruption, REVERTING, RetryAfter, SimChain, SimNode};
use alloy::{
    network::TransactionBuilder,
    providers::{Provider, ProviderBuilder},
    rpc::{
        client::{BatchRequest, RpcClient},
        types::TransactionRequest,
    },
    transports::TransportResult,
};
use std::fmt::Debug;
use tokio::time::Instant;

#[tokio::main(flavor = "current_thread")]
async fn main() -> TransportResult<()> {
    let chain = SimChain::random();
    chain.mine(20);
    let (node, account) = (SimNode::new(&chain), chain.accounts()[0]);
    let client = RpcClient::new(node.transport(), true);
    let provider = ProviderBuilder::new().layer(RetryLayer::new()).connect_client(client);

    node.set(Disruption::http_status(503).times(2));
    show("503 twice, then it is well", &node, provider.get_balance(account).into_future()).await;

    node.set(Disruption::too_many_requests(Some(RetryAfter::Seconds(1))).times(1));
    show("429 with Retry-After: 1", &node, provider.get_balance(account).into_future()).await;

    node.set(Disruption::rpc_error(-32005, "rate limit exceeded").on("eth_getBalance").times(1));
    let mut batch = BatchRequest::new(provider.client());
    let chain_id = batch.add_call::<_, String>("eth_chainId", &())?;
    let balance = batch.add_call::<_, String>("eth_getBalance", &(account, "latest"))?;
    let all = async { batch.send().await.and(Ok((chain_id.await?, balance.await?))) };
    show("a batch of two, one of which is rate limited", &node, all).await;

    let call = TransactionRequest::default().with_to(REVERTING);
    show("a call that reverts is not asked again", &node, provider.call(call)).await;

    node.set(Disruption::Dead);
    show("nobody is there: the last error comes back", &node, provider.get_chain_id()).await;
    Ok(())
}

async fn show<T: Debug>(
    what: &str,
    node: &SimNode,
    call: impl IntoFuture<Output = TransportResult<T>>,
) {
    node.reset_counters();
    let start = Instant::now();
    let answer = format!("{:?}", call.await);
    println!("{what}\n    {:.0?}, {} calls: {answer:.120}", start.elapsed(), node.total_calls());
}
