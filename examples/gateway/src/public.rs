//! The public port.

use crate::Gateway;
use crate::page::{events, page};
use alclad::rotation::EndpointSnapshot;
use alclad::rotation::EndpointState::{Closed, HalfOpen};
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use axum::{Json, Router, extract::State, routing::get};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use std::{convert::Infallible, sync::Arc};
use tower::ServiceExt;
use tower_http::cors::CorsLayer;

type Shared = State<Arc<Gateway>>;

/// Browsers may call from this origin.
pub(crate) fn router(gateway: Arc<Gateway>, origin: HeaderValue) -> Router {
    let cors = CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE])
        .max_age(Duration::from_hours(24));
    Router::new()
        .route("/", get(page))
        .route("/events", get(events))
        .route("/providers", get(providers))
        .route("/health", get(health))
        .route("/health/detailed", get(health_detailed))
        .route("/ready", get(is_ready))
        .route("/metrics", get(async |State(gateway): Shared| gateway.metrics.render()))
        .fallback(async || (StatusCode::NOT_FOUND, Json(json!({ "error": "Not found" }))))
        .layer(cors)
        .with_state(gateway)
}

/// Who answers on a port, and on the public one the origin that browsers may call from.
pub(crate) type Port = (Arc<Gateway>, Router, Option<HeaderValue>);

/// Calls take the short way, past the router.
pub(crate) async fn answer(
    (gateway, router, origin): Port,
    request: Request<Incoming>,
) -> Result<Response<Either<Full<Bytes>, Body>>, Infallible> {
    let (Some(origin), &Method::POST, "/") = (origin, request.method(), request.uri().path())
    else {
        return Ok(router.oneshot(request.map(Body::new)).await?.map(Either::Right));
    };
    let (stack, body) = (gateway.stack.load_full(), request.into_body());
    let mut response = stack.config.server().respond(stack.client.clone(), body).await;
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    Ok(response.map(Either::Left))
}

pub(crate) fn circuit(endpoint: &EndpointSnapshot) -> &'static str {
    match endpoint.state {
        Closed if endpoint.enabled => "closed",
        HalfOpen { .. } if endpoint.enabled => "half-open",
        _ => "open",
    }
}

/// How long its answers take, in milliseconds.
pub(crate) fn latency(endpoint: &EndpointSnapshot) -> u64 {
    endpoint.latency.unwrap_or_default().as_secs_f64().mul_add(1000.0, 0.5) as u64
}

pub(crate) fn ago(age: Duration) -> String {
    time(SystemTime::now() - age)
}

/// As RFC 3339 has it.
pub(crate) fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

pub(crate) fn provider(endpoint: &EndpointSnapshot) -> Value {
    json!({
        "id": endpoint.id.as_str(),
        "url": endpoint.origin.as_deref(),
        "healthy": endpoint.is_healthy(),
        "weight": endpoint.weight,
        "requestCount": endpoint.requests,
        "errorCount": endpoint.errors,
        "avgLatencyMs": latency(endpoint),
        "lastHealthCheck": endpoint.seen.map(ago),
        "circuitBreakerState": circuit(endpoint),
    })
}

async fn providers(State(gateway): Shared) -> Json<Value> {
    let stack = gateway.stack.load();
    let all = stack.rotation.snapshot();
    let (healthy, total) = count(&all);
    Json(json!({
        "providers": Vec::from_iter(all.iter().map(provider)),
        "totalProviders": total,
        "healthyProviders": healthy,
        "routingStrategy": stack.config.strategy,
    }))
}

/// How many are healthy, and of how many.
fn count(all: &[EndpointSnapshot]) -> (usize, usize) {
    (all.iter().filter(|one| one.is_healthy()).count(), all.len())
}

async fn health(State(gateway): Shared) -> (StatusCode, Json<Value>) {
    let (active, total) = count(&gateway.stack.load().rotation.snapshot());
    verdict(active, json!({ "activeProviders": active, "totalProviders": total }))
}

async fn health_detailed(State(gateway): Shared) -> (StatusCode, Json<Value>) {
    let (all, cache) = (gateway.stack.load().rotation.snapshot(), gateway.store.statistics());
    let ((active, total), hit_rate) = (count(&all), cache.total.hit_rate());
    let details = all.iter().map(|one| {
        let (id, healthy, state) = (one.id.as_str(), one.is_healthy(), circuit(one));
        let latency = latency(one);
        json!({ "id": id, "healthy": healthy, "latencyMs": latency, "circuitBreakerState": state })
    });
    let told = json!({
        "providers": {
            "total": total, "healthy": active, "unhealthy": total - active,
            "details": Vec::from_iter(details),
        },
        "cache": { "connected": true, "hitRate": hit_rate, "keyCount": cache.entries },
        "uptime": gateway.started.elapsed().as_secs(),
    });
    verdict(active, told)
}

fn verdict(active: usize, mut told: Value) -> (StatusCode, Json<Value>) {
    let (code, status) = match active {
        0 => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
        _ => (StatusCode::OK, "healthy"),
    };
    (told["status"], told["timestamp"]) = (json!(status), json!(ago(Duration::ZERO)));
    if active == 0 {
        told["reason"] = json!("No healthy providers available");
    }
    (code, Json(told))
}

/// Whether an endpoint has shown its head, and nobody stops the gateway.
async fn is_ready(State(gateway): Shared) -> (StatusCode, Json<Value>) {
    let has_head = gateway.stack.load().rotation.heads().latest().is_some();
    let ready = has_head && !gateway.is_stopping();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "ready": ready })))
}
