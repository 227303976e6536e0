//! What is scraped is what a Prometheus text parser reads, and what the dashboard asks for.

use super::*;
use alclad::{
    TxGuardLayer,
    core::{Budget, names},
};
use alloy::transports::http::reqwest;
use prometheus_parse::{Scrape, Value as Sample};
use std::collections::BTreeSet;

/// Fails of itself in a minute if the run does not get that far.
async fn scraped() -> (Scrape, Report) {
    // One recorder per process, and so one test for all that it shows.
    let exporter = Exporter::serve(install().unwrap()).await.unwrap();
    let (nodes, report) = (nodes(), Report::new());
    let client = client(&nodes, &report);
    run(&client, 2000).await;
    run(&client, 500).await;
    happen_once(&nodes[0]).await;
    let text = reqwest::get(exporter.url()).await.unwrap().text().await.unwrap();
    (Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap(), report)
}

/// What hardly ever happens in a run.
async fn happen_once(node: &SimNode) {
    let chain = node.chain().chain_id();
    let ask = async |client: RpcClient| {
        for _ in 0..2 {
            let _ = client.request::<_, Value>("eth_sendRawTransaction", ["0x"]).await;
            let _ = client.request_noparams::<Value>("eth_gasPrice").await;
        }
    };
    let client = RpcClient::builder();
    ask(client.layer(TxGuardLayer::expect(chain)).transport(node.transport(), true)).await;
    let client = RpcClient::builder().layer(ChainGuardLayer::expect(chain + 1));
    ask(client.transport(node.transport(), true)).await;
    for longest in [Duration::ZERO, Duration::from_secs(1)] {
        let per_second = NonZeroU32::new(10).expect("more than none");
        let limit = RateLimitLayer::per_second(per_second).with_max_wait(longest);
        ask(RpcClient::builder().layer(limit).transport(node.transport(), true)).await;
    }
    for budget in [Budget::new(0.0, 0), Budget::default()] {
        node.set(Disruption::http_status(503).times(1));
        let retry = RetryLayer::new().with_budget(budget);
        ask(RpcClient::builder().layer(retry).transport(node.transport(), true)).await;
    }
    happen_to_a_rotation(node).await;
    // The example has no cache.
    for name in
        [names::CACHE_HITS, names::CACHE_MISSES, names::CACHE_JOINED, names::CACHE_EVICTIONS]
    {
        metrics::counter!(name).increment(0);
    }
    for name in [names::CACHE_BYTES, names::CACHE_ENTRIES] {
        metrics::gauge!(name).set(0);
    }
}

/// A reorg, a limit of the vendor's, and an answer that does not come.
async fn happen_to_a_rotation(node: &SimNode) {
    node.clear();
    let endpoint = Endpoint::new("own", node.transport())
        .layer(RateLimitLayer::per_second(NonZeroU32::MAX))
        .layer(TimeoutLayer::new(Duration::from_millis(50)));
    let rotation = Rotation::builder().endpoint(endpoint).build();
    let client = RpcClient::new(rotation, true);
    let newest =
        async || client.request::<_, Value>("eth_getBlockByNumber", ("latest", false)).await;
    newest().await.expect("a block");
    node.chain().reorg(2);
    newest().await.expect("another block");
    node.set(Disruption::BlackHole);
    newest().await.expect_err("a timeout");
    node.set(Disruption::too_many_requests(None));
    newest().await.expect_err("a limit");
}

/// Every name of a metric in the dashboard's queries.
fn asked_for() -> BTreeSet<String> {
    let dashboard: Value = serde_json::from_str(include_str!("grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let queries = targets.map(|target| target["expr"].as_str().unwrap());
    let words = queries.flat_map(|query| query.split(|c: char| !(c.is_alphanumeric() || c == '_')));
    words.filter(|word| word.starts_with("alclad_")).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_prometheus_reads_it_and_the_dashboard_finds_all_that_it_asks_for() {
    let (scrape, report) = tokio::time::timeout(Duration::from_secs(60), scraped()).await.unwrap();
    let sum = |name: &str| -> f64 {
        let of = scrape.samples.iter().filter(|sample| sample.metric == name);
        of.map(|sample| match sample.value {
            Sample::Counter(value) | Sample::Gauge(value) | Sample::Untyped(value) => value,
            _ => panic!("{name} is no plain number"),
        })
        .sum()
    };
    assert_eq!(sum(names::CALLS), 2500.0);
    assert_eq!(sum(names::CALLS_IN_FLIGHT), 0.0);
    assert!(sum(names::ATTEMPTS) >= 2500.0);
    let told: u64 = report.snapshot().methods.iter().map(|line| line.count).sum();
    assert_eq!(told, 2500);

    let histogram = scrape.samples.iter().find(|sample| sample.metric == names::CALL_DURATION);
    let Some(Sample::Histogram(buckets)) = histogram.map(|sample| &sample.value) else {
        panic!("{histogram:?}");
    };
    let bounds: Vec<_> = buckets.iter().map(|bucket| bucket.less_than).collect();
    assert_eq!(bounds[..names::SECONDS.len()], names::SECONDS);

    let known: BTreeSet<_> = names::ALL.iter().map(|metric| metric.name).collect();
    let found: BTreeSet<_> = scrape.samples.iter().map(|sample| &*sample.metric).collect();
    let asked = asked_for();
    assert!(asked.len() > 20, "{asked:?}");
    for name in &asked {
        // A histogram is scraped in parts.
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        let base = base.filter(|base| known.contains(base)).unwrap_or(name);
        assert!(known.contains(base), "{name} is not in the table");
        assert!(found.contains(base) || found.contains(&**name), "{name} was not scraped");
    }
    assert_eq!(scrape.docs.get(names::CALLS).map(String::as_str), Some(help(names::CALLS)));
}

fn help(name: &str) -> &'static str {
    names::ALL.iter().find(|metric| metric.name == name).expect("it is in the table").help
}
