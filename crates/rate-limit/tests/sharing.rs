//! One key is one budget.

mod support;

use alclad_testkit::{SimChain, SimNode};
use std::time::Duration;
use support::{limit, ms, read, reads, send, settle, stack, units};
use tokio::time::sleep;
use tower::{Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn clones_and_services_of_one_layer_share_one_budget() {
    let layer = limit(10, 2);
    let (one, first) = stack(&layer);
    let (two, second) = stack(&layer.clone());
    for service in [&one, &two.clone(), &one.clone(), &two] {
        service.clone().oneshot(read(0)).await.unwrap();
    }
    assert_eq!((first.times(), second.times()), (vec![0, 100], vec![0, 200]));
}

#[tokio::test(start_paused = true)]
async fn a_setter_begins_a_new_budget() {
    let layer = limit(10, 2);
    let other = layer.clone().with_burst(units(3));
    layer.layer(SimNode::new(&SimChain::new(7)).transport()).oneshot(reads(0, 2)).await.unwrap();
    assert_eq!((layer.limiter().tokens(), other.limiter().tokens()), (0.0, 3.0));
}

#[tokio::test(start_paused = true)]
async fn the_handle_tells_how_it_stands() {
    let layer = limit(10, 2);
    let limiter = layer.limiter();
    assert_eq!((limiter.rate(), limiter.tokens(), limiter.waiters()), (10.0, 2.0, 0));
    let (service, _) = stack(&layer);
    let calls: Vec<_> = (0..5).map(|id| send(&service, read(id))).collect();
    settle().await;
    assert_eq!((limiter.tokens(), limiter.waiters()), (0.0, 3));
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!((limiter.waited(), limiter.waiters()), (ms(100 + 200 + 300), 0));
    assert_eq!((limiter.throttled(), limiter.refused()), (0, 0));
    sleep(Duration::from_secs(1)).await;
    limiter.set_rate(units(20));
    assert_eq!((limiter.rate(), limiter.tokens()), (20.0, 2.0));
    assert_eq!(format!("{limiter:?}"), "RateLimiter { rate: 20.0, tokens: 2.0, waiters: 0, .. }");
}
