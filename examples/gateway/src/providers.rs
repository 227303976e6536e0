//! What is told of the endpoints, in the words of the API.

use crate::stack::Stack;
use alclad::rotation::{EndpointSnapshot, EndpointState};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// Whether it is asked as usual.
pub fn is_healthy(endpoint: &EndpointSnapshot) -> bool {
    endpoint.enabled && matches!(endpoint.state, EndpointState::Closed)
}

/// `closed`, `open` or `half-open`.
pub fn circuit(endpoint: &EndpointSnapshot) -> &'static str {
    match endpoint.state {
        _ if !endpoint.enabled => "open",
        EndpointState::Closed => "closed",
        EndpointState::HalfOpen { .. } => "half-open",
        _ => "open",
    }
}

/// What anybody may know.
pub fn provider(stack: &Stack, endpoint: &EndpointSnapshot) -> Value {
    json!({
        "id": endpoint.id.as_str(),
        "url": stack.url(&endpoint.id),
        "healthy": is_healthy(endpoint),
        "weight": endpoint.weight,
        "requestCount": endpoint.requests,
        "errorCount": endpoint.errors,
        "avgLatencyMs": latency(endpoint),
        "lastHealthCheck": endpoint.seen.map(ago),
        "circuitBreakerState": circuit(endpoint),
    })
}

/// What else the administrator may know.
pub fn detailed(stack: &Stack, endpoint: &EndpointSnapshot) -> Value {
    let mut told = provider(stack, endpoint);
    let ended = (endpoint.requests - endpoint.in_flight.min(endpoint.requests)).max(1);
    told["successRate"] = json!(1.0 - (endpoint.errors as f64 / ended as f64).min(1.0));
    let left = match endpoint.state {
        EndpointState::Open { left, .. } | EndpointState::Parked { left, .. } => Some(left),
        _ => None,
    };
    told["circuitBreakerStats"] = json!({
        "failures": endpoint.strikes,
        "lastFailureTime": endpoint.failed.map(ago),
        "nextRetryTime": left.map(|left| time(SystemTime::now() + left)),
    });
    told
}

/// How long its answers take, in milliseconds.
pub fn latency(endpoint: &EndpointSnapshot) -> u64 {
    endpoint.latency.map_or(0, |latency| latency.as_secs_f64().mul_add(1000.0, 0.5) as u64)
}

/// How long all answers take: the endpoints' latencies by their requests.
pub fn mean_latency(endpoints: &[EndpointSnapshot]) -> u64 {
    let sum: u64 = endpoints.iter().map(|one| latency(one) * one.requests).sum();
    sum / endpoints.iter().map(|one| one.requests).sum::<u64>().max(1)
}

/// So long ago, as a date.
pub fn ago(age: Duration) -> String {
    time(SystemTime::now() - age)
}

/// As RFC 3339 has it.
pub fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}
