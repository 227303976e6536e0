#![doc = include_str!("../README.md")]

mod chain;
mod error;
#[cfg(feature = "mock")]
mod mock;
mod node;
mod packet;
mod rpc;
#[cfg(any(feature = "http", feature = "ws"))]
mod server;
#[cfg(feature = "sign")]
mod transfer;

pub use chain::{
    Miner, Reorg, SimChain,
    spec::{ChainSpec, ContractCall, REVERT_DATA, REVERTING},
};
pub use error::ErrorObject;
#[cfg(feature = "mock")]
pub use mock::{MockCall, MockUpstream, StrictTransport, mock};
pub use node::{
    RateLimit, SimNode, SimTransport,
    disruption::{Disruption, HttpAnswer, RetryAfter},
    rule::Rule,
};
pub use packet::{
    answer, answers, assert_ids, assert_packet, batch, error, error_object, request,
    request_with_id, single,
};
#[cfg(any(feature = "http", feature = "ws"))]
pub use server::SimServer;
#[cfg(feature = "sign")]
pub use transfer::Transfer;
