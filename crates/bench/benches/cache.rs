//! What a hit and a miss of the block cache cost, beside alloy's provider `CacheLayer` and beside
//! a bare `moka` look-up: medians over rounds, all in one run.

use alclad_bench::{Instant, balance, boxed, cached, call, numbered, runtime};
use alloy::{
    primitives::Address,
    providers::{Provider, ProviderBuilder, layers::CacheLayer},
    rpc::{
        client::RpcClient,
        json_rpc::{RequestPacket, Response, ResponsePacket, ResponsePayload},
    },
    transports::{BoxTransport, TransportError, TransportFut},
};
use comfy_table::Table;
use futures::FutureExt;
use moka::sync::Cache;
use serde_json::value::RawValue;
use std::{
    future::ready,
    hint::black_box,
    task::{Context, Poll},
    thread,
};
use tower::Service;

const ROUNDS: usize = 21;
const CALLS: u32 = 20_000;

fn main() {
    let _runtime = runtime();
    let mut table = Table::new();
    table.set_header(["", "66 B", "2 KB", "300 KB"]);
    let sizes = [66, 2_000, 300_000];
    let mut row = |name: &str, measure: &dyn Fn(usize) -> f64| {
        let cells = sizes.map(|size| format!("{:.0} ns", measure(size)));
        table.add_row([name.to_owned()].into_iter().chain(cells));
    };
    row("two copies of the answer", &|size| {
        let answer = Instant::of_size(size);
        median(size, |_| drop(black_box((answer.copy(), answer.copy()))))
    });
    row("no cache", &|size| {
        let (bare, packets) = (boxed(Instant::of_size(size)), packets(numbered));
        median(size, |turn| drop(call(&bare, packets[turn as usize % packets.len()].clone())))
    });
    row("bare moka, hit", &|size| hit(boxed(Moka::over(Instant::of_size(size)))));
    row("alclad, hit", &|size| hit(cached(size)));
    row("alclad, hit in another spelling", &|size| {
        let cached = cached(size);
        let packets = packets(spelt);
        median(size, |turn| drop(call(&cached, packets[turn as usize % packets.len()].clone())))
    });
    row("bare moka, miss", &|size| miss(boxed(Moka::over(Instant::of_size(size))), size));
    row("alclad, miss", &|size| miss(cached(size), size));
    println!("{table}");
    alloy();
    two_threads();
}

/// Median nanoseconds of what is done with the turns.
fn median(size: usize, mut act: impl FnMut(u64)) -> f64 {
    let calls = if size > 100_000 { CALLS / 40 } else { CALLS };
    let mut turn = 0;
    let mut round = || {
        let begun = tokio::time::Instant::now();
        for _ in 0..calls {
            act(turn);
            turn += 1;
        }
        begun.elapsed().as_nanos() as f64 / f64::from(calls)
    };
    let mut rounds: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn hit(transport: BoxTransport) -> f64 {
    let packet = numbered(0);
    median(0, |_| drop(call(&transport, packet.clone())))
}

/// Every packet is asked once, and there is room for all answers.
fn miss(transport: BoxTransport, size: usize) -> f64 {
    let calls = if size > 100_000 { CALLS / 40 } else { CALLS };
    let count = ROUNDS as u64 * u64::from(calls);
    let packets: Vec<_> = (0..count).map(numbered).collect();
    let mut packets = packets.into_iter();
    median(size, |_| drop(call(&transport, packets.next().expect("enough"))))
}

/// Some thousand, made beforehand.
fn packets(of: fn(u64) -> RequestPacket) -> Vec<RequestPacket> {
    (0..4096).map(of).collect()
}

/// The same request, spelt in another way each time.
fn spelt(turn: u64) -> RequestPacket {
    let address = format!("0x{:040x}", 0xabcd_efab_cdef_abcd_u64);
    let spell = |(index, c): (usize, char)| match turn >> (index % 17) & 1 {
        1 => c.to_ascii_uppercase(),
        _ => c,
    };
    let digits: String = address[2..].chars().enumerate().map(spell).collect();
    balance(&format!("0x{digits}"), "0x010")
}

/// Alloy's provider, whose answers are decoded.
fn alloy() {
    let cache = CacheLayer::new(1_000_000);
    let client = RpcClient::new(boxed(Instant::new()), true);
    let bare = ProviderBuilder::new().disable_recommended_fillers().connect_client(client.clone());
    let cached =
        ProviderBuilder::new().disable_recommended_fillers().layer(cache).connect_client(client);
    let address = |turn: u64| Address::left_padding_from(&turn.to_be_bytes());
    let ask = |provider: &dyn Provider, turn| {
        let balance = provider.get_balance(address(turn)).number(16).into_future().now_or_never();
        black_box(balance.expect("at once").expect("and well"));
    };
    let none = median(66, |turn| ask(&bare, turn));
    let miss = median(66, |turn| ask(&cached, turn));
    let hit = median(66, |_| ask(&cached, 0));
    println!("alloy's provider, 66 B: no cache {none:.0} ns, miss {miss:.0} ns, hit {hit:.0} ns");
}

fn two_threads() {
    let stacks =
        [("bare moka", boxed(Moka::over(Instant::of_size(2_000)))), ("alclad", cached(2_000))];
    for (name, transport) in stacks {
        drop(call(&transport, numbered(0)));
        let once = |threads: u32| {
            let begun = tokio::time::Instant::now();
            thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        let (_runtime, packet) = (runtime(), numbered(0));
                        for _ in 0..10 * CALLS {
                            drop(call(&transport, packet.clone()));
                        }
                    });
                }
            });
            f64::from(threads) / begun.elapsed().as_secs_f64()
        };
        let best = |threads| (0..7).map(|_| once(threads)).fold(0.0, f64::max);
        println!("two threads at 2 KB, {name}: {:.2} times one", best(2) / best(1));
    }
}

/// The least that a cache can do: a look-up by the request's text.
#[derive(Clone)]
struct Moka {
    cache: Cache<Box<str>, std::sync::Arc<RawValue>>,
    inner: Instant,
}

impl Moka {
    fn over(inner: Instant) -> Self {
        Self { cache: Cache::new(1_000_000), inner }
    }
}

impl Service<RequestPacket> for Moka {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let RequestPacket::Single(request) = &packet else { return self.inner.call(packet) };
        let (key, id) = (request.serialized().get(), request.id().clone());
        if let Some(answer) = self.cache.get(key) {
            let payload = ResponsePayload::Success((*answer).to_owned());
            return Box::pin(ready(Ok(ResponsePacket::Single(Response { id, payload }))));
        }
        let (key, cache) = (key.into(), self.cache.clone());
        let answer = self.inner.call(packet);
        Box::pin(async move {
            let answer = answer.await?;
            if let ResponsePacket::Single(Response {
                payload: ResponsePayload::Success(raw), ..
            }) = &answer
            {
                cache.insert(key, raw.clone().into());
            }
            Ok(answer)
        })
    }
}
