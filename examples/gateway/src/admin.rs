//! The admin port: endpoints and cache, for who knows the password.

use crate::Gateway;
use crate::config::{Text, Upstream, without_values};
use crate::public::{ago, circuit, latency, provider, time};
use alclad::rotation::EndpointState::{Open, Parked};
use alclad::{Role, rotation::EndpointSnapshot};
use alloy_primitives::{B256, keccak256};
use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router, body::Bytes};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{num::NonZeroU32, sync::Arc, time::SystemTime};
use subtle::ConstantTimeEq;

type Shared = State<Arc<Gateway>>;
type Answer = Result<Response, Response>;

pub(crate) fn router(gateway: Arc<Gateway>, password: &str) -> Router {
    // Hashes are of one length, so that nothing is told by how long they take to compare.
    let expected = keccak256(BASE64_STANDARD.encode(format!("admin:{password}")));
    Router::new()
        .route("/admin/providers", get(list).post(add))
        .route("/admin/providers/{id}", get(show).patch(update).delete(remove))
        .route("/admin/providers/{id}/{act}", post(act))
        .route("/admin/cache/stats", get(cache))
        .route("/admin/cache", delete(clear))
        .fallback(async || refusal(StatusCode::NOT_FOUND, "Not found"))
        .layer(from_fn_with_state(expected, authenticate))
        .with_state(gateway)
}

async fn authenticate(State(expected): State<B256>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given.map_or(&[][..], |given| given.as_bytes());
    let (scheme, credentials) = given.split_at(given.len().min(6));
    let is_known = keccak256(credentials.trim_ascii()).ct_eq(expected.as_slice());
    if scheme.eq_ignore_ascii_case(b"Basic ") && is_known.into() {
        // A browser remembers the password, and would send it along for any page that asks.
        let is_of_page = request.headers().contains_key(header::ORIGIN);
        return match is_of_page && request.method() != Method::GET {
            true => refusal(StatusCode::FORBIDDEN, "Not from a browser"),
            false => next.run(request).await,
        };
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"gateway\"")];
    (challenge, refusal(StatusCode::UNAUTHORIZED, "Authentication required")).into_response()
}

fn refusal(status: StatusCode, problem: impl ToString) -> Response {
    (status, Json(json!({ "error": problem.to_string() }))).into_response()
}

fn bad_request(problem: impl ToString) -> Response {
    refusal(StatusCode::BAD_REQUEST, problem)
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Response> {
    serde_json::from_slice(body).map_err(|bad| bad_request(without_values(&bad.to_string())))
}

fn done(message: &str, key: &str, value: Value) -> Answer {
    Ok(Json(json!({ "success": true, "message": message, key: value })).into_response())
}

impl Gateway {
    fn find(&self, id: &str) -> Result<EndpointSnapshot, Response> {
        let all = self.stack.load().rotation.snapshot();
        all.into_iter().find(|endpoint| endpoint.id.as_str() == id).ok_or_else(|| {
            let told = json!({ "error": "Provider not found", "providerId": id });
            (StatusCode::NOT_FOUND, Json(told)).into_response()
        })
    }

    /// On, whatever it failed with before; or off.
    fn switch(&self, id: &str, on: bool) -> Result<EndpointSnapshot, Response> {
        let (endpoint, stack) = (self.find(id)?.id, self.stack.load());
        match on {
            true => stack.rotation.enable(&endpoint) && stack.rotation.close(&endpoint),
            false => stack.rotation.disable(&endpoint),
        };
        self.find(id)
    }
}

/// What nobody else may know.
fn detailed(endpoint: &EndpointSnapshot) -> Value {
    let ended = endpoint.requests.saturating_sub(endpoint.in_flight).max(1);
    let next = match endpoint.state {
        Open { left, .. } | Parked { left, .. } => Some(time(SystemTime::now() + left)),
        _ => None,
    };
    let mut told = provider(endpoint);
    told["successRate"] = json!(1.0 - (endpoint.errors as f64 / ended as f64).min(1.0));
    told["circuitBreakerStats"] = json!({
        "failures": endpoint.strikes,
        "lastFailureTime": endpoint.failed.map(ago),
        "nextRetryTime": next,
    });
    told
}

async fn list(State(gateway): Shared) -> Json<Value> {
    let all = gateway.stack.load().rotation.snapshot();
    let sum = |of: fn(&EndpointSnapshot) -> u64| all.iter().map(of).sum::<u64>();
    let (requests, time) = (sum(|one| one.requests), sum(|one| latency(one) * one.requests));
    Json(json!({
        "providers": Vec::from_iter(all.iter().map(detailed)),
        "summary": {
            "totalProviders": all.len(),
            "healthyProviders": sum(|one| one.is_healthy().into()),
            "totalRequests": requests,
            "totalErrors": sum(|one| one.errors),
            "avgLatencyMs": time / requests.max(1),
        },
    }))
}

async fn show(State(gateway): Shared, Path(id): Path<String>) -> Answer {
    let endpoint = gateway.find(&id)?;
    let calls = gateway.stack.load().report.recent_calls(&endpoint.id);
    let recent = calls.iter().map(|call| {
        let (took, at) = (call.took.as_millis() as u64, ago(call.age));
        json!({ "method": call.method, "latencyMs": took, "success": call.success, "timestamp": at })
    });
    let mut told = detailed(&endpoint);
    told["recentRequests"] = recent.collect();
    Ok(Json(told).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Addition {
    id: String,
    url: String,
    weight: Option<NonZeroU32>,
    priority: Option<NonZeroU32>,
}

async fn add(State(gateway): Shared, body: Bytes) -> Answer {
    let addition: Addition = read(&body)?;
    let tier = addition.priority.map_or(0, |priority| priority.get() - 1);
    let upstream = Upstream {
        url: Text(addition.url.parse().map_err(bad_request)?),
        id: Text(addition.id),
        tier: tier.try_into().map_err(|_| bad_request("priority is more than 256"))?,
        weight: addition.weight,
        role: Role::default(),
        limit: None,
    };
    let id = &upstream.id.0;
    if id.is_empty() {
        return Err(bad_request("id is empty"));
    }
    if gateway.find(id).is_ok() || !gateway.stack.load().add(&upstream) {
        return Err(bad_request("Provider with this ID already exists"));
    }
    let added = gateway.find(id)?;
    let provider = json!({
        "id": id, "url": added.origin.as_deref(), "healthy": false,
        "weight": added.weight, "requestCount": 0, "errorCount": 0,
    });
    let told = done("Provider added successfully", "provider", provider)?;
    Ok((StatusCode::CREATED, told).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    weight: Option<NonZeroU32>,
    healthy: Option<bool>,
}

async fn update(State(gateway): Shared, Path(id): Path<String>, body: Bytes) -> Answer {
    let (endpoint, update) = (gateway.find(&id)?, read::<Update>(&body)?);
    if let Some(weight) = update.weight {
        gateway.stack.load().rotation.set_weight(&endpoint.id, weight.get());
    }
    let endpoint = match update.healthy {
        Some(healthy) => gateway.switch(&id, healthy)?,
        None => gateway.find(&id)?,
    };
    let (weight, healthy) = (endpoint.weight, endpoint.is_healthy());
    let provider = json!({ "id": id, "weight": weight, "healthy": healthy });
    done("Provider updated successfully", "provider", provider)
}

async fn remove(State(gateway): Shared, Path(id): Path<String>) -> Answer {
    let endpoint =
        gateway.find(&id).map_err(|_| refusal(StatusCode::NOT_FOUND, "Provider not found"))?;
    gateway.stack.load().rotation.remove(&endpoint.id);
    done("Provider removed successfully", "providerId", json!(id))
}

async fn act(State(gateway): Shared, Path((id, act)): Path<(String, String)>) -> Answer {
    let (endpoint, message) = match &*act {
        "enable" => (gateway.switch(&id, true)?, "Provider enabled successfully"),
        "disable" => (gateway.switch(&id, false)?, "Provider disabled successfully"),
        _ => return Err(refusal(StatusCode::NOT_FOUND, "Not found")),
    };
    let (healthy, state) = (endpoint.is_healthy(), circuit(&endpoint));
    let provider = json!({ "id": id, "healthy": healthy, "circuitBreakerState": state });
    done(message, "provider", provider)
}

async fn cache(State(gateway): Shared) -> Json<Value> {
    let (kept, contents) = (gateway.store.statistics(), gateway.store.contents());
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let (hits, misses) = (kept.total.hits + kept.total.joined, kept.total.misses);
    let lasting = |age| contents.expiring.get(age).copied().unwrap_or_default();
    Json(json!({
        "connected": true,
        "totalKeys": kept.entries,
        "hitRate": kept.total.hit_rate(),
        "missRate": misses as f64 / (hits + misses).max(1) as f64,
        "hits": hits,
        "misses": misses,
        "memoryUsage": { "used": megabytes(kept.bytes), "peak": megabytes(kept.peak_bytes) },
        "keysByMethod": contents.methods,
        "ttlDistribution": {
            "infinite": contents.until_evicted, "5min": lasting("young"), "30sec": lasting("tip"),
        },
    }))
}

#[derive(Deserialize)]
#[serde(tag = "scope", rename_all = "lowercase", rename_all_fields = "camelCase")]
enum Scope {
    All,
    Provider { provider_id: String },
    Pattern { pattern: String },
}

async fn clear(State(gateway): Shared, body: Bytes) -> Answer {
    let (scope, deleted) = match read(&body)? {
        Scope::All => ("all", gateway.store.clear()),
        Scope::Provider { provider_id: id } => {
            ("provider", gateway.store.clear_endpoint(&id.as_str().into()))
        }
        Scope::Pattern { pattern } => ("pattern", gateway.store.clear_methods(&pattern)),
    };
    let message = "Cache cleared successfully";
    let told =
        json!({ "success": true, "message": message, "keysDeleted": deleted, "scope": scope });
    Ok(Json(told).into_response())
}
