//! What goes wrong, where and when.

use alclad_testkit::{
    Disruption, ErrorObject, HttpAnswer, RateLimit, RetryAfter, Rule, SimChain, SimNode,
};
use fastrand::Rng;
use std::{num::NonZeroU32, time::Duration};

/// The chain that a misconfigured endpoint serves.
pub(crate) const OTHER_CHAIN: u64 = 1337;

#[derive(Clone, Debug)]
pub(crate) enum Ailment {
    Rule(Rule),
    Lag(u64),
    Limit(RateLimit),
    OtherChain,
}

/// One thing that goes wrong at one node for a while.
#[derive(Clone, Debug)]
pub(crate) struct Episode {
    pub(crate) node: usize,
    pub(crate) from: Duration,
    pub(crate) until: Duration,
    pub(crate) ailment: Ailment,
    /// It answers `null`, or shows less than there is.
    pub(crate) conceals: bool,
    /// After it a transaction may not go on to another endpoint.
    pub(crate) stops_sends: bool,
}

/// What may be drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    /// Requests that are never answered: only where a timeout stands.
    pub(crate) silence: bool,
    /// Another chain: only where a guard stands.
    pub(crate) other_chain: bool,
}

/// In which order things go wrong: each alone, in pairs, in waves, or all at once.
pub(crate) fn draw(rng: &mut Rng, nodes: &[Allowed], horizon: Duration) -> Vec<Episode> {
    let mut drawn = Vec::new();
    let spared = rng.usize(..=nodes.len());
    let mut victims: Vec<_> = (0..nodes.len()).filter(|node| *node != spared).collect();
    rng.shuffle(&mut victims);
    let Some(first) = victims.first().copied() else { return drawn };
    let whole = (Duration::ZERO, horizon);
    let mut strike = |rng: &mut Rng, node: usize, (from, until)| {
        drawn.push(episode(rng, node, nodes[node], from, until));
    };
    match rng.u8(..10) {
        0 => {}
        1 => strike(rng, first, whole),
        2..4 => {
            let span = span(rng, horizon);
            strike(rng, first, span);
        }
        4..6 => {
            let other = victims[victims.len() - 1];
            let span = span(rng, horizon);
            strike(rng, first, span);
            strike(rng, other, span);
        }
        6..8 => {
            let length = horizon / victims.len() as u32;
            for (index, node) in victims.into_iter().enumerate() {
                let from = length * index as u32;
                strike(rng, node, (from, from + length.mul_f64(1.3)));
            }
        }
        _ => {
            for node in victims {
                for _ in 0..rng.usize(1..4) {
                    let span = span(rng, horizon);
                    strike(rng, node, span);
                }
            }
        }
    }
    drawn
}

fn span(rng: &mut Rng, horizon: Duration) -> (Duration, Duration) {
    let (one, other) = (horizon.mul_f64(rng.f64()), horizon.mul_f64(rng.f64()));
    (one.min(other), one.max(other))
}

fn episode(
    rng: &mut Rng,
    node: usize,
    allowed: Allowed,
    from: Duration,
    until: Duration,
) -> Episode {
    let plain =
        |ailment| Episode { node, from, until, ailment, conceals: false, stops_sends: false };
    let conceals = |ailment| Episode { conceals: true, ..plain(ailment) };
    let stops = |ailment| Episode { stops_sends: true, ..plain(ailment) };
    match rng.u8(..14) {
        0 => conceals(Ailment::Lag(rng.u64(1..12))),
        1 => conceals(Ailment::Rule(Disruption::FrozenHead.into())),
        2 => plain(Ailment::Limit(vendor_limit(rng))),
        3 | 9 if allowed.other_chain => {
            // From the start, or in the midst of it all.
            let from = if rng.bool() { Duration::ZERO } else { from };
            Episode { conceals: true, from, ..stops(Ailment::OtherChain) }
        }
        4 => {
            let (depth, blocks) = (rng.u64(2..20), rng.u64(1..4));
            let concealed = [
                Disruption::NullReceipts,
                Disruption::NullAnswers,
                Disruption::Pruned { depth },
                Disruption::Lag(blocks),
            ];
            let rule = share_one(rng, &concealed);
            Episode { stops_sends: true, ..conceals(Ailment::Rule(rule)) }
        }
        5 if allowed.silence => {
            let silent = [Disruption::BlackHole, Disruption::EndlessBody];
            plain(Ailment::Rule(share_one(rng, &silent)))
        }
        6 | 7 => {
            let odd = [
                Disruption::Html,
                Disruption::TruncatedJson,
                Disruption::MissingMembers,
                Disruption::ReorderedMembers,
                Disruption::DuplicatedMembers,
                Disruption::ForeignIds,
                Disruption::LogRangeLimit(2),
                Disruption::LogResultLimit(1),
                Disruption::rpc_error(-32601, "the method is not supported"),
                Disruption::rpc_error(-32000, "header not found"),
                Disruption::rpc_error(-32099, format!("node {node} is in a strange mood")),
            ];
            stops(Ailment::Rule(share_one(rng, &odd)))
        }
        8 => stops(Ailment::Rule(share(rng, Disruption::http_status(404)))),
        _ => plain(Ailment::Rule(failure(rng))),
    }
}

/// A failure after which everything may go on elsewhere.
fn failure(rng: &mut Rng) -> Rule {
    let hint = || Some(RetryAfter::Seconds(2));
    let refusal =
        || HttpAnswer::new(429).with_rpc_error(ErrorObject::new(-32005, "limit exceeded"));
    let failures = [
        Disruption::Dead,
        Disruption::Dead,
        Disruption::Reset,
        Disruption::LoseAnswer,
        Disruption::SlowBy(Duration::from_millis(rng.u64(100..4000))),
        Disruption::http_status(500),
        Disruption::http_status(502),
        Disruption::http_status(503),
        Disruption::http_status(504),
        Disruption::too_many_requests(None),
        Disruption::too_many_requests(hint()),
        Disruption::Http(refusal()),
        Disruption::http_status(401),
        Disruption::http_status(402),
        Disruption::rpc_error(-32005, "too many requests"),
        Disruption::rpc_error(-32603, "Internal error"),
        Disruption::rpc_error(-32000, "request timed out"),
    ];
    share_one(rng, &failures)
}

fn share_one(rng: &mut Rng, of: &[Disruption]) -> Rule {
    let one = of[rng.usize(..of.len())].clone();
    share(rng, one)
}

/// Most strike every call, some a share of them, some one method alone.
fn share(rng: &mut Rng, disruption: Disruption) -> Rule {
    match rng.u8(..10) {
        0..5 => disruption.into(),
        5..8 => disruption.with_share(0.1 + 0.6 * rng.f64()),
        8 => disruption.times(rng.u64(1..5)),
        _ => {
            let methods = ["eth_getBlockByNumber", "eth_getBalance", "eth_sendRawTransaction"];
            disruption.on(methods[rng.usize(..methods.len())])
        }
    }
}

pub(crate) fn vendor_limit(rng: &mut Rng) -> RateLimit {
    let calls = NonZeroU32::new(rng.u32(1..20)).expect("not zero");
    let limit = match rng.bool() {
        true => RateLimit::per_second(calls),
        false => RateLimit::in_any_second(calls),
    };
    match rng.bool() {
        true => limit.with_hint(Duration::from_millis(rng.u64(50..1500))),
        false => limit,
    }
}

/// Makes a node suffer from all of these, and from nothing else.
pub(crate) fn inflict(node: &SimNode, latency: &[Rule], twin: &SimChain, suffered: &[&Episode]) {
    node.clear();
    latency.iter().for_each(|rule| node.add(rule.clone()));
    let mut lag = 0;
    let mut limit = None;
    for episode in suffered {
        match &episode.ailment {
            Ailment::Rule(rule) => node.add(rule.clone()),
            Ailment::Lag(blocks) => lag += blocks,
            Ailment::Limit(own) => limit = Some(*own),
            Ailment::OtherChain => node.add(Disruption::WrongChain(twin.clone())),
        }
    }
    node.set_lag(lag);
    node.set_rate_limit(limit);
}
