//! The public port.

use crate::{
    Config, Gateway,
    page::{events, page},
};
use alclad::{
    http::RpcServer,
    rotation::{
        EndpointSnapshot,
        EndpointState::{Closed, HalfOpen},
    },
};
use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderValue, Method, Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::timeout;
use tower::ServiceExt;

type Shared = State<Arc<Gateway>>;

/// What is answered on a port.
pub(crate) struct Port {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) router: Router,
    /// On the public port: the origin that browsers may call from.
    pub(crate) origin: Option<HeaderValue>,
}

pub(crate) fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/events", get(events))
        .route("/providers", get(providers))
        .route("/health", get(health))
        .route("/health/detailed", get(health_detailed))
        .route("/ready", get(is_ready))
        .route("/metrics", get(async |State(gateway): Shared| gateway.metrics.render()))
        .fallback(async || (StatusCode::NOT_FOUND, Json(json!({ "error": "Not found" }))))
        .with_state(gateway)
}

impl Port {
    /// Calls take the short way, past the router.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Either<Full<Bytes>, Body>>, Infallible> {
        let is_public = self.origin.is_some();
        let mut response = match (request.method(), request.uri().path()) {
            (&Method::POST, "/") if is_public => {
                call(&self.gateway, request.into_body()).await.map(Either::Left)
            }
            (&Method::OPTIONS, _) if is_public => preflight().map(Either::Right),
            _ => {
                let router = self.router.clone();
                router.oneshot(request.map(Body::new)).await?.map(Either::Right)
            }
        };
        if let Some(origin) = &self.origin {
            response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
        Ok(response)
    }
}

async fn call(gateway: &Gateway, body: Incoming) -> Response<Full<Bytes>> {
    let Config { max_body_bytes, max_batch, read_timeout_ms, .. } = gateway.stack.load().config;
    let whole = Limited::new(body, max_body_bytes).collect();
    let (status, answer) = match timeout(Duration::from_millis(read_timeout_ms), whole).await {
        Ok(Ok(body)) => {
            let client = gateway.stack.load().client.clone();
            let server = RpcServer::new().with_max_batch(max_batch);
            match server.answer(client, &body.to_bytes()).await {
                Some(answer) => (StatusCode::OK, answer),
                None => (StatusCode::NO_CONTENT, Vec::new()),
            }
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            (StatusCode::PAYLOAD_TOO_LARGE, RpcServer::refuse("The body is too large"))
        }
        _ => (StatusCode::REQUEST_TIMEOUT, RpcServer::refuse("The body did not arrive")),
    };
    let mut response = Response::new(answer.into());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// What a browser asks before it calls from another origin.
fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
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
    Json(json!({
        "providers": Vec::from_iter(all.iter().map(provider)),
        "totalProviders": all.len(),
        "healthyProviders": all.iter().filter(|one| one.is_healthy()).count(),
        "routingStrategy": stack.config.strategy,
    }))
}

async fn health(State(gateway): Shared) -> (StatusCode, Json<Value>) {
    let all = gateway.stack.load().rotation.snapshot();
    let (active, total) = (all.iter().filter(|one| one.is_healthy()).count(), all.len());
    verdict(active, json!({ "activeProviders": active, "totalProviders": total }))
}

async fn health_detailed(State(gateway): Shared) -> (StatusCode, Json<Value>) {
    let all = gateway.stack.load().rotation.snapshot();
    let (active, total) = (all.iter().filter(|one| one.is_healthy()).count(), all.len());
    let cache = gateway.store.statistics();
    let details = all.iter().map(|one| {
        let (id, healthy, state) = (one.id.as_str(), one.is_healthy(), circuit(one));
        let latency = latency(one);
        json!({ "id": id, "healthy": healthy, "latencyMs": latency, "circuitBreakerState": state })
    });
    let (hit_rate, keys) = (cache.total.hit_rate(), cache.entries);
    let told = json!({
        "providers": {
            "total": total, "healthy": active, "unhealthy": total - active,
            "details": Vec::from_iter(details),
        },
        "cache": { "connected": true, "hitRate": hit_rate, "keyCount": keys },
        "uptime": gateway.started.elapsed().as_secs(),
    });
    verdict(active, told)
}

fn verdict(active: usize, mut told: Value) -> (StatusCode, Json<Value>) {
    told["timestamp"] = json!(time(SystemTime::now()));
    told["status"] = json!(if active > 0 { "healthy" } else { "unhealthy" });
    if active > 0 {
        return (StatusCode::OK, Json(told));
    }
    told["reason"] = json!("No healthy providers available");
    (StatusCode::SERVICE_UNAVAILABLE, Json(told))
}

/// Whether an endpoint has shown its head, and nobody stops the gateway.
async fn is_ready(State(gateway): Shared) -> (StatusCode, Json<Value>) {
    let has_head = gateway.stack.load().rotation.heads().latest().is_some();
    let ready = has_head && !gateway.is_stopping();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "ready": ready })))
}
