//! Names, labels and units of every metric that a layer of alclad emits, through the
//! [`metrics`](https://docs.rs/metrics) facade.
//!
//! | name | kind | labels | counts |
//! |---|---|---|---|
//! | [`RETRIES`] | counter | [`METHOD`], [`FAULT`] | members asked again by the retry layer |
//! | [`RETRIES_REFUSED`] | counter | [`METHOD`], [`FAULT`] | retries that the budget did not allow |
//! | [`RETRY_WAIT`] | histogram, seconds | | what a retry waited before it asked again |
//! | [`FAILOVERS`] | counter | [`ENDPOINT`], [`FAULT`] | members moved on from an endpoint |
//! | [`HEALTH_TRANSITIONS`] | counter | [`ENDPOINT`], [`STATE`] | changes of an endpoint's health |
//! | [`HEDGES`] | counter | [`ENDPOINT`] | packets asked elsewhere too, because this endpoint was late |
//! | [`HEDGES_WON`] | counter | [`ENDPOINT`] | of those, the ones that this endpoint answered first |
//! | [`RATE_LIMIT_WAIT`] | histogram, seconds | [`ENDPOINT`] | what a packet waited for its turn |
//! | [`RATE_LIMIT_REFUSED`] | counter | [`ENDPOINT`] | packets that our own limit had no room for |
//! | [`THROTTLED`] | counter | [`ENDPOINT`] | packets that the endpoint's limit turned away |
//! | [`TIMEOUTS`] | counter | [`ENDPOINT`] | attempts that had no answer in time |
//! | [`CACHE_HITS`] | counter | [`METHOD`] | questions answered from the cache |
//! | [`CACHE_MISSES`] | counter | [`METHOD`] | questions that the cache had to ask |
//! | [`CACHE_JOINED`] | counter | [`METHOD`] | questions answered with what another caller had just asked for |
//! | [`CACHE_EVICTIONS`] | counter | | kept answers that had to go for want of room |
//! | [`CHAIN_VERIFICATIONS`] | counter | [`ENDPOINT`], [`OUTCOME`] | questions of the chain guard which chain an endpoint serves |
//! | [`CHAIN_MISMATCHES`] | counter | [`ENDPOINT`] | packets that ended because it is another one |
//! | [`REFUSED_TRANSACTIONS`] | counter | [`REASON`] | transactions that the transaction guard did not send |
//!
//! Labels are bounded: a method is one of the [`Method`](crate::Method) table or `other`, an
//! endpoint is its label, a fault its [`name`](crate::Fault::name).

/// Members asked again by the retry layer.
pub const RETRIES: &str = "alclad_retries_total";
/// Retries that the pipeline's budget did not allow.
pub const RETRIES_REFUSED: &str = "alclad_retries_refused_total";
/// What a retry waited before it asked again, in seconds.
pub const RETRY_WAIT: &str = "alclad_retry_wait_seconds";
/// Members moved on from one endpoint to the next.
pub const FAILOVERS: &str = "alclad_failovers_total";
/// Changes of an endpoint's health.
pub const HEALTH_TRANSITIONS: &str = "alclad_health_transitions_total";
/// Packets that were asked at a second endpoint because the first was late.
pub const HEDGES: &str = "alclad_hedges_total";
/// Hedged packets that the second endpoint answered first.
pub const HEDGES_WON: &str = "alclad_hedges_won_total";
/// What a packet waited for its turn in the rate limiter, in seconds; nothing if it did not wait.
pub const RATE_LIMIT_WAIT: &str = "alclad_rate_limit_wait_seconds";
/// Packets that our own rate limit had no room for.
pub const RATE_LIMIT_REFUSED: &str = "alclad_rate_limit_refused_total";
/// Packets that the endpoint's rate limit turned away, as seen by the rate limiter.
pub const THROTTLED: &str = "alclad_throttled_total";
/// Attempts that had no answer in time.
pub const TIMEOUTS: &str = "alclad_timeouts_total";
/// Questions answered from the cache.
pub const CACHE_HITS: &str = "alclad_cache_hits_total";
/// Questions that the cache had to ask.
pub const CACHE_MISSES: &str = "alclad_cache_misses_total";
/// Questions that the cache answered with what another caller had just asked for.
pub const CACHE_JOINED: &str = "alclad_cache_joined_total";
/// Kept answers that had to go for want of room.
pub const CACHE_EVICTIONS: &str = "alclad_cache_evictions_total";
/// Questions of the chain guard which chain an endpoint serves.
pub const CHAIN_VERIFICATIONS: &str = "alclad_chain_verifications_total";
/// Packets that ended because the endpoint serves another chain.
pub const CHAIN_MISMATCHES: &str = "alclad_chain_mismatches_total";
/// Transactions that the transaction guard did not send.
pub const REFUSED_TRANSACTIONS: &str = "alclad_refused_transactions_total";

/// Label: the JSON-RPC method, or `other`.
pub const METHOD: &str = "method";
/// Label: the fault's name.
pub const FAULT: &str = "fault";
/// Label: the endpoint's label.
pub const ENDPOINT: &str = "endpoint";
/// Label: the state that an endpoint came into: `closed`, `open`, `half_open`, `parked`.
pub const STATE: &str = "state";
/// Label: what came of a verification: `match`, `mismatch`, `no_answer`.
pub const OUTCOME: &str = "outcome";
/// Label: why a transaction was refused, by
/// [`RefusedTransaction::name`](crate::error::RefusedTransaction::name).
pub const REASON: &str = "reason";
