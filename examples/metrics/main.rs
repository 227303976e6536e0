//! `MetricsLayer` in both rings, over a run with faults: what Prometheus would scrape, and the
//! report for a person. With `--serve` it goes on until it is stopped.

mod scrape;

use alclad::{
    ChainGuardLayer, Endpoint, MetricsLayer, RateLimitLayer, Report, RetryLayer, Rotation,
    TimeoutLayer, metrics::prometheus_builder,
};
use alclad_testkit::{Disruption, REVERTING, SimChain, SimNode};
use alloy::rpc::client::RpcClient;
use futures::{StreamExt, stream};
use metrics_exporter_prometheus::PrometheusHandle;
use scrape::Exporter;
use serde_json::{Value, json};
use std::{num::NonZeroU32, time::Duration};

/// The exporter's recorder, with the buckets of the table of names.
fn install() -> anyhow::Result<PrometheusHandle> {
    let handle = prometheus_builder(&[]).install_recorder()?;
    alclad::metrics::describe();
    Ok(handle)
}

/// Three nodes: one is slow now and then, one throttles or is silent, and one loses answers.
fn nodes() -> [SimNode; 3] {
    let chain = SimChain::random();
    chain.mine(64);
    let nodes = [(); 3].map(|()| SimNode::new(&chain));
    nodes.iter().for_each(|node| node.set(Disruption::SlowBy(Duration::from_millis(2))));
    nodes[0].add(Disruption::SlowBy(Duration::from_millis(100)).with_share(0.05));
    nodes[1].add(Disruption::rpc_error(-32005, "too many requests").with_share(0.05));
    nodes[1].add(Disruption::BlackHole.with_share(0.005));
    nodes[2].add(Disruption::LoseAnswer.with_share(0.05));
    nodes
}

fn client(nodes: &[SimNode; 3], report: &Report) -> RpcClient {
    let per_second = NonZeroU32::new(5000).expect("more than none");
    let endpoints = ["own", "paid", "public"].into_iter().zip(nodes).map(|(label, node)| {
        Endpoint::new(label, node.transport())
            .layer(ChainGuardLayer::expect(node.chain().chain_id()))
            .layer(RateLimitLayer::per_second(per_second))
            .layer(MetricsLayer::for_endpoint(label).with_report(report))
            .layer(TimeoutLayer::new(Duration::from_millis(500)))
    });
    let rotation = Rotation::builder().endpoints(endpoints).build();
    RpcClient::builder()
        .layer(MetricsLayer::new().with_report(report))
        .layer(RetryLayer::new().with_budget(rotation.budget()))
        .transport(rotation, true)
}

async fn call(client: &RpcClient, index: u64) {
    let block = format!("0x{:x}", index % 64);
    let (method, params) = match index % 5 {
        0 => ("eth_blockNumber", json!([])),
        1 => ("eth_getBlockByNumber", json!([block, false])),
        2 => ("eth_getBalance", json!([REVERTING, block])),
        3 => ("eth_getLogs", json!([{ "fromBlock": block, "toBlock": block }])),
        _ => ("eth_call", json!([{ "to": REVERTING, "data": "0x" }, block])),
    };
    let _ = client.request::<_, Value>(method, params).await;
}

async fn run(client: &RpcClient, calls: u64) {
    let calls = stream::iter(0..calls).map(|index| call(client, index));
    calls.buffer_unordered(8).collect::<()>().await;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let exporter = Exporter::serve(install()?).await?;
    let (nodes, report) = (nodes(), Report::new());
    let client = client(&nodes, &report);
    println!("metrics at {}", exporter.url());
    run(&client, 2000).await;
    println!("{report}");
    while std::env::args().any(|argument| argument == "--serve") {
        run(&client, 100).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
