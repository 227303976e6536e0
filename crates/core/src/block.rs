//! The block that a request speaks of.

use crate::{BlockArgument, Method};
use alloy_json_rpc::SerializedRequest;
use alloy_primitives::B256;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A block tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tag {
    /// The newest block.
    Latest,
    /// What the node would build next.
    Pending,
    /// The newest block that is safe from reorgs under honest majority.
    Safe,
    /// The newest block that is final.
    Finalized,
    /// The genesis block.
    Earliest,
}

/// The block, or blocks, that a request speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockRef {
    /// None, or one that cannot be read.
    None,
    /// A height.
    Number(u64),
    /// One certain block.
    Hash(B256),
    /// A tag.
    Tag(Tag),
    /// From one height or tag to another, for logs.
    Range(Edge, Edge),
}

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Edge {
    /// A height.
    Number(u64),
    /// A tag.
    Tag(Tag),
}

impl BlockRef {
    /// The block that this request speaks of.
    pub fn of_request(request: &SerializedRequest) -> Self {
        let method = Method::of(request.method());
        let Some(index) = method.block.index() else { return Self::None };
        let Some(params) = params(request) else { return Self::None };
        Self::of_argument(method, params.get(index).map(|argument| argument.get()))
    }

    /// The block that a request with this block argument, in JSON, speaks of.
    pub fn of_argument(method: &Method, argument: Option<&str>) -> Self {
        match (method.block, argument) {
            (BlockArgument::FilterAt(_), Some(filter)) => of_filter(filter),
            (BlockArgument::HashAt(_), Some(hash)) => parse(hash).map_or(Self::None, Self::Hash),
            (BlockArgument::At(_), Some(block)) => of_block(block),
            (BlockArgument::At(_), None) => Self::Tag(Tag::Latest),
            _ => Self::None,
        }
    }
}

fn params(request: &SerializedRequest) -> Option<Vec<&RawValue>> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow, default)]
        params: Vec<&'a RawValue>,
    }
    serde_json::from_str::<Params<'_>>(request.serialized().get()).ok().map(|p| p.params)
}

fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    serde_json::from_str(json).ok()
}

/// A number, a tag, `null`, or EIP-1898's object.
fn of_block(json: &str) -> BlockRef {
    // Nodes in Go read fields in any case, and of two the last: with a field that is not known it
    // may be another block.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Eip1898<'a> {
        block_hash: Option<B256>,
        #[serde(borrow)]
        block_number: Option<&'a RawValue>,
        #[serde(rename = "requireCanonical")]
        _require_canonical: Option<bool>,
    }
    if json == "null" {
        return BlockRef::Tag(Tag::Latest);
    }
    if json.starts_with(['{', '[']) {
        let Some(object) = parse::<Eip1898<'_>>(json) else { return BlockRef::None };
        return match (object.block_hash, object.block_number) {
            (Some(hash), _) => BlockRef::Hash(hash),
            (None, Some(number)) => edge(number.get()).map_or(BlockRef::None, BlockRef::from),
            (None, None) => BlockRef::None,
        };
    }
    match edge(json) {
        Some(edge) => edge.into(),
        None => parse(json).map_or(BlockRef::None, BlockRef::Hash),
    }
}

fn of_filter(json: &str) -> BlockRef {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Filter<'a> {
        block_hash: Option<B256>,
        #[serde(borrow)]
        from_block: Option<&'a RawValue>,
        #[serde(borrow)]
        to_block: Option<&'a RawValue>,
    }
    let Some(filter) = parse::<Filter<'_>>(json) else { return BlockRef::None };
    if let Some(hash) = filter.block_hash {
        let is_alone = filter.from_block.is_none() && filter.to_block.is_none();
        return if is_alone { BlockRef::Hash(hash) } else { BlockRef::None };
    }
    let end =
        |end: Option<&RawValue>| end.map_or(Some(Edge::Tag(Tag::Latest)), |end| edge(end.get()));
    match (end(filter.from_block), end(filter.to_block)) {
        (Some(from), Some(to)) => BlockRef::Range(from, to),
        _ => BlockRef::None,
    }
}

fn edge(text: &str) -> Option<Edge> {
    let Some(text) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return text.parse().ok().map(Edge::Number);
    };
    let tag = match text {
        "latest" => Tag::Latest,
        "pending" => Tag::Pending,
        "safe" => Tag::Safe,
        "finalized" => Tag::Finalized,
        "earliest" => Tag::Earliest,
        // A hash is longer than any height, also one that begins with zeros.
        _ if text.len() > "0xffffffffffffffff".len() => return None,
        _ => {
            // `from_str_radix` would read a sign.
            let digits = text.strip_prefix("0x").filter(|digits| !digits.starts_with('+'))?;
            return u64::from_str_radix(digits, 16).ok().map(Edge::Number);
        }
    };
    Some(Edge::Tag(tag))
}

impl From<Edge> for BlockRef {
    fn from(edge: Edge) -> Self {
        match edge {
            Edge::Number(number) => Self::Number(number),
            Edge::Tag(tag) => Self::Tag(tag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_json_rpc::{Id, Request};
    use serde_json::{Value, json};

    fn of(method: &'static str, params: Value) -> BlockRef {
        let request = Request::new(method, Id::Number(1), params).serialize().unwrap();
        BlockRef::of_request(&request)
    }

    #[test]
    fn every_form_of_a_block_argument_is_read() {
        let hash = B256::repeat_byte(7);
        assert_eq!(of("eth_call", json!([{}, "0x10"])), BlockRef::Number(16));
        assert_eq!(of("eth_call", json!([{}, 16])), BlockRef::Number(16));
        assert_eq!(of("eth_call", json!([{}])), BlockRef::Tag(Tag::Latest));
        assert_eq!(of("eth_call", json!([{}, null])), BlockRef::Tag(Tag::Latest));
        assert_eq!(of("eth_call", json!([{}, "pending", {}])), BlockRef::Tag(Tag::Pending));
        assert_eq!(of("eth_call", json!([{}, { "blockHash": hash }])), BlockRef::Hash(hash));
        assert_eq!(of("eth_call", json!([{}, { "blockNumber": "0x1" }])), BlockRef::Number(1));
        assert_eq!(of("eth_call", json!([{}, hash])), BlockRef::Hash(hash));
        assert_eq!(of("eth_call", json!([{}, B256::ZERO])), BlockRef::Hash(B256::ZERO));
        assert_eq!(of("eth_getBlockByHash", json!([hash, true])), BlockRef::Hash(hash));
        assert_eq!(of("eth_chainId", json!([])), BlockRef::None);
    }

    #[test]
    fn a_log_filter_is_a_range_or_a_hash() {
        let range = BlockRef::Range(Edge::Number(1), Edge::Tag(Tag::Latest));
        assert_eq!(of("eth_getLogs", json!([{ "fromBlock": "0x1" }])), range);
        let hash = B256::repeat_byte(7);
        assert_eq!(of("eth_getLogs", json!([{ "blockHash": hash }])), BlockRef::Hash(hash));
    }

    #[test]
    fn what_cannot_be_read_is_no_block() {
        assert_eq!(of("eth_call", json!([{}, "0xzz"])), BlockRef::None);
        let other = json!([{}, { "blockNumber": "0x10", "BlockNumber": "0x20" }]);
        assert_eq!(of("eth_call", other), BlockRef::None);
        assert_eq!(of("eth_call", json!([{}, [1]])), BlockRef::None);
        assert_eq!(of("eth_call", json!({ "named": 1 })), BlockRef::None);
        assert_eq!(of("eth_getLogs", json!([7])), BlockRef::None);
    }
}
