//! What went wrong with a call, and the three questions that every layer asks about it.

mod evidence;
pub use evidence::{Classify, Evidence, HttpFacts};

mod hint;

mod judge;
pub use judge::VendorTable;

mod of_error;

mod said;

mod stand_in;
pub use stand_in::StandIn;

mod table;

mod wire;

mod words;

use std::{fmt, time::Duration};

/// The kind of failure of one call: of one member of a packet, or of a whole packet.
///
/// Three questions are all that the layers ever ask of it: [`same`](Self::same) (may the same
/// endpoint be asked again), [`other`](Self::other) (may another endpoint be asked) and
/// [`health`](Self::health) (does it count against the endpoint).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The request itself is wrong: -32600, -32602, a malformed transaction.
    InvalidRequest,
    /// The EVM reverted, or the call can never succeed: code 3, "execution reverted".
    Reverted,
    /// The transaction is valid but not acceptable: insufficient funds, underpriced.
    TxRejected,
    /// The account has already used this nonce: perhaps by an earlier send of these very bytes.
    NonceTooLow,
    /// The node has this very transaction already: for a send that is success.
    AlreadyKnown,
    /// Too many requests for now.
    RateLimited {
        /// When the limiter said that the next request may come.
        retry_after: Option<Duration>,
        /// Whose limit it was.
        by: Limiter,
    },
    /// The plan's allowance is used up for long: a day, a month.
    QuotaExhausted,
    /// The endpoint does not accept our credentials.
    Unauthorized,
    /// The endpoint does not offer this.
    Unsupported {
        /// What it does not offer.
        what: Unsupported,
    },
    /// The endpoint does not have the data: a block it has not seen yet, pruned state.
    MissingData,
    /// The range or the answer is larger than the endpoint allows.
    RangeTooLarge,
    /// The endpoint serves another chain.
    WrongChain,
    /// No answer in time.
    Timeout,
    /// The connection could not be made, or broke.
    Connection {
        /// Whether the request may have reached the endpoint. `false` is a proof that it did
        /// not: the connection was refused before a byte left.
        maybe_sent: bool,
    },
    /// The endpoint failed: 5xx, or an error text that speaks of the server.
    ServerError,
    /// The answer is not one: HTML, a missing batch member, another call's id.
    Malformed,
    /// An error that nobody has seen before.
    Unknown,
}

/// Whose rate limit was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limiter {
    /// The endpoint's.
    Vendor,
    /// Our own, in front of the endpoint: the endpoint was not asked.
    Local,
}

/// What an endpoint does not offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unsupported {
    /// The method, whatever its arguments: worth remembering.
    Method,
    /// This form of the request: a block tag, an argument, a batch.
    Request,
}

/// Whether, and when, the same endpoint may be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Same {
    /// Never: it would say the same.
    No,
    /// After a backoff.
    AfterBackoff,
    /// When the hint has passed; without one, after a backoff.
    AfterHint(Option<Duration>),
    /// When the endpoint may have seen another block.
    AfterBlock,
}

/// What a fault says about its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// Nothing: the request's own fault, or our own doing.
    Nothing,
    /// The endpoint failed: enough of these open its circuit.
    Failure,
    /// A failure only if another endpoint answers the same call well.
    Suspect,
    /// The endpoint wants to be left alone until the hint has passed.
    Park(Option<Duration>),
    /// The endpoint will not serve us for long.
    ParkLong,
    /// The endpoint must not be used at all.
    Quarantine,
}

impl Fault {
    /// May the same endpoint be asked again?
    pub const fn same(&self) -> Same {
        match self {
            Self::RateLimited { retry_after, .. } => Same::AfterHint(*retry_after),
            Self::MissingData => Same::AfterBlock,
            Self::Timeout | Self::Connection { .. } | Self::ServerError | Self::Malformed => {
                Same::AfterBackoff
            }
            Self::InvalidRequest
            | Self::Reverted
            | Self::TxRejected
            | Self::NonceTooLow
            | Self::AlreadyKnown
            | Self::QuotaExhausted
            | Self::Unauthorized
            | Self::Unsupported { .. }
            | Self::RangeTooLarge
            | Self::WrongChain
            | Self::Unknown => Same::No,
        }
    }

    /// May another endpoint be asked?
    pub const fn other(&self) -> bool {
        !matches!(
            self,
            Self::InvalidRequest
                | Self::Reverted
                | Self::TxRejected
                | Self::NonceTooLow
                | Self::AlreadyKnown
        )
    }

    /// Does it count against the endpoint?
    pub const fn health(&self) -> Health {
        match self {
            Self::RateLimited { by: Limiter::Vendor, retry_after } => Health::Park(*retry_after),
            Self::QuotaExhausted | Self::Unauthorized => Health::ParkLong,
            Self::WrongChain => Health::Quarantine,
            Self::Timeout | Self::Connection { .. } | Self::ServerError | Self::Malformed => {
                Health::Failure
            }
            Self::Unknown => Health::Suspect,
            Self::InvalidRequest
            | Self::Reverted
            | Self::TxRejected
            | Self::NonceTooLow
            | Self::AlreadyKnown
            | Self::RateLimited { by: Limiter::Local, .. }
            | Self::Unsupported { .. }
            | Self::MissingData
            | Self::RangeTooLarge => Health::Nothing,
        }
    }

    /// Proves that the endpoint did not execute the request.
    pub const fn proves_not_executed(&self) -> bool {
        matches!(
            self,
            Self::Connection { maybe_sent: false }
                | Self::RateLimited { .. }
                | Self::QuotaExhausted
                | Self::Unauthorized
                | Self::Unsupported { what: Unsupported::Method }
        )
    }

    /// The names of all faults, in the order of their [`row`](Self::row)s.
    pub const NAMES: [&'static str; 17] = [
        "InvalidRequest",
        "Reverted",
        "TxRejected",
        "NonceTooLow",
        "AlreadyKnown",
        "RateLimited",
        "QuotaExhausted",
        "Unauthorized",
        "Unsupported",
        "MissingData",
        "RangeTooLarge",
        "WrongChain",
        "Timeout",
        "Connection",
        "ServerError",
        "Malformed",
        "Unknown",
    ];

    /// Its place among all [`NAMES`](Self::NAMES): for what is counted per fault.
    pub const fn row(&self) -> usize {
        match self {
            Self::InvalidRequest => 0,
            Self::Reverted => 1,
            Self::TxRejected => 2,
            Self::NonceTooLow => 3,
            Self::AlreadyKnown => 4,
            Self::RateLimited { .. } => 5,
            Self::QuotaExhausted => 6,
            Self::Unauthorized => 7,
            Self::Unsupported { .. } => 8,
            Self::MissingData => 9,
            Self::RangeTooLarge => 10,
            Self::WrongChain => 11,
            Self::Timeout => 12,
            Self::Connection { .. } => 13,
            Self::ServerError => 14,
            Self::Malformed => 15,
            Self::Unknown => 16,
        }
    }

    /// The fault's name without its details: a label for metrics and logs.
    pub const fn name(&self) -> &'static str {
        Self::NAMES[self.row()]
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
