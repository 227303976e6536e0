//! What goes away gives its place back.

mod support;

use support::{limit, ms, read, reads, send, settle, stack};
use tokio::time::sleep;
use tower::ServiceExt;

#[tokio::test(start_paused = true)]
async fn a_dropped_waiter_gives_its_place_and_its_tokens_to_those_behind_it() {
    let layer = limit(10, 1);
    let (service, endpoint) = stack(&layer);
    service.clone().oneshot(read(0)).await.unwrap();
    let calls: Vec<_> = [1, 2, 3].map(|id| send(&service, reads(id * 10, 5))).into();
    let last = send(&service, read(4));
    settle().await;
    calls[1].abort();
    settle().await;
    assert_eq!(layer.limiter().waiters(), 3);
    last.await.unwrap().unwrap();
    assert_eq!(endpoint.seen(), [(0, 0), (10, 100), (30, 600), (4, 1100)]);
}

#[tokio::test(start_paused = true)]
async fn also_when_it_was_next() {
    let layer = limit(10, 10);
    let (service, endpoint) = stack(&layer);
    service.clone().oneshot(reads(0, 10)).await.unwrap();
    let dear = send(&service, reads(1, 10));
    let cheap = send(&service, read(2));
    sleep(ms(500)).await;
    dear.abort();
    cheap.await.unwrap().unwrap();
    // Half a second's worth was there for it.
    assert_eq!(endpoint.seen(), [(0, 0), (2, 500)]);
    assert_eq!(layer.limiter().tokens(), 4.0);
    assert_eq!(layer.limiter().waiters(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_dropped_when_its_time_has_come_takes_nothing() {
    let layer = limit(10, 1);
    let (service, endpoint) = stack(&layer);
    service.clone().oneshot(read(0)).await.unwrap();
    let mut first = Box::pin(service.clone().oneshot(read(1)));
    assert!(futures::poll!(&mut first).is_pending());
    let second = send(&service, read(2));
    sleep(ms(100)).await;
    // It could pass now, and nobody asks it.
    drop(first);
    second.await.unwrap().unwrap();
    assert_eq!(endpoint.seen(), [(0, 0), (2, 100)]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_service_takes_its_waiters_along_and_nobody_elses() {
    let layer = limit(10, 1);
    let (one, _) = stack(&layer);
    let (two, endpoint) = stack(&layer);
    one.clone().oneshot(read(0)).await.unwrap();
    let gone = send(&one, read(1));
    let stays = send(&two, read(2));
    settle().await;
    gone.abort();
    drop(one);
    stays.await.unwrap().unwrap();
    assert_eq!(endpoint.seen(), [(2, 100)]);
}
