//! What the caller wants reaches the requests, and the caller's own word wins.

use alclad_core::CallOptions;
use alclad_testkit::{batch, request, single};
use alloy_json_rpc::{RequestPacket, SerializedRequest};
use std::time::Duration;
use tokio::time::Instant;

fn read() -> SerializedRequest {
    request(1, "eth_call", ())
}

fn read_with(options: CallOptions) -> SerializedRequest {
    let mut read = read();
    read.meta_mut().extensions_mut().insert(options);
    read
}

fn of(packet: &RequestPacket) -> Vec<Option<&CallOptions>> {
    packet.requests().iter().map(CallOptions::of).collect()
}

#[tokio::test(start_paused = true)]
async fn a_scope_fills_in_what_a_calls_own_options_leave_open() {
    let own = CallOptions::new().pinned_to("archive");
    let around = CallOptions::new().pinned_to("backup").without_retry();
    let mut packet = batch([read(), read_with(own.clone())]);
    CallOptions::adopt(&mut packet);
    assert_eq!(of(&packet), [None, Some(&own)]);
    around.clone().scope(async { CallOptions::adopt(&mut packet) }).await;
    assert_eq!(of(&packet), [Some(&around), Some(&own.without_retry())]);
}

#[tokio::test(start_paused = true)]
async fn a_handle_fills_in_what_the_scope_leaves_open() {
    let soon = Instant::now() + Duration::from_secs(1);
    let around = CallOptions::new().with_deadline(soon);
    let later = soon + Duration::from_secs(1);
    let handle = CallOptions::new().with_deadline(later).without_cache().ignoring_errors();
    let mut packet = single(read());
    around.scope(async { CallOptions::adopt(&mut packet) }).await;
    handle.fill(&mut packet);
    assert_eq!(of(&packet), [Some(&handle.with_deadline(soon))]);
}

#[tokio::test(start_paused = true)]
async fn a_scope_holds_for_its_task_and_ends_with_its_future() {
    let around = CallOptions::new().without_retry();
    let adopt = || async {
        let mut packet = single(read());
        CallOptions::adopt(&mut packet);
        of(&packet)[0].is_some()
    };
    let seen = around.scope(async { (adopt().await, tokio::spawn(adopt()).await.unwrap()) }).await;
    assert_eq!(seen, (true, false));
    assert!(!adopt().await);
}

#[tokio::test(start_paused = true)]
async fn the_earliest_deadline_of_a_batch_holds() {
    let after = |seconds| CallOptions::new().with_timeout(Duration::from_secs(seconds));
    let packet = batch([read_with(after(5)), read(), read_with(after(3))]);
    let deadline = Instant::now() + Duration::from_secs(3);
    assert_eq!(CallOptions::deadline_of(&packet), Some(deadline));
    assert_eq!(CallOptions::deadline_of(&single(read())), None);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_longer_than_time_is_none() {
    assert_eq!(CallOptions::new().with_timeout(Duration::MAX).deadline, None);
}
