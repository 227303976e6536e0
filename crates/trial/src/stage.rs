//! A simulated chain, the nodes that serve it, and the truth.

use crate::{Ask, Miss, Verdict, ask::Before};
use alclad::{Endpoint, HttpTransport};
use alclad_testkit::{ChainSpec, Reorg, SimChain, SimNode, SimServer};
use alloy::{primitives::keccak256, transports::TransportResult};
use futures::future::join_all;
use serde_json::{Value, json};
use std::{ops::Range, sync::OnceLock};
use url::Url;

/// The names of the nodes.
const NODES: [&str; 3] = ["first", "second", "third"];
/// How many blocks there are when a run begins.
const HEAD: u64 = 64;
/// An answer that is so many blocks late is still known to be late, and not just wrong.
const LATE: u64 = 64;

/// A chain and three nodes that serve it over HTTP, on loopback.
#[derive(Debug)]
pub struct Stage {
    /// The chain.
    pub chain: SimChain,
    /// Its nodes.
    pub nodes: Vec<SimNode>,
    servers: Vec<SimServer>,
    spec: ChainSpec,
    /// The chain as it was before its reorg.
    orphaned: OnceLock<SimChain>,
}

impl Stage {
    /// Healthy nodes on a chain of this seed.
    pub async fn new(seed: u64) -> Self {
        Self::on(ChainSpec::new(seed)).await
    }

    /// Healthy nodes on this chain.
    pub async fn on(spec: ChainSpec) -> Self {
        let chain = SimChain::start(spec.clone());
        chain.mine(HEAD);
        let nodes: Vec<_> = NODES.iter().map(|_| SimNode::new(&chain)).collect();
        let servers = join_all(nodes.iter().map(SimNode::serve_http)).await;
        Self { chain, nodes, servers, spec, orphaned: OnceLock::new() }
    }

    /// Where the nodes are.
    pub fn urls(&self) -> impl Iterator<Item = Url> {
        self.servers.iter().map(SimServer::url)
    }

    /// The nodes as endpoints of a rotation.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint<HttpTransport>> {
        NODES.into_iter().zip(self.urls()).map(|(label, url)| Endpoint::http(label, url))
    }

    /// Lets the nodes be well, at the head and without limits.
    pub fn heal(&self) {
        for node in &self.nodes {
            node.clear();
            node.set_lag(0);
            node.set_rate_limit(None);
        }
    }

    /// Replaces the last blocks, once: what was true before can be told from what never was.
    pub fn reorg(&self, depth: u64) -> Reorg {
        self.orphaned.get_or_init(|| {
            let before = SimChain::start(self.spec.clone());
            before.mine(self.chain.block_number());
            before
        });
        self.chain.reorg(depth)
    }

    /// Notes what is true now: an answer may be as old as its question.
    #[must_use]
    pub fn note(&self, mut asked: Vec<Ask>) -> Vec<Ask> {
        for ask in &mut asked {
            let (head, truth) = (self.chain.block_number(), truth(&self.chain, u64::MAX, ask));
            let reorged = self.orphaned.get().is_some();
            ask.before = Some(Before { head, truth, reorged });
        }
        asked
    }

    /// Compares an answer with the truth.
    pub fn judge(&self, ask: &Ask, answer: TransportResult<Value>) -> Verdict {
        let Ask { method, params, .. } = ask;
        let answer = match answer {
            Ok(answer) if self.is_right(ask, &answer) => return Verdict::Right,
            Ok(answer) => answer,
            Err(error) => {
                return Verdict::Missed(Miss::Failed, format!("{method} {params}: {error}"));
            }
        };
        let miss = match answer {
            Value::Null => Miss::Null,
            _ if self.was_right(ask, &answer) => Miss::Stale,
            _ => Miss::Wrong,
        };
        Verdict::Missed(miss, format!("{method} {params}: {answer}"))
    }

    /// Whether it is true now, or was at any time since it was asked.
    fn is_right(&self, ask: &Ask, answer: &Value) -> bool {
        if truth(&self.chain, u64::MAX, ask).as_ref() == Some(answer) {
            return true;
        }
        let Some(before) = &ask.before else { return false };
        let orphaned = self.orphaned.get().filter(|_| !before.reorged);
        before.truth.as_ref() == Some(answer)
            || is_of(&self.chain, ask, answer, before.head..self.chain.block_number())
            || orphaned.is_some_and(|chain| is_of(chain, ask, answer, before.head..u64::MAX))
    }

    /// Whether it was true before it was asked.
    fn was_right(&self, ask: &Ask, answer: &Value) -> bool {
        let head = ask.before.as_ref().map_or(0, |before| before.head);
        let late = head.saturating_sub(LATE);
        let orphaned =
            || self.orphaned.get().is_some_and(|c| is_of(c, ask, answer, late..u64::MAX));
        is_of(&self.chain, ask, answer, late..head) || orphaned()
    }
}

/// Whether it was the truth when this chain's head was one of these.
fn is_of(chain: &SimChain, ask: &Ask, answer: &Value, heads: Range<u64>) -> bool {
    let end = heads.end.min(chain.block_number() + 1);
    (heads.start..end).any(|head| truth(chain, head, ask).as_ref() == Some(answer))
}

/// What a node that has seen the blocks up to `head` answers, if that is no error.
fn truth(chain: &SimChain, head: u64, Ask { method, params, .. }: &Ask) -> Option<Value> {
    if *method == "eth_sendRawTransaction" {
        let raw = params[0].as_str()?.parse::<alloy::primitives::Bytes>().ok()?;
        return Some(json!(keccak256(raw)));
    }
    chain.answer_at(head, method, params.clone()).ok()
}
