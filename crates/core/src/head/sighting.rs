//! What an answer tells of its endpoint's chain.

use super::fields::fields;
use crate::{BlockRef, Tag};
use alloy_json_rpc::{Response, SerializedRequest};
use alloy_primitives::B256;
use serde_json::value::RawValue;

/// What an answer tells of its endpoint's chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sighting {
    /// Its newest block.
    pub latest: Option<u64>,
    /// Its newest safe block.
    pub safe: Option<u64>,
    /// Its newest final block.
    pub finalized: Option<u64>,
    /// A block that it has.
    pub block: Option<SightedBlock>,
    /// The block was asked for by its hash: it need not be on the endpoint's chain.
    pub by_hash: bool,
}

/// A block that an endpoint has shown, or in which something lies that it has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SightedBlock {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Its parent's hash; a receipt does not tell it.
    pub parent: Option<B256>,
    /// When it was made, in seconds since 1970; a receipt does not tell it.
    pub timestamp: Option<u64>,
}

/// How an answer shows a block.
enum Shape {
    /// It is the block.
    Block,
    /// It lies in the block.
    Inside,
    /// It is a list of what lies in the block.
    List,
}

impl Sighting {
    /// The newest block, as `eth_blockNumber` tells it.
    pub const fn block_number(number: u64) -> Self {
        Self { latest: Some(number), safe: None, finalized: None, block: None, by_hash: false }
    }

    /// A block that the endpoint has, be it the newest or not.
    pub const fn of_block(block: SightedBlock) -> Self {
        Self { latest: None, safe: None, finalized: None, block: Some(block), by_hash: false }
    }

    /// The newest block, by its header as a `newHeads` subscription brings it.
    pub fn of_header(header: &RawValue) -> Option<Self> {
        let block = read_block(header.get())?;
        Some(Self { latest: Some(block.number), ..Self::of_block(block) })
    }

    /// What this answer to this request tells; nothing for most methods.
    ///
    /// An error tells nothing, nor does what cannot be read, a pending block, or another block than
    /// was asked for.
    pub fn of(request: &SerializedRequest, response: &Response) -> Option<Self> {
        Self::read(request.method(), || BlockRef::of_request(request), response)
    }

    /// [`of`](Self::of) a request that was given away: of its method, and of the
    /// [block](BlockRef::of_request) that it spoke of.
    pub fn of_given(method: &str, asked: BlockRef, response: &Response) -> Option<Self> {
        Self::read(method, || asked, response)
    }

    fn read(method: &str, asked: impl FnOnce() -> BlockRef, response: &Response) -> Option<Self> {
        let shape = match method {
            "eth_blockNumber" => {
                return quantity(response.payload.as_success()?.get()).map(Self::block_number);
            }
            "eth_getTransactionReceipt" | "eth_getTransactionByHash" => Shape::Inside,
            "eth_getBlockByNumber" | "eth_getHeaderByNumber" => Shape::Block,
            "eth_getBlockByHash" | "eth_getHeaderByHash" => Shape::Block,
            "eth_getBlockReceipts" => Shape::List,
            _ => return None,
        };
        let text = response.payload.as_success()?.get();
        let block = match shape {
            Shape::Block => read_block(text)?,
            Shape::Inside => return read_inside(text).map(Self::of_block),
            Shape::List => read_inside(text.strip_prefix('[')?)?,
        };
        Self::as_asked(block, asked())
    }

    fn as_asked(block: SightedBlock, asked: BlockRef) -> Option<Self> {
        let (sighting, number) = (Self::of_block(block), Some(block.number));
        match asked {
            BlockRef::Number(asked) => (asked == block.number).then_some(sighting),
            BlockRef::Hash(asked) => {
                (asked == block.hash).then_some(Self { by_hash: true, ..sighting })
            }
            BlockRef::Tag(Tag::Latest) => Some(Self { latest: number, ..sighting }),
            BlockRef::Tag(Tag::Safe) => Some(Self { safe: number, ..sighting }),
            BlockRef::Tag(Tag::Finalized) => Some(Self { finalized: number, ..sighting }),
            BlockRef::Tag(Tag::Earliest) => Some(sighting),
            BlockRef::Tag(Tag::Pending) | BlockRef::None | BlockRef::Range(..) => None,
        }
    }

    /// The highest block that it speaks of.
    pub fn top(&self) -> Option<u64> {
        let block = self.block.map(|block| block.number);
        self.latest.max(self.safe).max(self.finalized).max(block)
    }
}

impl SightedBlock {
    /// The block with this hash at this height.
    pub const fn new(number: u64, hash: B256) -> Self {
        Self { number, hash, parent: None, timestamp: None }
    }

    /// With its parent's hash.
    #[must_use]
    pub const fn with_parent(self, parent: B256) -> Self {
        Self { parent: Some(parent), ..self }
    }

    /// With the time when it was made, in seconds since 1970.
    #[must_use]
    pub const fn with_timestamp(self, timestamp: u64) -> Self {
        Self { timestamp: Some(timestamp), ..self }
    }
}

fn read_block(text: &str) -> Option<SightedBlock> {
    let names = ["number", "hash", "parentHash", "timestamp"];
    let [number, block_hash, parent, timestamp] = fields(text, names);
    Some(SightedBlock {
        number: quantity(number?)?,
        hash: hash(block_hash?)?,
        parent: Some(hash(parent?)?),
        timestamp: timestamp.and_then(quantity),
    })
}

fn read_inside(text: &str) -> Option<SightedBlock> {
    let [number, block_hash] = fields(text, ["blockNumber", "blockHash"]);
    Some(SightedBlock::new(quantity(number?)?, hash(block_hash?)?))
}

fn quantity(json: &str) -> Option<u64> {
    // `from_str_radix` would read a sign.
    let digits = hex(json).filter(|digits| !digits.starts_with('+'))?;
    u64::from_str_radix(digits, 16).ok()
}

fn hash(json: &str) -> Option<B256> {
    hex(json).filter(|digits| digits.len() == 2 * B256::len_bytes())?.parse().ok()
}

fn hex(json: &str) -> Option<&str> {
    json.strip_prefix("\"0x")?.strip_suffix('"')
}

#[cfg(test)]
mod tests;
