//! The stacks that are measured: each layer alone and all of them, beside alloy's own.

use crate::{Instant, boxed, call, fallback, guarded, rotation};
use alclad::{
    BlockCacheLayer, ChainGuardLayer, Endpoint, EndpointId, MetricsLayer, RateLimitLayer,
    RetryLayer, Rotation, TimeoutLayer, TxGuardLayer,
    core::{Heads, Lookout, Sighting},
};
use alloy::{
    rpc::json_rpc::{Id, Request, RequestPacket},
    transports::{
        BoxTransport,
        layers::{RetryBackoffLayer, ThrottleLayer},
    },
};
use std::{fmt, num::NonZeroU32, sync::LazyLock, time::Duration};
use tower::Layer;

/// So many calls, in which every endpoint is asked for its chain.
pub const WARM: u64 = 30;
const LIMIT: Duration = Duration::from_secs(10);

/// A stack over an [`Instant`], and what it is asked.
#[derive(Clone, Copy)]
pub struct Stack {
    /// What stands in it.
    pub name: &'static str,
    make: fn() -> BoxTransport,
    ask: fn(u64) -> RequestPacket,
}

/// All of them, the bare transport first.
pub const STACKS: [Stack; 16] = [
    Stack::read("bare transport", || boxed(Instant::new())),
    Stack::read("timeout", || boxed(TimeoutLayer::new(LIMIT).layer(Instant::new()))),
    Stack::read("rate limit", || boxed(rate_limit().layer(Instant::new()))),
    Stack::read("chain guard", guarded),
    Stack::read("transaction guard", || boxed(TxGuardLayer::expect(1).layer(Instant::new()))),
    Stack::read("metrics", || boxed(MetricsLayer::new().layer(Instant::new()))),
    Stack::read("retry", || boxed(RetryLayer::new().layer(Instant::new()))),
    Stack::read("rotation of 3", || boxed(rotation())),
    Stack { ask: numbered, ..Stack::read("block cache, miss", || cached(66)) },
    Stack::read("block cache, hit", || cached(66)),
    Stack { ask: latest, ..Stack::read("all of them", all) },
    Stack::read("all of them, kept answer", || over_cache(Instant::new())),
    Stack::read("alloy: throttle", || boxed(throttle().layer(Instant::new()))),
    Stack::read("alloy: retry", || boxed(alloy_retry().layer(Instant::new()))),
    Stack::read("alloy: fallback, 1 of 3", || boxed(fallback(1))),
    Stack::read("alloy: all of them", || boxed(alloy_retry().layer(throttle().layer(fallback(1))))),
];

// === impl Stack ===

impl Stack {
    const fn read(name: &'static str, make: fn() -> BoxTransport) -> Self {
        Self { name, make, ask: |_| numbered(0) }
    }

    /// After its first calls, in which is made what is made only once.
    pub fn warmed(&self) -> BoxTransport {
        let transport = (self.make)();
        (0..WARM).for_each(|turn| drop(call(&transport, self.packet(turn))));
        transport
    }

    /// What it is asked in this turn.
    pub fn packet(&self, turn: u64) -> RequestPacket {
        (self.ask)(turn)
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A read at an old block, another one in each turn.
pub fn numbered(turn: u64) -> RequestPacket {
    balance(&format!("0x{:040x}", turn + 1), "0x10")
}

/// A read at the newest block, whose answer is not kept.
fn latest(_: u64) -> RequestPacket {
    balance("0x0000000000000000000000000000000000000001", "latest")
}

/// What an account had at this block.
pub fn balance(address: &str, block: &str) -> RequestPacket {
    let request = Request::new("eth_getBalance", Id::Number(1), [address, block]);
    RequestPacket::Single(request.serialize().expect("strings are JSON"))
}

/// Never reached.
pub fn rate_limit() -> RateLimitLayer {
    RateLimitLayer::per_second(NonZeroU32::MAX).with_burst(NonZeroU32::MAX)
}

fn throttle() -> ThrottleLayer {
    ThrottleLayer::new_with_burst(u32::MAX, NonZeroU32::MAX)
}

fn alloy_retry() -> RetryBackoffLayer {
    RetryBackoffLayer::new(5, 100, u64::MAX)
}

/// Knows a chain on which much is final.
fn cache() -> BlockCacheLayer {
    static HEADS: LazyLock<(Heads, Lookout)> = LazyLock::new(|| {
        let heads = Heads::new();
        let lookout = heads.enrol(EndpointId::from("a"));
        let mut sighting = Sighting::block_number(1_000);
        sighting.finalized = Some(900);
        lookout.saw(&sighting);
        (heads, lookout)
    });
    BlockCacheLayer::new().with_max_bytes(1 << 30).with_chain_id(7).with_heads(HEADS.0.clone())
}

/// The block cache over answers of so many bytes.
pub fn cached(size: usize) -> BoxTransport {
    boxed(cache().layer(Instant::of_size(size)))
}

/// The rings around a rotation of three.
fn all() -> BoxTransport {
    let endpoint = |label: &'static str| {
        Endpoint::new(label, Instant::new())
            .layer(ChainGuardLayer::expect(7))
            .layer(rate_limit())
            .layer(MetricsLayer::for_endpoint(label))
            .layer(TimeoutLayer::new(LIMIT))
    };
    let rotation = Rotation::builder().endpoints(["a", "b", "c"].map(endpoint)).build();
    over_cache(RetryLayer::new().with_budget(rotation.budget()).layer(rotation))
}

/// What stands above the retry layer.
fn over_cache<S>(below: S) -> BoxTransport
where
    S: alclad::core::Upstream + Sync,
{
    let guarded = TxGuardLayer::expect(7).layer(cache().layer(below));
    boxed(MetricsLayer::new().layer(guarded))
}
