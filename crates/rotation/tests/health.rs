//! When an endpoint is left alone, and when it comes back.

mod nodes;

use alclad_core::Fault;
use alclad_rotation::EndpointState;
use alclad_testkit::{Disruption, RetryAfter, batch, request, single};
use nodes::Nodes;
use std::time::Duration;
use tokio::time::advance;

#[tokio::test(start_paused = true)]
async fn a_circuit_opens_after_five_failures_and_closes_after_three_good_probes() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::Reset);
    for _ in 0..20 {
        nodes.read_well().await;
    }
    assert_eq!(nodes.nodes[0].total_calls(), 5);
    let EndpointState::Open { left, fault } = nodes.state(0) else { panic!("it is open") };
    assert_eq!(left, Duration::from_secs(1));
    assert_eq!(fault, Some(Fault::Connection { maybe_sent: true }));

    nodes.nodes[0].clear();
    advance(Duration::from_millis(1001)).await;
    assert!(matches!(nodes.state(0), EndpointState::HalfOpen { .. }));
    for _ in 0..3 {
        assert_ne!(nodes.state(0), EndpointState::Closed);
        nodes.read_well().await;
    }
    assert_eq!(nodes.state(0), EndpointState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_doubles_up_to_a_minute() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::Reset);
    for _ in 0..5 {
        nodes.read_well().await;
    }
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        let EndpointState::Open { left, .. } = nodes.state(0) else { panic!("it is open") };
        assert_eq!(left, Duration::from_secs(seconds));
        advance(left + Duration::from_millis(1)).await;
        nodes.read_well().await;
    }
    // One probe for each time that it was half open.
    assert_eq!(nodes.nodes[0].total_calls(), 5 + 8);
}

#[tokio::test(start_paused = true)]
async fn one_call_at_a_time_probes_a_half_open_endpoint() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::Reset);
    for _ in 0..5 {
        nodes.read_well().await;
    }
    nodes.nodes[0].set(Disruption::SlowBy(Duration::from_millis(50)));
    nodes.nodes[0].reset_counters();
    advance(Duration::from_millis(1001)).await;
    let calls = (0..10).map(|_| nodes.read_well());
    futures::future::join_all(calls).await;
    assert_eq!(nodes.nodes[0].total_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_gives_its_place_back() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::Reset);
    for _ in 0..5 {
        nodes.read_well().await;
    }
    nodes.nodes[0].set(Disruption::BlackHole);
    advance(Duration::from_millis(1001)).await;
    let probe = nodes.send(single(request(1, "eth_chainId", ())));
    tokio::time::timeout(Duration::from_millis(10), probe).await.expect_err("it hangs");
    assert_eq!(nodes.rotation.snapshot()[0].in_flight, 0);
    nodes.nodes[0].clear();
    nodes.nodes[0].reset_counters();
    nodes.read_well().await;
    assert_eq!(nodes.nodes[0].total_calls(), 1, "the next call probes again");
}

#[tokio::test(start_paused = true)]
async fn failures_that_come_slowly_open_the_circuit_too() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::http_status(502));
    for _ in 0..5 {
        assert_eq!(nodes.state(0), EndpointState::Closed);
        advance(Duration::from_secs(60)).await;
        nodes.read_well().await;
    }
    assert!(matches!(nodes.state(0), EndpointState::Open { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_fifth_of_failures_opens_the_circuit_and_a_fiftieth_does_not() {
    for (share, opens) in [(0.2, true), (0.02, false)] {
        let nodes = Nodes::new();
        nodes.nodes[0].set(Disruption::http_status(500).with_share(share));
        let mut opened = false;
        for _ in 0..500 {
            nodes.read_well().await;
            opened |= nodes.state(0) != EndpointState::Closed;
        }
        assert_eq!(opened, opens, "{share} of the calls fail");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_batch_is_one_failure() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::Reset);
    for round in 0..4 {
        let members = (0..100).map(|id| request(id + round, "eth_chainId", ()));
        nodes.send(batch(members)).await.expect("answers");
    }
    assert_eq!(nodes.state(0), EndpointState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limited_endpoint_is_left_alone_until_its_hint_has_passed() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::too_many_requests(Some(RetryAfter::Seconds(7))));
    nodes.read_well().await;
    let EndpointState::Parked { left, .. } = nodes.state(0) else { panic!("it is parked") };
    assert_eq!(left, Duration::from_secs(7));
    nodes.nodes[0].clear();
    advance(Duration::from_millis(6999)).await;
    nodes.read_well().await;
    assert_eq!(nodes.nodes[0].total_calls(), 1);
    advance(Duration::from_millis(2)).await;
    nodes.read_well().await;
    assert_eq!(nodes.nodes[0].total_calls(), 2);
    assert_eq!(nodes.state(0), EndpointState::Closed);
}

#[tokio::test(start_paused = true)]
async fn without_a_hint_it_is_left_alone_for_longer_each_time() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::rpc_error(-32005, "limit exceeded"));
    for seconds in [1, 2, 4, 8, 16, 30, 30] {
        nodes.read_well().await;
        let EndpointState::Parked { left, .. } = nodes.state(0) else { panic!("it is parked") };
        assert_eq!(left, Duration::from_secs(seconds));
        advance(left + Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hint_of_a_year_is_obeyed_for_ten_minutes() {
    let nodes = Nodes::new();
    let year = RetryAfter::Seconds(365 * 86_400);
    nodes.nodes[0].set(Disruption::too_many_requests(Some(year)));
    nodes.read_well().await;
    let EndpointState::Parked { left, .. } = nodes.state(0) else { panic!("it is parked") };
    assert_eq!(left, Duration::from_secs(600));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_refuses_our_key_is_asked_again_only_if_there_is_nobody_else() {
    let nodes = Nodes::new();
    nodes.nodes[0].set(Disruption::http_status(401));
    for _ in 0..10 {
        nodes.read_well().await;
    }
    assert_eq!(nodes.nodes[0].total_calls(), 1);
    nodes.nodes[1].set(Disruption::http_status(403));
    nodes.nodes[2].set(Disruption::http_status(402));
    for _ in 0..3 {
        let error = nodes.send(single(request(1, "eth_chainId", ()))).await.unwrap_err();
        assert!(matches!(
            Fault::of_error("eth_chainId", &error),
            Fault::Unauthorized | Fault::QuotaExhausted
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn an_own_limit_passed_on_from_below_harms_nobody() {
    use alclad_core::error::{AllParked, TypedError};
    let (transport, mut upstream) = alclad_testkit::mock();
    let rotation =
        nodes::in_order().endpoint(alclad_rotation::Endpoint::new("a", transport)).build();
    let call = tower::ServiceExt::oneshot(rotation.clone(), single(request(1, "eth_chainId", ())));
    let call = tokio::spawn(call);
    let limited = AllParked::new(Duration::from_secs(3)).into_transport_error();
    upstream.expect(&[(1, "eth_chainId")]).await.fail(limited);
    call.await.expect("no panic").expect_err("the limiter's error");
    assert_eq!(rotation.snapshot()[0].state, EndpointState::Closed);
}
