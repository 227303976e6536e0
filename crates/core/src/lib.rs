#![doc = include_str!("../README.md")]

mod baseline;
pub use baseline::ChainBaseline;

mod block;
pub use block::{BlockRef, Edge, Tag};

mod budget;
pub use budget::Budget;

mod endpoint;
pub use endpoint::EndpointId;

pub mod error;

mod fault;
pub use fault::{
    Classify, Evidence, Fault, Health, HttpFacts, Limiter, Same, StandIn, Unsupported, VendorTable,
};

mod head;
pub use head::{Heads, Lookout, Reorg, Seen, SightedBlock, Sighting};

pub mod headroom;
pub use headroom::Headroom;

mod inner;
pub use inner::{Attempt, Inner, Ready};

mod method;
pub use method::{BlockArgument, Caching, Kind, Method, Replay};

pub mod names;

pub mod note;
pub use note::{AnswerNote, CacheState, Notes};

mod options;
pub use options::CallOptions;

mod outcome;
pub use outcome::{Outcome, classify, classify_with};

mod packet;
pub use packet::{Member, Members};

#[cfg(feature = "provider")]
mod provider;
#[cfg(feature = "provider")]
pub use provider::wrap_root;

mod question;
pub use question::{Question, Questions};

pub mod send;

mod transport_layers;
pub use transport_layers::{Foreign, TransportLayers};

mod unique_ids;
pub use unique_ids::{UniqueIds, UniqueIdsLayer};

mod upstream;
pub use upstream::Upstream;
