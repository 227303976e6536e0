use super::{At, TypedError};
use crate::{EndpointId, Fault, note};
use std::fmt;
use thiserror::Error;

/// The endpoint serves another chain.
#[derive(Clone, Debug, Error)]
#[error(
    "{}it serves chain {actual}, and chain {expected} is expected; correct its URL, or take it out",
    At(endpoint)
)]
#[non_exhaustive]
pub struct ChainMismatch {
    /// The chain id that it has to have.
    pub expected: u64,
    /// The chain id that it has.
    pub actual: u64,
    /// Who serves it, if known.
    pub endpoint: Option<EndpointId>,
}

impl ChainMismatch {
    /// The endpoint that is being asked in this task serves `actual` instead of `expected`.
    pub fn new(expected: u64, actual: u64) -> Self {
        Self { expected, actual, endpoint: note::endpoint() }
    }
}

impl TypedError for ChainMismatch {
    fn fault(&self) -> Fault {
        Fault::WrongChain
    }
}

/// An answer came while it was in doubt which chain the endpoint serves, and that could not be
/// verified. What was asked may have been executed.
#[derive(Clone, Debug, Error)]
#[error("{}its answer may be of another chain{}; ask again", At(endpoint), Unless(fault))]
#[non_exhaustive]
pub struct UnverifiedAnswer {
    /// Who answered, if known.
    pub endpoint: Option<EndpointId>,
    /// How the verification failed. `None` if the endpoint serves the right chain, but that is not
    /// as far as the answer.
    pub fault: Option<Fault>,
}

struct Unless<'a>(&'a Option<Fault>);

impl fmt::Display for Unless<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(fault) => write!(f, ", and asked for its chain it failed ({fault})"),
            None => f.write_str(", for its chain is not as far"),
        }
    }
}

impl UnverifiedAnswer {
    /// By the endpoint that is being asked in this task.
    pub fn new(fault: Option<Fault>) -> Self {
        Self { endpoint: note::endpoint(), fault }
    }
}

impl TypedError for UnverifiedAnswer {
    /// For the caller it is an answer that was lost on its way.
    fn fault(&self) -> Fault {
        Fault::Connection { maybe_sent: true }
    }
}

/// A transaction that was not sent, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RefusedTransaction {
    /// It is signed for another chain.
    #[error(
        "not sent: it is signed for chain {actual}, and this is chain {expected}; sign it for this chain"
    )]
    OtherChain {
        /// The chain that it would have been sent to.
        expected: u64,
        /// The chain that it is signed for.
        actual: u64,
    },
    /// It names no chain, so that anybody could send it to any other.
    #[error(
        "not sent: it has no replay protection (EIP-155); sign it with a chain id, or allow it"
    )]
    Unprotected,
    /// The bytes are no transaction, or the request has none where its method wants one.
    #[error("not sent: it is not a signed transaction; check how it was encoded")]
    Unreadable,
    /// It has an envelope that Ethereum does not know, so its chain cannot be read.
    #[error(
        "not sent: transaction type {ty:#04x} is not known; allow unknown types if this chain has it"
    )]
    UnknownType {
        /// The envelope's first byte.
        ty: u8,
    },
    /// It may cost more than allowed.
    #[error("not sent: it may pay {wei} wei {}, and {most} is allowed; sign it with a lower fee", if *total { "in all" } else { "per gas" })]
    FeeTooHigh {
        /// What it may pay, in wei.
        wei: u128,
        /// What is allowed, in wei.
        most: u128,
        /// Whether that is for all of its gas, or for one.
        total: bool,
    },
    /// It may use more gas than allowed.
    #[error(
        "not sent: it may use {gas} gas, and {most} is allowed; sign it with a lower gas limit"
    )]
    GasTooHigh {
        /// What it may use.
        gas: u64,
        /// What is allowed.
        most: u64,
    },
}

impl RefusedTransaction {
    /// The reason without its details: a label for metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OtherChain { .. } => "other_chain",
            Self::Unprotected => "unprotected",
            Self::Unreadable => "unreadable",
            Self::UnknownType { .. } => "unknown_type",
            Self::FeeTooHigh { .. } => "fee",
            Self::GasTooHigh { .. } => "gas",
        }
    }
}

impl TypedError for RefusedTransaction {
    /// What a node would say of it, and as little as then is it worth asking anybody else.
    fn fault(&self) -> Fault {
        match self {
            Self::Unreadable | Self::UnknownType { .. } => Fault::InvalidRequest,
            Self::OtherChain { .. }
            | Self::Unprotected
            | Self::FeeTooHigh { .. }
            | Self::GasTooHigh { .. } => Fault::TxRejected,
        }
    }
}
