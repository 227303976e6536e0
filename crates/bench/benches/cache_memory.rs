//! How much memory a cache of 64 MB takes when ten million small answers are offered to it.

use alclad::{
    BlockCacheLayer, EndpointId,
    core::{Heads, Sighting},
};
use alclad_bench::{Instant, boxed, call, runtime};
use alloy::rpc::json_rpc::{Id, Request, RequestPacket};
use std::fs;
use tower::Layer;

const LIMIT: u64 = 64_000_000;
const OFFERED: u64 = 10_000_000;

fn main() {
    let _runtime = runtime();
    let heads = Heads::new();
    let lookout = heads.enrol(EndpointId::from("a"));
    let mut sighting = Sighting::block_number(1_000);
    sighting.finalized = Some(900);
    lookout.saw(&sighting);
    let layer = BlockCacheLayer::new().with_max_bytes(LIMIT).with_chain_id(1).with_heads(heads);
    let (store, cached) = (layer.store(), boxed(layer.layer(Instant::new())));
    let (before, mut most) = (resident(), 0);
    for turn in 0..OFFERED {
        drop(call(&cached, request(turn)));
        if turn % 10_000 == 0 {
            most = most.max(resident() - before);
        }
    }
    let statistics = store.statistics();
    println!(
        "{} entries that weigh {} bytes; at most {most} bytes resident, {:.2} times the limit",
        statistics.entries,
        statistics.bytes,
        most as f64 / LIMIT as f64,
    );
}

fn request(turn: u64) -> RequestPacket {
    let params = [format!("0x{turn:040x}"), "0x10".to_owned()];
    let request = Request::new("eth_getBalance", Id::Number(1), params);
    RequestPacket::Single(request.serialize().expect("strings are JSON"))
}

/// The memory of this process, in bytes.
fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").expect("this is Linux");
    pages
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .map_or(0, |pages: u64| pages * 4096)
}
