//! What is asked, as far as a cache is concerned.

use crate::spelling::{Bytes, write_params};
use alclad_core::{BlockRef, Caching, CallOptions, Edge, Method, Tag};
use alloy_json_rpc::{Id, Request, SerializedRequest};
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

/// How many bytes of a key are the chain's id.
const CHAIN: usize = 8;

/// The chain's id and the request in its one spelling.
pub(crate) type Key = Arc<[u8]>;

/// A request whose answer may be kept.
pub(crate) struct Question {
    pub(crate) method: &'static Method,
    pub(crate) block: BlockRef,
    /// Its key; if the chain is not known yet, without one.
    pub(crate) key: Bytes,
    pub(crate) topic: Topic,
}

/// What decides how long the answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// Nothing: it is the same for ever.
    Constant,
    /// The block of this height, or all up to there.
    Height { from: u64, to: u64, is_range: bool },
    /// The block that the answer names.
    InBlock,
    /// The newest block, which is read as this height.
    Latest(u64),
}

impl Topic {
    const fn at(number: u64) -> Self {
        Self::Height { from: number, to: number, is_range: false }
    }
}

impl Question {
    /// Nothing if no answer to it is ever kept. `latest` is read as this height.
    pub(crate) fn of(
        request: &SerializedRequest,
        chain_id: Option<u64>,
        latest: Option<u64>,
    ) -> Option<Self> {
        let method = Method::of(request.method());
        let raw = raw(request);
        let params = match raw.map(|raw| &raw[request.method().len()..]) {
            Some(raw) => raw.strip_prefix(PARAMS).or((raw == "\"").then_some(""))?,
            None => request.params().map_or("", |params| params.get()),
        };
        // What shows the newest block is what tells of it.
        let latest = latest.filter(|_| !method.shows_block);
        let mut key = Bytes::from_slice(&chain_id.unwrap_or_default().to_be_bytes());
        key.extend_from_slice(request.method().as_bytes());
        key.extend_from_slice(PARAMS.as_bytes());
        let block = write_params(&mut key, method, params, latest)?;
        let topic = topic(method, block, latest)?;
        Some(Self { method, block, key, topic })
    }
}

/// Whether the cache may have anything to do with this request.
pub(crate) fn is_for_cache(request: &SerializedRequest) -> bool {
    let wishes = |options: &CallOptions| options.no_cache || options.endpoint.is_some();
    Method::of(request.method()).cached != Caching::Never
        && !CallOptions::of(request).is_some_and(wishes)
}

fn topic(method: &Method, block: BlockRef, latest: Option<u64>) -> Option<Topic> {
    match (method.cached, block, latest) {
        (Caching::Always, ..) => Some(Topic::Constant),
        (Caching::InBlock, ..) => Some(Topic::InBlock),
        (Caching::AtBlock, BlockRef::Hash(_), _) => Some(Topic::Constant),
        (Caching::AtBlock, BlockRef::Number(number), _) => Some(Topic::at(number)),
        (Caching::AtBlock, BlockRef::Tag(Tag::Earliest), _) => Some(Topic::at(0)),
        (Caching::AtBlock, BlockRef::Range(from, Edge::Number(to)), _) => match from {
            Edge::Number(from) => Some(Topic::Height { from, to, is_range: true }),
            Edge::Tag(Tag::Earliest) => Some(Topic::Height { from: 0, to, is_range: true }),
            _ => None,
        },
        (Caching::AtBlock, BlockRef::Tag(Tag::Latest), Some(latest)) => Some(Topic::Latest(latest)),
        _ => None,
    }
}

/// This key on this chain.
pub(crate) fn on_chain(key: &Key, chain_id: u64) -> Key {
    if chain_of(key) == Some(chain_id) {
        return Key::clone(key);
    }
    let mut bytes = Bytes::from_slice(&chain_id.to_be_bytes());
    bytes.extend_from_slice(&key[CHAIN..]);
    Key::from(&*bytes)
}

/// This text under this chain.
pub(crate) fn with_chain(chain_id: u64, text: &str) -> Bytes {
    let mut bytes = Bytes::from_slice(&chain_id.to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// The chain of a key.
pub(crate) fn chain_of(key: &[u8]) -> Option<u64> {
    key.first_chunk::<CHAIN>().map(|bytes| u64::from_be_bytes(*bytes))
}

/// The text of a key.
pub(crate) fn text_of(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(CHAIN..)?).ok()
}

/// The same request, at this height where it said `latest`.
pub(crate) fn at_height(
    request: SerializedRequest,
    method: &Method,
    height: u64,
) -> SerializedRequest {
    let rewritten = || {
        let params = request.params().map_or("[]", |params| params.get());
        let mut params: Vec<Box<RawValue>> = serde_json::from_str(params).ok()?;
        let at = method.block.index()?;
        while params.len() <= at {
            params.push(RawValue::NULL.to_owned());
        }
        params[at] = to_raw_value(&format!("{height:#x}")).ok()?;
        Request { meta: request.meta().clone(), params }.serialize().ok()
    };
    rewritten().unwrap_or(request)
}

/// What stands between a method's name and its params.
const PARAMS: &str = "\",\"params\":";

/// A request's method and params as it was written: what stands before its id. Nothing if it was
/// not written as alloy writes.
pub(crate) fn raw(request: &SerializedRequest) -> Option<&str> {
    let text = request.serialized().get().strip_prefix("{\"method\":\"")?;
    let text = text.strip_suffix(",\"jsonrpc\":\"2.0\"}")?;
    let text = match request.id() {
        Id::Number(_) => text.trim_end_matches(|c: char| c.is_ascii_digit()),
        Id::String(id) => text.strip_suffix('"')?.strip_suffix(id.as_str())?.strip_suffix('"')?,
        Id::None => text.strip_suffix("null")?,
    };
    let text = text.strip_suffix(",\"id\":")?;
    let begins = text.get(..request.method().len()) == Some(request.method());
    begins.then_some(text)
}

#[cfg(test)]
mod tests;
