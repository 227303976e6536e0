//! What is said of the request itself.

use super::{Fault, Group};
use crate::Unsupported;

pub(super) const REVERTED: Group = Group::always(
    Fault::Reverted,
    &[
        "revert",
        "execution revert", // as in execution_reverted
        "evm error",
        "vm exception",
        "vm execution error",
        "invalid opcode",
        "bad instruction",
        "invalid jump",
        "invalidjump",
        "stack underflow",
        "stack overflow",
        "stack limit reached",
        "out of gas",
        "outofgas",
        "gas required exceeds",
        "always failing transaction",
        "write protection",
        "return data out of bounds",
        "contract address collision",
        "max code size exceeded",
        "transaction processing could not be completed",
        "execution halted",
        // Solidity's Error(string) and Panic(uint256)
        "0x08c379a0",
        "0x4e487b71",
    ],
);

/// A range that ends before it begins.
pub(super) const IMPOSSIBLE_RANGE: Group = Group::always(
    Fault::InvalidRequest,
    &[
        "invalid block range params",
        "invalid block range parameters",
        "fromblock * greater than toblock",
        "fromblock * after toblock",
        "from block * greater than to block",
        "begin block * after end block",
        "end block * before start block",
    ],
);

pub(super) const BATCH: Group = Group::always(
    Fault::Unsupported { what: Unsupported::Request },
    &[
        "errors in batch",
        "calls in batch",
        "requests in batch",
        "batch request",
        "batch size",
        "batch of",
        "batch limit",
        "batch too large",
        "batch is too large",
        "batch length",
        "batch calls",
        "batching",
        "batched request",
        "batches",
        "max batch",
        "maximum batch",
        "requests in a batch",
        "calls in a batch",
    ],
);

/// Tags, and other forms of a block argument, that the node does not know.
pub(super) const TAG: Group = Group::always(
    Fault::Unsupported { what: Unsupported::Request },
    &[
        "pending block * not found",
        "pending block * not available",
        "pending block * not supported",
        "safe block * not found",
        "safe block * not available",
        "safe block * not supported",
        "finalized block * not found",
        "finalized block * not available",
        "finalized block * not supported",
        "block not found: pending",
        "block not found: safe",
        "block not found: finalized",
        "pending is not",
        "safe is not",
        "finalized is not",
        "pending tag",
        "safe tag",
        "finalized tag",
        "pending' tag",
        "safe' tag",
        "finalized' tag",
        "block tag",
        "not a supported commitment",
        "malformed blocknumber",
        "expected blocknumber",
        "unknown variant",
        "eip 1898",
    ],
);

/// Only what cannot mean anything else: a request that is taken for wrong is asked nowhere else.
pub(super) const VAGUE_INVALID: Group = Group::always(
    Fault::InvalidRequest,
    &[
        "invalid argument",
        "invalid param",
        "invalid request",
        "invalid input",
        "invalid address",
        "invalid hex",
        "invalid type",
        "invalid value",
        "param is required",
        "parameter is required",
        "params are required",
        "missing value",
        "missing required",
        "missing argument",
        "missing param",
        "too many arguments",
        "too few arguments",
        "wrong number of arguments",
        "bad request",
        "malformed request",
        "cannot unmarshal",
        "hex string",
        "not an object",
        "validation error",
        "filter not found",
        "filter * does not exist",
        "subscription not found",
    ],
);

pub(super) const VAGUE_UNSUPPORTED: Group = Group::always(
    Fault::Unsupported { what: Unsupported::Request },
    &[
        "not supported",
        "unsupported",
        "isn't supported",
        "not a supported",
        "only supported",
        "no support",
    ],
);
