//! A read that is late is asked at a second endpoint, at a bounded cost, and nobody is blamed.

mod nodes;
mod stage;

use alclad_core::CallOptions;
use alclad_rotation::EndpointState;
use alclad_testkit::{Disruption, SimNode, request};
use futures::future::join_all;
use nodes::{Nodes, in_order, value};
use serde_json::json;
use stage::{dressed, ms, secs, three, transfer};
use tokio::time::{Instant, sleep, timeout};

/// Every node takes 10 ms, and that is known.
async fn warm() -> Nodes {
    let nodes = Nodes::new();
    warm_up(&nodes).await;
    nodes
}

async fn warm_up(nodes: &Nodes) {
    nodes.nodes.iter().for_each(|node| node.set(Disruption::SlowBy(ms(10))));
    for _ in 0..40 {
        nodes.read_well().await;
    }
    nodes.nodes.iter().for_each(SimNode::reset_counters);
}

fn nobody_is_blamed(nodes: &Nodes) {
    for endpoint in nodes.rotation.snapshot() {
        let quiet = (endpoint.in_flight, endpoint.state) == (0, EndpointState::Closed);
        assert!(quiet && endpoint.faults.is_empty(), "{endpoint:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_overtaken_after_twice_the_usual_time() {
    let nodes = warm().await;
    nodes.nodes[0].set(Disruption::SlowBy(ms(500)));
    let begun = Instant::now();
    nodes.read_well().await;
    let took = begun.elapsed();
    assert!((ms(25)..=ms(40)).contains(&took), "twice 10 ms and 10 ms, but {took:?}");
    assert_eq!((nodes.calls(), nodes.seat(0).hedges), ([1, 1, 0], 1));
    assert_eq!(nodes.seat(0).in_flight, 1, "the loser goes on to its end");
    sleep(secs(1)).await;
    nobody_is_blamed(&nodes);
    assert_eq!(nodes.nodes[0].answered(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_hedged_while_little_is_known() {
    let nodes = Nodes::new();
    nodes.nodes.iter().for_each(|node| node.set(Disruption::SlowBy(ms(10))));
    for _ in 0..19 {
        nodes.read_well().await;
    }
    nodes.nodes[0].set(Disruption::SlowBy(ms(500)));
    nodes.read_well().await;
    assert_eq!(nodes.calls(), [20, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_one_method_says_nothing_of_another() {
    let nodes = warm().await;
    nodes.nodes[0].set(Disruption::SlowBy(ms(500)));
    nodes.result("eth_getCode", json!([nodes.chain.accounts()[0], "0x5"])).await;
    assert_eq!(nodes.calls(), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_without_hedging_waits() {
    let nodes = three(in_order().without_hedging());
    warm_up(&nodes).await;
    nodes.nodes[0].set(Disruption::SlowBy(ms(500)));
    nodes.read_well().await;
    assert_eq!(nodes.calls(), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_asked_twice_is_not() {
    let nodes = Nodes::new();
    nodes.nodes.iter().for_each(|node| node.set(Disruption::SlowBy(ms(10))));
    let filter = nodes.result("eth_newBlockFilter", json!([])).await;
    let account = nodes.chain.accounts()[0];
    let changes = || nodes.result("eth_getFilterChanges", json!([filter]));
    let balance = || nodes.result("eth_getBalance", json!([account, "0x5"]));
    let pinned = || CallOptions::new().pinned_to("a").scope(balance());
    let once = || CallOptions::new().without_retry().scope(balance());
    for nonce in 0..40 {
        nodes.submit(&transfer(nonce).0).await.expect("an answer");
        nodes.chain.mine(1);
        let _ = (changes().await, pinned().await, once().await);
    }
    nodes.nodes.iter().for_each(SimNode::reset_counters);
    nodes.nodes[0].set(Disruption::SlowBy(secs(2)));
    nodes.submit(&transfer(40).0).await.expect("an answer");
    let _ = (changes().await, pinned().await, once().await);
    nodes.result("eth_newBlockFilter", json!([])).await;
    let _ = nodes.try_ask("eth_subscribe", json!(["newHeads"])).await;
    assert_eq!(nodes.calls()[1..], [0, 0]);
    assert_eq!(nodes.seat(0).hedges, 0);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_hedge_does_not_win() {
    for trouble in [
        Disruption::http_status(500),
        Disruption::rpc_error(-32603, "Internal error"),
        Disruption::rpc_error(-32000, "missing trie node 12ab"),
        Disruption::Dead,
        Disruption::NullAnswers,
    ] {
        let nodes = warm().await;
        nodes.nodes[0].set(Disruption::SlowBy(ms(500)));
        nodes.nodes[1].set(trouble.clone());
        nodes.read_well().await;
        assert_eq!(nodes.calls()[0], 1, "{trouble:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspicious_null_of_the_hedge_does_not_win() {
    let nodes = Nodes::new();
    nodes.show_heads().await;
    nodes.nodes.iter().for_each(|node| node.set(Disruption::SlowBy(ms(10))));
    let block = || nodes.result("eth_getBlockByNumber", json!(["0x14", false]));
    for _ in 0..40 {
        block().await;
    }
    nodes.nodes[0].set(Disruption::SlowBy(ms(500)));
    nodes.nodes[1].set(Disruption::NullAnswers);
    assert_eq!(block().await["number"], "0x14");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_first_does_not_win_over_the_hedge() {
    let nodes = warm().await;
    nodes.nodes[0].set(Disruption::SlowBy(ms(35)));
    nodes.nodes[0].add(Disruption::http_status(500));
    nodes.nodes[1].set(Disruption::SlowBy(ms(18)));
    nodes.read_well().await;
    assert_eq!(nodes.calls(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_first_while_the_hedge_hangs_is_not_the_end() {
    let nodes = warm().await;
    nodes.nodes[0].set(Disruption::SlowBy(ms(100)));
    nodes.nodes[0].add(Disruption::http_status(500));
    nodes.nodes[1].set(Disruption::BlackHole);
    timeout(secs(5), nodes.read_well()).await.expect("c is well");
}

#[tokio::test(start_paused = true)]
async fn a_loser_that_never_answers_counts_as_timed_out() {
    let nodes = warm().await;
    nodes.nodes[0].set(Disruption::BlackHole);
    nodes.read_well().await;
    assert!(nodes.seat(0).faults.is_empty(), "not yet");
    sleep(secs(11)).await;
    assert_eq!((nodes.seat(0).faults.get("Timeout"), nodes.seat(0).in_flight), (Some(&1), 0));
}

#[tokio::test(start_paused = true)]
async fn a_loser_that_fails_at_last_counts_as_failed() {
    let nodes = warm().await;
    nodes.nodes[0].set(Disruption::SlowBy(ms(500)));
    nodes.nodes[0].add(Disruption::http_status(500));
    nodes.read_well().await;
    sleep(secs(1)).await;
    assert_eq!(nodes.seat(0).faults.get("ServerError"), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_ends_up_open_though_every_call_is_answered() {
    let nodes = warm().await;
    nodes.nodes[0].set(Disruption::BlackHole);
    let begun = Instant::now();
    join_all((0..10).map(|_| nodes.read_well())).await;
    assert!(begun.elapsed() < ms(100), "{:?}", begun.elapsed());
    sleep(ms(10_500)).await;
    assert!(matches!(nodes.state(0), EndpointState::Open { .. }), "{:?}", nodes.state(0));
}

#[tokio::test(start_paused = true)]
async fn a_half_open_black_hole_has_one_probe_at_a_time() {
    let nodes = warm().await;
    nodes.nodes[0].set(Disruption::BlackHole);
    let begun = Instant::now();
    while begun.elapsed() < secs(60) {
        timeout(secs(20), nodes.read_well()).await.expect("b is well");
    }
    // While the reserve of 20 and one more per second pay for hedges, until ten seconds later the
    // first count as timed out; then one probe each after 1, 2, 4, 8, 16 and 32 seconds.
    let asked = nodes.nodes[0].total_calls();
    assert!(asked <= 40, "{asked} calls to a black hole");
}

#[tokio::test(start_paused = true)]
async fn when_everything_is_slow_the_budget_bounds_the_cost() {
    let nodes = warm().await;
    for node in &nodes.nodes {
        node.set(Disruption::SlowBy(ms(10)));
        node.add(Disruption::SlowBy(ms(500)).with_share(0.5));
    }
    let (calls, begun) = (2000, Instant::now());
    for _ in 0..calls / 50 {
        join_all((0..50).map(|_| nodes.read_well())).await;
    }
    let refilled = begun.elapsed().as_secs();
    let hedges = nodes.calls().iter().sum::<u64>() - calls;
    let most = calls / 20 + 20 + 2 + refilled;
    assert!((50..=most).contains(&hedges), "{hedges} hedges, of at most {most}");
    sleep(secs(2)).await;
    nobody_is_blamed(&nodes);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_takes_both_calls_with_it() {
    let nodes = warm().await;
    nodes.nodes[0].set(Disruption::BlackHole);
    nodes.nodes[1].set(Disruption::BlackHole);
    let call = timeout(ms(200), nodes.read_well());
    call.await.expect_err("nobody answers");
    assert_eq!(nodes.calls(), [1, 1, 0]);
    assert!(nodes.rotation.snapshot().iter().all(|endpoint| endpoint.in_flight == 0));
    assert_eq!([nodes.nodes[0].in_flight(), nodes.nodes[1].in_flight()], [0, 0]);
    sleep(secs(30)).await;
    nobody_is_blamed(&nodes);
}

#[tokio::test(start_paused = true)]
async fn a_hedged_batch_is_answered_whole_and_in_order() {
    let nodes = Nodes::new();
    nodes.nodes.iter().for_each(|node| node.set(Disruption::SlowBy(ms(10))));
    let account = nodes.chain.accounts()[0];
    let params = |block: u64| json!([account, format!("0x{block:x}")]);
    let members = || (1..=5).map(|block| request(block, "eth_getBalance", params(block)));
    for call in 0..60 {
        if call == 50 {
            nodes.nodes[0].set(Disruption::SlowBy(ms(500)));
        }
        let answer = nodes.send(alclad_testkit::batch(members())).await.expect("answers");
        for (block, answer) in (1..=5).zip(answer.responses()) {
            let truth = nodes.chain.answer("eth_getBalance", params(block)).expect("the truth");
            assert_eq!(value(answer), truth);
        }
    }
    assert!(nodes.seat(0).hedges > 0);
}

#[tokio::test(start_paused = true)]
async fn a_second_hedge_asks_only_what_the_first_has_not_answered() {
    let nodes = Nodes::new();
    nodes.nodes.iter().for_each(|node| node.set(Disruption::SlowBy(ms(10))));
    let account = nodes.chain.accounts()[0];
    let members = || {
        let balance = request(1, "eth_getBalance", json!([account, "0x1"]));
        alclad_testkit::batch([balance, request(2, "eth_call", json!([{ "to": account }, "0x1"]))])
    };
    for _ in 0..40 {
        nodes.send(members()).await.expect("answers");
    }
    nodes.nodes.iter().for_each(SimNode::reset_counters);
    nodes.nodes[0].set(Disruption::SlowBy(ms(500)));
    nodes.nodes[1].add(Disruption::rpc_error(-32603, "Internal error").on("eth_call"));
    assert!(nodes.send(members()).await.expect("answers").is_success());
    let asked = |method| [1, 2].map(|node| nodes.nodes[node].calls(method));
    assert_eq!((asked("eth_call"), asked("eth_getBalance")), ([1, 1], [1, 0]));
}

#[tokio::test(start_paused = true)]
async fn a_slow_primary_is_not_hedged_at_a_backup() {
    let nodes = dressed(in_order(), |label, endpoint| match label {
        "a" => endpoint,
        _ => endpoint.with_tier(1),
    });
    warm_up(&nodes).await;
    nodes.nodes[0].add(Disruption::SlowBy(ms(500)).with_share(0.05));
    for _ in 0..500 {
        nodes.read_well().await;
    }
    assert_eq!(nodes.calls()[1..], [0, 0]);
}
