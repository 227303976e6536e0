//! Names, kinds, labels, units and buckets of every metric that a layer of alclad emits, through
//! the [`metrics`](https://docs.rs/metrics) facade: [`ALL`] is the table.
//!
//! Labels are bounded: a method is one of the [`Method`](crate::Method) table or `other`, an
//! endpoint is its label, a fault its [`name`](crate::Fault::name).

mod table;
pub use table::{ALL, Kind, Metric, Unit};

/// Calls of the application that have ended, each member of a batch by itself.
pub const CALLS: &str = "alclad_calls_total";
/// How long they took, in seconds, with all retries and failovers.
pub const CALL_DURATION: &str = "alclad_call_duration_seconds";
/// Calls of the application that have not ended.
pub const CALLS_IN_FLIGHT: &str = "alclad_calls_in_flight";
/// What the application's requests weighed, in bytes of JSON.
pub const CALL_REQUEST_BYTES: &str = "alclad_call_request_bytes_total";
/// What their results and error messages weighed, in bytes of JSON.
pub const CALL_RESPONSE_BYTES: &str = "alclad_call_response_bytes_total";
/// How many members the application's batches had.
pub const CALL_BATCH_SIZE: &str = "alclad_call_batch_size";

/// Requests to an endpoint that have ended, each member of a batch by itself.
pub const ATTEMPTS: &str = "alclad_attempts_total";
/// How long they took, in seconds.
pub const ATTEMPT_DURATION: &str = "alclad_attempt_duration_seconds";
/// Requests to an endpoint that have not ended.
pub const ATTEMPTS_IN_FLIGHT: &str = "alclad_attempts_in_flight";
/// What the requests to an endpoint weighed, in bytes of JSON.
pub const ATTEMPT_REQUEST_BYTES: &str = "alclad_attempt_request_bytes_total";
/// What its results and error messages weighed, in bytes of JSON.
pub const ATTEMPT_RESPONSE_BYTES: &str = "alclad_attempt_response_bytes_total";
/// How many members the batches to an endpoint had.
pub const ATTEMPT_BATCH_SIZE: &str = "alclad_attempt_batch_size";
/// Of [`ATTEMPTS`], those that ended before a byte had left: the connection was refused, or nobody
/// waited any more. The endpoint has seen the others.
pub const ATTEMPTS_UNSENT: &str = "alclad_attempts_unsent_total";

/// Members asked again by the retry layer.
pub const RETRIES: &str = "alclad_retries_total";
/// Retries that the pipeline's budget did not allow.
pub const RETRIES_REFUSED: &str = "alclad_retries_refused_total";
/// What a retry waited before it asked again, in seconds.
pub const RETRY_WAIT: &str = "alclad_retry_wait_seconds";

/// Members moved on from one endpoint to the next.
pub const FAILOVERS: &str = "alclad_failovers_total";
/// Packets that were asked at a second endpoint because the first was late.
pub const HEDGES: &str = "alclad_hedges_total";
/// Hedged packets that the second endpoint answered first.
pub const HEDGES_WON: &str = "alclad_hedges_won_total";
/// Changes of an endpoint's health.
pub const HEALTH_TRANSITIONS: &str = "alclad_health_transitions_total";
/// Whether an endpoint is asked: 1 as usual, 0 left alone.
pub const ENDPOINT_HEALTH: &str = "alclad_endpoint_health";
/// The newest block that an endpoint has shown.
pub const ENDPOINT_HEAD: &str = "alclad_endpoint_head";
/// How many blocks an endpoint is behind the served head.
pub const ENDPOINT_LAG: &str = "alclad_endpoint_lag";
/// Times that an endpoint has shown that blocks were replaced; told by the rotation.
pub const REORGS: &str = "alclad_reorgs_total";

/// What a packet waited for its turn in the rate limiter, in seconds; nothing if it did not wait.
pub const RATE_LIMIT_WAIT: &str = "alclad_rate_limit_wait_seconds";
/// Packets that our own rate limit had no room for.
pub const RATE_LIMIT_REFUSED: &str = "alclad_rate_limit_refused_total";
/// Packets that the endpoint's rate limit turned away, as seen by the rate limiter.
pub const THROTTLED: &str = "alclad_throttled_total";
/// Attempts that had no answer in time.
pub const TIMEOUTS: &str = "alclad_timeouts_total";
/// Questions of the chain guard which chain an endpoint serves.
pub const CHAIN_VERIFICATIONS: &str = "alclad_chain_verifications_total";
/// Packets that ended because the endpoint serves another chain.
pub const CHAIN_MISMATCHES: &str = "alclad_chain_mismatches_total";
/// Transactions that the transaction guard did not send.
pub const REFUSED_TRANSACTIONS: &str = "alclad_refused_transactions_total";

/// Calls answered by the cache.
pub const CACHE_HITS: &str = "alclad_cache_hits_total";
/// Calls that the cache could have answered and had no answer to.
pub const CACHE_MISSES: &str = "alclad_cache_misses_total";
/// Calls that waited for the answer to an equal one.
pub const CACHE_JOINED: &str = "alclad_cache_joined_total";
/// Answers that the cache gave up.
pub const CACHE_EVICTIONS: &str = "alclad_cache_evictions_total";
/// What the cache weighs, in bytes.
pub const CACHE_BYTES: &str = "alclad_cache_bytes";
/// How many answers the cache holds.
pub const CACHE_ENTRIES: &str = "alclad_cache_entries";

/// Label: the JSON-RPC method, or `other`.
pub const METHOD: &str = "method";
/// Label: the fault's name.
pub const FAULT: &str = "fault";
/// Label: the endpoint's label.
pub const ENDPOINT: &str = "endpoint";
/// Label: the state that an endpoint came into: `closed`, `open`, `parked`, `quarantined`.
pub const STATE: &str = "state";
/// Label: how a call ended, [`OK`], [`EMPTY`], [`DROPPED`] or a fault's name; of a verification
/// `match`, `mismatch` or `no_answer`.
pub const OUTCOME: &str = "outcome";
/// Label: why a transaction was refused, by
/// [`RefusedTransaction::name`](crate::error::RefusedTransaction::name).
pub const REASON: &str = "reason";

/// An [`OUTCOME`]: a result with something in it.
pub const OK: &str = "ok";
/// An [`OUTCOME`]: `null`, `[]`, `{}`, `""` or `"0x"`.
pub const EMPTY: &str = "empty";
/// An [`OUTCOME`]: who asked no longer waits.
pub const DROPPED: &str = "dropped";

/// The buckets of every duration, in seconds: from what a node on the same machine takes to what
/// hardly anybody waits for.
pub const SECONDS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// The buckets of every batch size, in members.
pub const MEMBERS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// The names that dashboards for the balancers of the `rpc_lb` family expect: ours, and theirs.
/// The last is that of a label.
pub const RPC_LB: [(&str, &str); 5] = [
    (ATTEMPTS, "rpc_lb_requests_total"),
    (ATTEMPT_DURATION, "rpc_lb_request_duration_seconds"),
    (CACHE_HITS, "rpc_lb_cache_hits_total"),
    (ENDPOINT_HEALTH, "rpc_lb_provider_health"),
    (ENDPOINT, "provider"),
];
