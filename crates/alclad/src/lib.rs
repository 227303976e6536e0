#![doc = include_str!("../../../README.md")]

#[doc(inline)]
pub use alclad_core as core;
#[doc(inline)]
pub use alclad_core::{CallOptions, EndpointId, Fault, Outcome, TransportLayers};

/// Nothing twice that cannot change, nothing that did.
#[cfg(feature = "block-cache")]
#[doc(inline)]
pub use alclad_block_cache as block_cache;
#[cfg(feature = "block-cache")]
pub use alclad_block_cache::{BlockCache, BlockCacheLayer};

/// Never another chain's answer, never a transaction for another chain.
#[cfg(feature = "chain-guard")]
#[doc(inline)]
pub use alclad_chain_guard as chain_guard;
#[cfg(feature = "chain-guard")]
pub use alclad_chain_guard::{ChainGuardLayer, TxGuardLayer};

/// The transport that loses nothing.
#[cfg(feature = "http")]
#[doc(inline)]
pub use alclad_http as http;
#[cfg(feature = "http")]
pub use alclad_http::HttpTransport;

/// Counting, timing and tracing.
#[cfg(feature = "metrics")]
#[doc(inline)]
pub use alclad_metrics as metrics;
#[cfg(feature = "metrics")]
pub use alclad_metrics::{MetricsLayer, Report};

/// What an endpoint allows.
#[cfg(feature = "rate-limit")]
#[doc(inline)]
pub use alclad_rate_limit as rate_limit;
#[cfg(feature = "rate-limit")]
pub use alclad_rate_limit::{RateLimitLayer, RateLimiter};

/// Asking again.
#[cfg(feature = "retry")]
#[doc(inline)]
pub use alclad_retry as retry;
#[cfg(feature = "retry")]
pub use alclad_retry::RetryLayer;

/// Which endpoint, and which one next.
#[cfg(feature = "rotation")]
#[doc(inline)]
pub use alclad_rotation as rotation;
#[cfg(feature = "rotation")]
pub use alclad_rotation::{
    Endpoint, LeastLatency, Ordered, Role, Rotation, RotationBuilder, Sends, WeightedRoundRobin,
};

/// How long an attempt may take.
#[cfg(feature = "timeout")]
#[doc(inline)]
pub use alclad_timeout as timeout;
#[cfg(feature = "timeout")]
pub use alclad_timeout::TimeoutLayer;
