//! When packets pass, to the millisecond, and which are not made to wait.

mod support;

use alclad_core::{
    CallOptions,
    error::{OverLimit, cause},
    headroom, note,
};
use alclad_rate_limit::RateLimitLayer;
use std::time::Duration;
use support::{limit, ms, read, reads, refused, send, settle, stack, units};
use tokio::time::{Instant, advance, sleep};
use tower::{Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn the_burst_passes_at_once_and_the_others_one_by_one() {
    let (service, endpoint) = stack(&limit(50, 4));
    let calls: Vec<_> = (0..8).map(|id| send(&service, read(id))).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(endpoint.times(), [0, 0, 0, 0, 20, 40, 60, 80]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_100_through_50_per_second_takes_two_seconds_with_any_burst_up_to_its_size() {
    for burst in [1, 2, 20, 50, 100] {
        let (service, endpoint) = stack(&limit(50, burst));
        for first in [0, 100, 200] {
            service.clone().oneshot(reads(first, 100)).await.unwrap();
        }
        assert_eq!(endpoint.times(), [0, 2000, 4000], "burst {burst}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_behind_a_batch_of_100_through_50_per_second_waits_two_seconds_with_a_burst_of_1() {
    let (service, endpoint) = stack(&limit(50, 1));
    service.clone().oneshot(reads(0, 100)).await.unwrap();
    service.oneshot(read(100)).await.unwrap();
    assert_eq!(endpoint.times(), [0, 2000]);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_through_50_per_second_keep_the_next_one_for_two_seconds() {
    let (service, endpoint) = stack(&limit(50, 1));
    let calls: Vec<_> = (0..=100).map(|id| send(&service, read(id))).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let exact: Vec<_> = (0..=100).map(|index| index * 20).collect();
    assert_eq!(endpoint.times(), exact);
}

#[tokio::test(start_paused = true)]
async fn a_window_never_gets_more_than_the_rate_times_its_length() {
    let layer = RateLimitLayer::per_second(units(200)).with_window(Duration::from_secs(1));
    let (service, endpoint) = stack(&layer);
    let calls: Vec<_> = (0..1000).map(|id| send(&service, read(id))).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let times = endpoint.times();
    assert!(times.windows(201).all(|calls| calls[200] - calls[0] >= 1000));
    assert!(times[999] <= 5200, "{}", times[999]);
}

#[tokio::test(start_paused = true)]
async fn a_small_window_is_kept_too() {
    let layer = RateLimitLayer::per_second(units(5)).with_window(Duration::from_secs(1));
    let (service, endpoint) = stack(&layer);
    let calls: Vec<_> = (0..50).map(|id| send(&service, read(id))).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let times = endpoint.times();
    assert!(times.windows(6).all(|calls| calls[5] - calls[0] >= 1000));
    assert!(times[49] <= 12_500, "{}", times[49]);
}

#[tokio::test(start_paused = true)]
async fn a_packet_that_would_pass_after_its_deadline_is_refused_at_once() {
    let (service, endpoint) = stack(&limit(1, 1));
    service.clone().oneshot(read(0)).await.unwrap();
    advance(ms(400)).await;
    let start = Instant::now();
    let late = CallOptions::new().with_timeout(ms(599)).scope(service.clone().oneshot(read(1)));
    assert_eq!(refused(late.await), ms(600));
    assert_eq!(start.elapsed(), Duration::ZERO);
    let in_time = CallOptions::new().with_timeout(ms(600)).scope(service.oneshot(read(2)));
    in_time.await.unwrap();
    assert_eq!(endpoint.seen(), [(0, 0), (2, 1000)]);
}

#[tokio::test(start_paused = true)]
async fn the_layer_bounds_the_wait_too() {
    let layer = limit(1, 1).with_max_wait(ms(1500));
    let (service, _) = stack(&layer);
    service.clone().oneshot(read(0)).await.unwrap();
    let first = send(&service, read(1));
    settle().await;
    assert_eq!(refused(service.oneshot(read(2)).await), ms(2000));
    assert!(first.await.unwrap().is_ok());
    assert_eq!(layer.limiter().refused(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_error_says_who_has_no_room_until_when_and_what_to_do() {
    let (service, _) = stack(&limit(1, 1).with_max_wait(Duration::ZERO));
    service.clone().oneshot(read(0)).await.unwrap();
    let (answer, _) = note::capture_at("vendor".into(), service.oneshot(read(1))).await;
    let error = answer.unwrap_err();
    assert_eq!(
        error.to_string(),
        "endpoint vendor: our own rate limit has no room for another 1s; ask again then, give the \
         call more time, or raise the limit"
    );
    assert_eq!(cause::<OverLimit>(&error).unwrap().retry_after, Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once() {
    let layer = limit(1, 1).with_max_waiters(2);
    let (service, endpoint) = stack(&layer);
    let calls: Vec<_> = (0..4).map(|id| send(&service, read(id))).collect();
    settle().await;
    assert_eq!(layer.limiter().waiters(), 2);
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    assert_eq!(refused(answers.pop().unwrap()), Duration::from_secs(3));
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(endpoint.times(), [0, 1000, 2000]);
}

#[tokio::test(start_paused = true)]
async fn inside_a_rotation_nothing_waits_unless_the_user_says_so() {
    let ((waits_not, waits), limiters) = headroom::collect(|| {
        let (waits, _) = stack(&limit(1, 1).with_max_wait(ms(1000)));
        (stack(&limit(1, 1)).0, waits)
    });
    assert_eq!(limiters.len(), 2);
    for service in [&waits_not, &waits] {
        service.clone().oneshot(read(0)).await.unwrap();
    }
    assert_eq!(refused(waits_not.oneshot(read(1)).await), ms(1000));
    assert!(waits.oneshot(read(1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn headroom_is_what_a_packet_would_wait_for() {
    let layer = limit(10, 5);
    let (service, limiters) = headroom::collect(|| layer.layer(support::Endpoint::new()));
    let free_in = |packet: alloy_json_rpc::RequestPacket| limiters[0].free_in(packet.requests());
    assert_eq!(free_in(reads(0, 5)), Duration::ZERO);
    service.clone().oneshot(reads(0, 4)).await.unwrap();
    assert_eq!((free_in(read(0)), free_in(reads(0, 3))), (Duration::ZERO, ms(200)));
    // Dearer than the burst: when the bucket is full.
    assert_eq!(free_in(reads(0, 50)), ms(400));
    // Behind those that wait already.
    let alone = layer.layer(support::Endpoint::new());
    let waiting = send(&alone, reads(0, 3));
    settle().await;
    assert_eq!(free_in(read(0)), ms(300));
    waiting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn another_rate_holds_for_those_who_wait_already() {
    let layer = limit(1, 1);
    let (service, endpoint) = stack(&layer);
    let calls: Vec<_> = (0..4).map(|id| send(&service, read(id))).collect();
    sleep(ms(500)).await;
    // Half is there; the other half takes 50 ms now.
    layer.limiter().set_rate(units(10));
    sleep(ms(100)).await;
    layer.limiter().set_rate(units(2));
    for call in calls {
        call.await.unwrap().unwrap();
    }
    // At 600 ms half of the third was there.
    assert_eq!(endpoint.times(), [0, 550, 850, 1350]);
}

#[tokio::test(start_paused = true)]
async fn who_has_waited_in_vain_is_told_when_it_would_have_been() {
    let layer = limit(2, 1).with_max_wait(ms(700));
    let (service, _) = stack(&layer);
    service.clone().oneshot(read(0)).await.unwrap();
    let start = Instant::now();
    let call = send(&service, read(1));
    settle().await;
    layer.limiter().set_rate(units(1));
    assert_eq!(refused(call.await.unwrap()), ms(300));
    assert_eq!((start.elapsed(), layer.limiter().waiters()), (ms(700), 0));
}
