//! Counters agree with what the nodes counted, and with what the caller did, over runs with
//! faults, retries, hedges and drops.

mod support;

use alclad::{
    ChainGuardLayer, Endpoint, EndpointId, Fault, MetricsLayer, Outcome, RateLimitLayer, Report,
    RetryLayer, Rotation, TimeoutLayer,
    core::{Method, classify, names},
};
use alclad_testkit::{
    Disruption, RateLimit, RetryAfter, SimChain, SimNode, batch, request, single,
};
use alloy::{
    rpc::json_rpc::{RequestPacket, ResponsePacket},
    transports::{BoxTransport, IntoBoxTransport, Transport, TransportError},
};
use futures::{StreamExt, stream};
use metrics_util::debugging::DebuggingRecorder;
use serde_json::{Value, json};
use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};
use support::Seen;
use tower::{Layer, ServiceExt};

const CALLS: u64 = 1200;
const CONCURRENCY: usize = 16;

const LABELS: [&str; 3] = ["a", "b", "c"];

/// The whole stack, over three nodes.
struct Stack {
    chain: SimChain,
    nodes: [SimNode; 3],
    rotation: Rotation,
    service: BoxTransport,
    report: Report,
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn units(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).expect("more than none")
}

impl Stack {
    fn new<T: Transport + Clone>(
        chain: SimChain,
        nodes: [SimNode; 3],
        transports: [T; 3],
        per_second: u32,
    ) -> Self {
        let report = Report::new();
        let patience = TimeoutLayer::new(ms(400));
        let endpoints = LABELS.into_iter().zip(transports).map(|(label, transport)| {
            Endpoint::new(label, transport)
                .layer(ChainGuardLayer::expect(chain.chain_id()))
                .layer(RateLimitLayer::per_second(units(per_second)))
                .layer(MetricsLayer::for_endpoint(label).with_report(&report))
                .layer(patience.clone())
        });
        let rotation =
            Rotation::builder().endpoints(endpoints).with_attempt_timeout(ms(400)).build();
        let retry = RetryLayer::new().with_budget(rotation.budget()).layer(rotation.clone());
        let service = MetricsLayer::new().with_report(&report).layer(retry).into_box_transport();
        Self { chain, nodes, rotation, service, report }
    }

    /// All that may go wrong with a node that is alive.
    fn trouble(&self) {
        let [a, b, c] = &self.nodes;
        a.set(Disruption::SlowBy(ms(150)).with_share(0.1));
        a.add(Disruption::http_status(503).with_share(0.02));
        a.add(Disruption::BlackHole.with_share(0.01));
        a.add(Disruption::MissingMembers.with_share(0.2));
        b.set(Disruption::rpc_error(-32005, "too many requests").with_share(0.02));
        b.add(Disruption::LoseAnswer.with_share(0.02));
        b.add(Disruption::Html.with_share(0.01));
        c.set(Disruption::too_many_requests(Some(RetryAfter::Seconds(1))).with_share(0.01));
        c.add(Disruption::ForeignIds.with_share(0.01));
        c.add(Disruption::Reset.with_share(0.02));
        c.set_rate_limit(RateLimit::per_second(units(2000)).with_burst(units(100)));
    }

    fn request(&self, index: u64, id: u64) -> (&'static str, Value) {
        let block = format!("0x{:x}", index % 60 + 1);
        let account = self.chain.accounts()[index as usize % 4];
        match (index + id) % 8 {
            0 => ("eth_getBlockByNumber", json!([block, false])),
            1 => ("eth_getBalance", json!([account, block])),
            2 => ("eth_getLogs", json!([{ "fromBlock": block, "toBlock": block }])),
            3 => ("eth_call", json!([{ "to": account, "data": "0x1234" }, block])),
            4 => ("eth_blockNumber", json!([])),
            5 => ("eth_call", json!([{ "to": alclad_testkit::REVERTING, "data": "0x" }, block])),
            6 => ("eth_getTransactionReceipt", json!([format!("0x{:064x}", index)])),
            _ => ("eth_getBlockReceipts", json!([block])),
        }
    }

    fn packet(&self, index: u64) -> RequestPacket {
        let member = |id: u64| {
            let (method, params) = self.request(index, id);
            request(id, method, params)
        };
        match index % 7 {
            0 => batch((1..5).map(member)),
            _ => single(member(1)),
        }
    }

    /// One call, and what the caller makes of it. Some callers do not wait for long.
    async fn call(&self, index: u64) -> Vec<(&'static str, &'static str)> {
        let packet = self.packet(index);
        let methods: Vec<_> = packet.method_names().map(|name| Method::of(name).name).collect();
        let patience = if index.is_multiple_of(11) { ms(index % 60) } else { ms(600_000) };
        let call = self.service.clone().oneshot(packet);
        match tokio::time::timeout(patience, call).await {
            Ok(answer) => methods.iter().copied().zip(outcomes(&methods, &answer)).collect(),
            Err(_) => methods.into_iter().map(|method| (method, names::DROPPED)).collect(),
        }
    }

    /// How often which method ended how, as the callers saw it.
    async fn run(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        let calls = stream::iter(0..CALLS).map(|index| self.call(index));
        let ends: Vec<_> = calls.buffer_unordered(CONCURRENCY).collect().await;
        let mut counts = BTreeMap::new();
        for end in ends.into_iter().flatten() {
            *counts.entry(end).or_default() += 1;
        }
        counts
    }

    fn agrees(&self, seen: &Seen, called: &BTreeMap<(&'static str, &'static str), u64>) {
        let mut counted = BTreeMap::new();
        for (labels, count) in seen.of(names::CALLS) {
            counted.insert((labels[names::METHOD].clone(), labels[names::OUTCOME].clone()), count);
        }
        let called: BTreeMap<_, _> = called
            .iter()
            .map(|((method, end), count)| {
                (((*method).to_owned(), (*end).to_owned()), *count as f64)
            })
            .collect();
        assert_eq!(counted, called, "logical calls");
        for (label, node) in LABELS.iter().zip(&self.nodes) {
            let sent = seen.by_method(names::ATTEMPTS, label);
            let unsent = seen.by_method(names::ATTEMPTS_UNSENT, label);
            let arrived: BTreeMap<_, _> = sent
                .iter()
                .map(|(method, count)| {
                    (method.clone(), count - unsent.get(method).copied().unwrap_or_default())
                })
                .filter(|(_, count)| *count > 0.0)
                .collect();
            let by_node = node.calls_by_method();
            let by_node: BTreeMap<_, _> =
                by_node.into_iter().map(|(method, count)| (method, count as f64)).collect();
            assert_eq!(arrived, by_node, "{label}: {sent:?} of which unsent {unsent:?}");
        }
        for (labels, flying) in seen.of(names::ATTEMPTS_IN_FLIGHT) {
            assert_eq!(flying, 0.0, "{labels:?}");
        }
        assert_eq!(seen.sum(names::CALLS_IN_FLIGHT), 0.0);
    }

    /// What the other layers count agrees with what they say when they are asked.
    fn agrees_with_the_rotation(&self, seen: &Seen) {
        let snapshot = self.rotation.snapshot();
        for endpoint in &snapshot {
            let at = [(names::ENDPOINT, endpoint.id.as_str())];
            assert_eq!(seen.get(names::HEDGES, &at), endpoint.hedges as f64);
            assert_eq!(Some(seen.get(names::ENDPOINT_HEAD, &at) as u64), endpoint.head);
            assert_eq!(seen.get(names::ENDPOINT_LAG, &at) as u64, endpoint.lag);
        }
        let report = self.report.snapshot();
        let told: u64 = report.endpoints.iter().map(|line| line.count).sum();
        assert_eq!(told as f64, seen.sum(names::ATTEMPTS));
        let told: u64 = report.methods.iter().map(|line| line.count).sum();
        assert_eq!(told as f64, seen.sum(names::CALLS));
        println!("{report}");
    }
}

fn outcomes(
    methods: &[&'static str],
    answer: &Result<ResponsePacket, TransportError>,
) -> Vec<&'static str> {
    let name = |outcome| match outcome {
        Outcome::Fault(fault) => fault.name(),
        Outcome::Null | Outcome::Empty => names::EMPTY,
        _ => names::OK,
    };
    match answer {
        Ok(packet) => {
            let answers = methods.iter().zip(packet.responses());
            answers.map(|(method, answer)| name(classify(method, answer))).collect()
        }
        Err(error) => methods.iter().map(|method| Fault::of_error(method, error).name()).collect(),
    }
}

fn happened(seen: &Seen, names: &[&str]) {
    for name in names {
        assert!(seen.sum(name) > 0.0, "nothing of {name}: {:#?}", seen.0);
    }
}

#[tokio::test(start_paused = true)]
async fn counters_agree_with_the_nodes_and_with_the_caller() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let chain = SimChain::random();
    chain.mine(64);
    let nodes = [(); 3].map(|()| SimNode::new(&chain));
    let transports = nodes.each_ref().map(SimNode::transport);
    let stack = Stack::new(chain, nodes, transports, 200);
    // Some fault and hedge time must first be learnt from good answers.
    stack.nodes.iter().for_each(|node| node.set(Disruption::SlowBy(ms(5))));
    let mut called = stack.run().await;
    stack.trouble();
    add(&mut called, stack.run().await);
    stack.nodes[0].set(Disruption::Dead);
    add(&mut called, stack.run().await);
    stack.nodes[0].clear();
    // What was left to end quietly has ended.
    tokio::time::sleep(Duration::from_secs(60)).await;

    let seen = Seen::of_recorder(&recorder);
    stack.agrees(&seen, &called);
    stack.agrees_with_the_rotation(&seen);
    happened(
        &seen,
        &[
            names::RETRIES,
            names::RETRY_WAIT,
            names::FAILOVERS,
            names::HEDGES,
            names::HEDGES_WON,
            names::HEALTH_TRANSITIONS,
            names::RATE_LIMIT_REFUSED,
            names::THROTTLED,
            names::TIMEOUTS,
            names::CHAIN_VERIFICATIONS,
            names::ATTEMPTS_UNSENT,
            names::CALL_REQUEST_BYTES,
            names::ATTEMPT_RESPONSE_BYTES,
        ],
    );
    assert!(called.keys().any(|(_, end)| *end == names::DROPPED), "{called:?}");
    let timeouts = seen.ended(names::ATTEMPTS, "Timeout");
    let batched = seen.sum(names::TIMEOUTS);
    assert!(timeouts >= batched, "{timeouts} members of {batched} packets");
}

fn add(
    sum: &mut BTreeMap<(&'static str, &'static str), u64>,
    more: BTreeMap<(&'static str, &'static str), u64>,
) {
    more.into_iter().for_each(|(end, count)| *sum.entry(end).or_default() += count);
}

#[tokio::test]
async fn over_http_counters_agree_less_what_was_dropped_before_it_left() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let chain = SimChain::random();
    chain.mine(64);
    let nodes = [(); 3].map(|()| SimNode::new(&chain));
    let mut servers = Vec::new();
    for node in &nodes {
        servers.push(node.serve_http().await);
    }
    let transport =
        |index: usize| alclad::HttpTransport::named(LABELS[index], servers[index].url());
    let transports = [transport(0), transport(1), transport(2)];
    let stack = Stack::new(chain, nodes, transports, 100_000);
    let mut called = stack.run().await;
    stack.trouble();
    add(&mut called, stack.run().await);
    stack.nodes.iter().for_each(SimNode::clear);
    // Callers that give up at once: mostly before anything has left.
    let hurried = stream::iter(0..300).map(|index| {
        let service = stack.service.clone();
        let packet = single(request(index, "eth_gasPrice", ()));
        async move { tokio::time::timeout(Duration::ZERO, service.oneshot(packet)).await.is_err() }
    });
    let dropped = hurried.buffer_unordered(32).filter(|late| std::future::ready(*late)).count();
    let dropped = dropped.await as u64;
    *called.entry(("eth_gasPrice", names::DROPPED)).or_default() += dropped;
    let ok = 300 - dropped;
    if ok > 0 {
        *called.entry(("eth_gasPrice", names::OK)).or_default() += ok;
    }
    until_quiet(&stack).await;

    let seen = Seen::of_recorder(&recorder);
    stack.agrees(&seen, &called);
    happened(&seen, &[names::RETRIES, names::FAILOVERS, names::HEDGES, names::ATTEMPTS_UNSENT]);
}

/// Until nothing is on its way any more, neither here nor at the nodes.
async fn until_quiet(stack: &Stack) {
    for _ in 0..200 {
        tokio::time::sleep(ms(50)).await;
        let flying = stack.rotation.snapshot().iter().any(|endpoint| endpoint.in_flight > 0);
        if !flying && stack.nodes.iter().all(|node| node.in_flight() == 0) {
            return;
        }
    }
    panic!("something is still on its way");
}

/// What no run shows by chance.
#[tokio::test(start_paused = true)]
async fn a_lag_a_reorg_and_a_switch_by_hand_are_told() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let chain = SimChain::random();
    chain.mine(64);
    let nodes = [(); 3].map(|()| SimNode::new(&chain));
    let transports = nodes.each_ref().map(SimNode::transport);
    let stack = Stack::new(chain, nodes, transports, 100_000);
    stack.nodes[2].set_lag(5);
    let newest = || single(request(1, "eth_getBlockByNumber", ("latest", false)));
    let at = |label: &'static str| [(names::ENDPOINT, label)];
    for label in LABELS {
        stack.rotation.pinned(label).oneshot(newest()).await.unwrap();
    }
    let seen = Seen::of_recorder(&recorder);
    assert_eq!(seen.get(names::ENDPOINT_HEAD, &at("a")), 64.0);
    assert_eq!(seen.get(names::ENDPOINT_HEAD, &at("c")), 59.0);
    assert_eq!(seen.get(names::ENDPOINT_LAG, &at("c")), 5.0);
    assert_eq!(seen.get(names::ENDPOINT_HEALTH, &at("a")), 1.0);

    stack.chain.reorg(2);
    stack.rotation.disable(&EndpointId::from("b"));
    stack.rotation.pinned("a").oneshot(newest()).await.unwrap();
    let seen = Seen::of_recorder(&recorder);
    assert_eq!(seen.get(names::REORGS, &at("a")), 1.0);
    assert_eq!(seen.get(names::ENDPOINT_HEALTH, &at("b")), 0.0);
}
