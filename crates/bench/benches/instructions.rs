//! How many instructions a call that nothing happens to takes, in each layer and in all of them,
//! beside alloy's own: counted by callgrind, and so the same on a busy machine.
//!
//! Needs valgrind and `gungraun-runner`; `cargo xtask bench` brings the latter.

#![allow(missing_docs, reason = "the harness makes public items that nobody can document")]

use alclad_bench::{STACKS, WARM, call, runtime};
use alloy::{
    rpc::json_rpc::{RequestPacket, ResponsePacket},
    transports::BoxTransport,
};
use gungraun::{
    Callgrind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use std::{hint::black_box, mem::forget};

fn warmed(index: usize) -> (BoxTransport, RequestPacket) {
    // For as long as the process lives, which is one call.
    forget(runtime());
    (STACKS[index].warmed(), STACKS[index].packet(WARM))
}

#[library_benchmark]
#[benches::of(iter = 0..STACKS.len(), setup = warmed)]
fn one_call((transport, packet): (BoxTransport, RequestPacket)) -> (BoxTransport, ResponsePacket) {
    let answer = call(black_box(&transport), black_box(packet));
    (transport, answer)
}

library_benchmark_group!(name = layers; benchmarks = one_call);
main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"]));
    library_benchmark_groups = layers
);
