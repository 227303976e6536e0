//! The admin port: endpoints and cache, for who knows the password.

use crate::{
    Gateway,
    config::{Upstream, http_url, without_values},
    providers::{ago, circuit, detailed, is_healthy, mean_latency},
};
use alclad::{EndpointId, block_cache::Statistics, rotation::EndpointSnapshot};
use alloy_primitives::{B256, keccak256};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{num::NonZeroU32, sync::Arc};
use subtle::ConstantTimeEq;

type Answer = Result<Response, Response>;
type Shared = State<Arc<Gateway>>;

/// All routes, behind the password.
pub fn router(gateway: Arc<Gateway>, password: &str) -> Router {
    let expected =
        keccak256(format!("Basic {}", BASE64_STANDARD.encode(format!("admin:{password}"))));
    let guard =
        from_fn_with_state(expected, async |State(expected): State<B256>, request: Request, next: Next| {
            let given = request.headers().get(header::AUTHORIZATION);
            let given = keccak256(given.map_or(&b""[..], |given| given.as_bytes()));
            match bool::from(given.as_slice().ct_eq(expected.as_slice())) {
                true => next.run(request).await,
                false => {
                    let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"alclad-gateway\"")];
                    let refusal = refusal(StatusCode::UNAUTHORIZED, "Authentication required");
                    (challenge, refusal).into_response()
                }
            }
        });
    Router::new()
        .route("/admin/providers", get(list).post(add))
        .route("/admin/providers/{id}", get(show).patch(update).delete(remove))
        .route("/admin/providers/{id}/enable", post(enable))
        .route("/admin/providers/{id}/disable", post(disable))
        .route("/admin/cache/stats", get(cache))
        .route("/admin/cache", delete(clear))
        .fallback(async || refusal(StatusCode::NOT_FOUND, "Not found"))
        .layer(guard)
        .with_state(gateway)
}

fn refusal(status: StatusCode, problem: impl ToString) -> Response {
    (status, Json(json!({ "error": problem.to_string() }))).into_response()
}

fn success(message: &str, key: &str, value: Value) -> Response {
    Json(json!({ "success": true, "message": message, key: value })).into_response()
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Response> {
    serde_json::from_slice(body).map_err(|bad| bad_request(without_values(&bad.to_string())))
}

fn bad_request(problem: impl ToString) -> Response {
    refusal(StatusCode::BAD_REQUEST, problem)
}

impl Gateway {
    fn find(&self, id: &str) -> Result<EndpointSnapshot, Response> {
        let mut all = self.stack.load().rotation.snapshot().into_iter();
        all.find(|endpoint| endpoint.id.as_str() == id).ok_or_else(|| {
            let told = json!({ "error": "Provider not found", "providerId": id });
            (StatusCode::NOT_FOUND, Json(told)).into_response()
        })
    }
}

async fn list(State(gateway): Shared) -> Json<Value> {
    let stack = gateway.stack.load();
    let all = stack.rotation.snapshot();
    let sum = |of: fn(&EndpointSnapshot) -> u64| all.iter().map(of).sum::<u64>();
    Json(json!({
        "providers": all.iter().map(|one| detailed(&stack, one)).collect::<Vec<_>>(),
        "summary": {
            "totalProviders": all.len(),
            "healthyProviders": sum(|one| is_healthy(one).into()),
            "totalRequests": sum(|one| one.requests),
            "totalErrors": sum(|one| one.errors),
            "avgLatencyMs": mean_latency(&all),
        },
    }))
}

async fn show(State(gateway): Shared, Path(id): Path<String>) -> Answer {
    let endpoint = gateway.find(&id)?;
    let stack = gateway.stack.load();
    let mut told = detailed(&stack, &endpoint);
    let recent = stack.report.recent_calls(&endpoint.id);
    let recent = recent.iter().map(|call| {
        json!({
            "method": call.method,
            "latencyMs": call.took.as_millis() as u64,
            "success": call.success,
            "timestamp": ago(call.age),
        })
    });
    told["recentRequests"] = recent.collect();
    Ok(Json(told).into_response())
}

#[derive(Deserialize)]
struct Addition {
    id: String,
    url: String,
    weight: Option<NonZeroU32>,
    priority: Option<NonZeroU32>,
}

async fn add(State(gateway): Shared, body: Bytes) -> Answer {
    let Addition { id, url, weight, priority } = read(&body)?;
    let tier = u8::try_from(priority.map_or(0, |priority| priority.get() - 1));
    let mut upstream = Upstream::new(id, http_url(&url).map_err(bad_request)?);
    upstream.tier = tier.map_err(|_| bad_request("priority is at most 256"))?;
    upstream.weight = weight.unwrap_or(upstream.weight);
    if upstream.id.is_empty() || !gateway.stack.load().add(&upstream) {
        return Err(bad_request("Provider with this ID already exists"));
    }
    let provider = json!({
        "id": upstream.id,
        "url": upstream.masked_url(),
        "healthy": false,
        "weight": upstream.weight,
        "requestCount": 0,
        "errorCount": 0,
    });
    let added = success("Provider added successfully", "provider", provider);
    Ok((StatusCode::CREATED, added).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    weight: Option<NonZeroU32>,
    healthy: Option<bool>,
}

async fn update(State(gateway): Shared, Path(id): Path<String>, body: Bytes) -> Answer {
    let (endpoint, update) = (gateway.find(&id)?.id, read::<Update>(&body)?);
    if let Some(weight) = update.weight {
        gateway.stack.load().rotation.set_weight(&endpoint, weight.get());
    }
    if let Some(healthy) = update.healthy {
        gateway.switch(&endpoint, healthy);
    }
    let endpoint = gateway.find(&id)?;
    let (weight, healthy) = (endpoint.weight, is_healthy(&endpoint));
    let provider = json!({ "id": id, "weight": weight, "healthy": healthy });
    Ok(success("Provider updated successfully", "provider", provider))
}

async fn remove(State(gateway): Shared, Path(id): Path<String>) -> Answer {
    gateway.stack.load().remove(&gateway.find(&id)?.id);
    Ok(success("Provider removed successfully", "providerId", json!(id)))
}

async fn enable(State(gateway): Shared, Path(id): Path<String>) -> Answer {
    gateway.switch(&gateway.find(&id)?.id, true);
    gateway.switched(&id, "Provider enabled successfully")
}

async fn disable(State(gateway): Shared, Path(id): Path<String>) -> Answer {
    gateway.switch(&gateway.find(&id)?.id, false);
    gateway.switched(&id, "Provider disabled successfully")
}

impl Gateway {
    /// On, whatever it failed with before; or off.
    fn switch(&self, endpoint: &EndpointId, on: bool) {
        let stack = self.stack.load();
        match on {
            true => stack.rotation.enable(endpoint) && stack.rotation.close(endpoint),
            false => stack.rotation.disable(endpoint),
        };
    }

    fn switched(&self, id: &str, message: &str) -> Answer {
        let endpoint = self.find(id)?;
        let (healthy, state) = (is_healthy(&endpoint), circuit(&endpoint));
        let provider = json!({ "id": id, "healthy": healthy, "circuitBreakerState": state });
        Ok(success(message, "provider", provider))
    }
}

async fn cache(State(gateway): Shared) -> Json<Value> {
    let Statistics { total, bytes, entries, .. } = gateway.store.statistics();
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let (hits, misses) = (total.hits + total.joined, total.misses);
    let share = |part: u64| part as f64 / (hits + misses).max(1) as f64;
    Json(json!({
        "connected": true,
        "totalKeys": entries,
        "hitRate": share(hits),
        "missRate": share(misses),
        "hits": hits,
        "misses": misses,
        "memoryUsage": { "used": megabytes(bytes), "peak": megabytes(bytes) },
        "keysByMethod": {},
        "ttlDistribution": {},
    }))
}

#[derive(Deserialize)]
#[serde(tag = "scope", rename_all = "lowercase")]
enum Scope {
    All,
    Provider {
        #[serde(rename = "providerId")]
        id: String,
    },
    Pattern {
        pattern: String,
    },
}

async fn clear(State(gateway): Shared, body: Bytes) -> Answer {
    let (scope, deleted) = match read(&body)? {
        Scope::All => ("all", gateway.store.clear()),
        Scope::Provider { id } => ("provider", gateway.store.clear_endpoint(&id.as_str().into())),
        Scope::Pattern { pattern } => ("pattern", gateway.store.clear_methods(&pattern)),
    };
    let mut told = json!({ "success": true, "message": "Cache cleared successfully" });
    told["keysDeleted"] = json!(deleted);
    told["scope"] = json!(scope);
    Ok(Json(told).into_response())
}
