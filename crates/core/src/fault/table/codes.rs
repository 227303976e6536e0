//! Codes and statuses.

use crate::{Fault, Limiter, Unsupported};

const RATE_LIMITED: Fault = Fault::RateLimited { retry_after: None, by: Limiter::Vendor };
const NO_SUCH_METHOD: Fault = Fault::Unsupported { what: Unsupported::Method };

/// Codes that mean one thing wherever they are used, if no phrase has told better.
pub(in crate::fault) const FIRM_CODES: &[(i64, Fault)] = &[
    (-32700, Fault::ServerError), // what we send does parse
    (-32601, NO_SUCH_METHOD),
    (-32604, NO_SUCH_METHOD), // Besu
    (-32612, NO_SUCH_METHOD), // QuickNode
    (-32613, NO_SUCH_METHOD), // QuickNode
    (4200, NO_SUCH_METHOD),   // EIP-1193
    (4100, Fault::Unauthorized),
    (-40100, Fault::Unauthorized), // Besu
    (-32050, Fault::Unauthorized), // Ankr
    (-32051, Fault::Unauthorized), // Ankr
    (-32052, Fault::Unauthorized), // dRPC
    (4444, Fault::MissingData),    // EIP-4444
    (-39001, Fault::MissingData),  // unknown block
    (-32043, Fault::MissingData),  // LlamaNodes
    (-32614, Fault::RangeTooLarge),
    (-32701, Fault::RangeTooLarge), // publicnode
    (-38004, Fault::RangeTooLarge),
    // eth_simulateV1 of geth and Nethermind
    (-38010, Fault::TxRejected),
    (-38011, Fault::TxRejected),
    (-38012, Fault::TxRejected),
    (-38013, Fault::TxRejected),
    (-38014, Fault::TxRejected),
    (-38015, Fault::TxRejected),
    (-38020, Fault::InvalidRequest),
    (-38021, Fault::InvalidRequest),
    (-38024, Fault::TxRejected),
    (-38025, Fault::TxRejected),
    (-38026, Fault::RangeTooLarge),
    (42903, Fault::QuotaExhausted), // dRPC
    (-32090, RATE_LIMITED),         // Ankr
    (1008, RATE_LIMITED),           // closed by a policy
    (1015, RATE_LIMITED),           // Cloudflare
];

/// Codes that each vendor uses in its own way: believed last.
pub(in crate::fault) const LOOSE_CODES: &[(i64, Fault)] = &[
    (3, Fault::Reverted),
    (-32600, Fault::InvalidRequest),
    (-32602, Fault::InvalidRequest),
    (-32005, RATE_LIMITED), // EIP-1474: limit exceeded
    (-32007, RATE_LIMITED), // QuickNode
    (-32009, RATE_LIMITED), // QuickNode
    (-32012, RATE_LIMITED), // QuickNode, proxyd
    (-32017, RATE_LIMITED), // proxyd
    (-32029, RATE_LIMITED),
    (-32605, RATE_LIMITED),          // BlockVision
    (-32606, Fault::Unauthorized),   // BlockVision
    (-32607, Fault::QuotaExhausted), // BlockVision
    (-32001, Fault::MissingData),    // EIP-1474: resource not found
    (-32002, Fault::MissingData),    // EIP-1474: resource unavailable
    (-32014, Fault::MissingData),    // eRPC
    (-32019, Fault::MissingData),    // proxyd
    (-32004, NO_SUCH_METHOD),        // EIP-1474: method not supported
    (-32006, Fault::InvalidRequest), // EIP-1474: version not supported
    (-32008, Fault::RangeTooLarge),  // jsonrpsee: oversized response
    (-32015, Fault::Timeout),        // eRPC, proxyd
    (-32010, Fault::ServerError),    // proxyd
    (-32011, Fault::ServerError),    // proxyd
    (-32013, Fault::ServerError),    // proxyd
    (-32018, Fault::ServerError),    // proxyd
    (-32046, Fault::ServerError),    // Cloudflare
    (-32055, Fault::ServerError),    // Cloudflare
];

/// Codes of sends, believed last.
pub(in crate::fault) const SEND_CODES: &[(i64, Fault)] =
    &[(-32003, Fault::TxRejected), (-32010, Fault::TxRejected)];

/// The faults of statuses that no code can tell better.
pub(in crate::fault) const fn firm_status(status: u16) -> Option<Fault> {
    match status {
        401 | 403 | 407 | 451 => Some(Fault::Unauthorized),
        402 => Some(Fault::QuotaExhausted),
        429 => Some(RATE_LIMITED),
        _ => None,
    }
}

/// The faults of statuses beside which nothing was said that tells better.
///
/// A bare 400 is not among them: a node that judges a request says so in JSON, so it may as well
/// be a proxy that is set up wrong, and another endpoint may be asked.
pub(in crate::fault) const fn loose_status(status: u16) -> Option<Fault> {
    match status {
        405 | 406 | 415 | 426 | 501 => Some(NO_SUCH_METHOD),
        408 | 504 | 522 | 524 => Some(Fault::Timeout),
        413 => Some(Fault::RangeTooLarge),
        300..=399 | 404 | 409 | 410 | 421 | 423 | 425 | 499..=599 => Some(Fault::ServerError),
        _ => None,
    }
}
