//! The public port.

use crate::{
    Gateway,
    providers::{circuit, is_healthy, latency, provider, time},
    rpc,
};
use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header},
    response::{Html, IntoResponse, Response, Sse, sse::Event},
    routing::get,
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    future::ready,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::timeout;
use tower::ServiceExt;

type Shared = State<Arc<Gateway>>;
type Reply = Response<Either<Full<Bytes>, Body>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What the public port answers.
#[derive(Clone)]
pub(crate) struct Public {
    gateway: Arc<Gateway>,
    router: Router,
    origin: HeaderValue,
}

impl Public {
    /// Browsers may call from this origin.
    pub fn new(gateway: Arc<Gateway>, origin: HeaderValue) -> Self {
        let router = Router::new()
            .route("/", get(async || Html(include_str!("page.html"))))
            .route("/events", get(events))
            .route("/providers", get(providers))
            .route("/health", get(health))
            .route("/health/detailed", get(health_detailed))
            .route("/ready", get(is_ready))
            .route("/metrics", get(async |State(gateway): Shared| gateway.metrics.render()))
            .fallback(async || (StatusCode::NOT_FOUND, Json(json!({ "error": "Not found" }))))
            .with_state(Arc::clone(&gateway));
        Self { gateway, router, origin }
    }

    /// Calls take the short way, past the router.
    pub async fn answer(self, request: Request<Incoming>) -> Result<Reply, Infallible> {
        let mut reply = match (request.method(), request.uri().path()) {
            (&Method::POST, "/") => self.call(request.into_body()).await.map(Either::Left),
            (&Method::OPTIONS, _) => preflight().map(Either::Right),
            _ => self.router.oneshot(request.map(Body::new)).await?.map(Either::Right),
        };
        reply.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.origin);
        Ok(reply)
    }

    async fn call(&self, body: Incoming) -> Response<Full<Bytes>> {
        let stack = self.gateway.stack.load();
        let limits = &stack.config.server;
        let most = limits.max_body_bytes;
        let whole = Limited::new(body, most).collect();
        let mut reply = match timeout(Duration::from_millis(limits.read_timeout_ms), whole).await {
            Ok(Ok(body)) => {
                let client = stack.client.clone();
                match rpc::answer(client, limits, &body.to_bytes()).await {
                    Some(answer) => Response::new(answer.into()),
                    None => status(StatusCode::NO_CONTENT, Vec::new()),
                }
            }
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                let problem = format!("Invalid request: a body of more than {most} bytes");
                status(StatusCode::PAYLOAD_TOO_LARGE, rpc::refusal(problem))
            }
            _ => {
                let problem = "Invalid request: the body did not arrive".to_owned();
                status(StatusCode::REQUEST_TIMEOUT, rpc::refusal(problem))
            }
        };
        reply.headers_mut().insert(header::CONTENT_TYPE, JSON);
        reply
    }
}

fn status(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
}

/// What a browser asks before it calls from another origin.
fn preflight() -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    (StatusCode::NO_CONTENT, headers).into_response()
}

async fn providers(State(gateway): Shared) -> Json<Value> {
    let stack = gateway.stack.load();
    let all = stack.rotation.snapshot();
    Json(json!({
        "providers": all.iter().map(|one| provider(&stack, one)).collect::<Vec<_>>(),
        "totalProviders": all.len(),
        "healthyProviders": all.iter().filter(|one| is_healthy(one)).count(),
        "routingStrategy": stack.config.routing.strategy,
    }))
}

async fn health(State(gateway): Shared) -> (StatusCode, Json<Value>) {
    let all = gateway.stack.load().rotation.snapshot();
    let active = all.iter().filter(|one| is_healthy(one)).count();
    let (status, word) = verdict(active);
    let mut told = json!({
        "status": word,
        "timestamp": time(SystemTime::now()),
        "activeProviders": active,
        "totalProviders": all.len(),
    });
    if active == 0 {
        told["reason"] = json!("No healthy providers available");
    }
    (status, Json(told))
}

async fn health_detailed(State(gateway): Shared) -> (StatusCode, Json<Value>) {
    let all = gateway.stack.load().rotation.snapshot();
    let active = all.iter().filter(|one| is_healthy(one)).count();
    let statistics = gateway.store.statistics();
    let details = all.iter().map(|one| {
        json!({
            "id": one.id.as_str(),
            "healthy": is_healthy(one),
            "latencyMs": latency(one),
            "circuitBreakerState": circuit(one),
        })
    });
    let (status, word) = verdict(active);
    let told = json!({
        "status": word,
        "timestamp": time(SystemTime::now()),
        "providers": {
            "total": all.len(),
            "healthy": active,
            "unhealthy": all.len() - active,
            "details": details.collect::<Vec<_>>(),
        },
        "cache": {
            "connected": true,
            "hitRate": statistics.total.hit_rate(),
            "keyCount": statistics.entries,
        },
        "uptime": gateway.started.elapsed().as_secs(),
    });
    (status, Json(told))
}

const fn verdict(active: usize) -> (StatusCode, &'static str) {
    match active {
        0 => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
        _ => (StatusCode::OK, "healthy"),
    }
}

/// Whether calls can be answered: an endpoint has shown its head, and nobody stops the gateway.
async fn is_ready(State(gateway): Shared) -> (StatusCode, Json<Value>) {
    let has_head = gateway.stack.load().rotation.heads().latest().is_some();
    let ready = has_head && !gateway.is_stopping();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready })))
}

/// What the page shows: the last minutes at once, then a sample every second.
async fn events(State(gateway): Shared) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (history, samples) = gateway.status.follow();
    let history = Event::default().event("history").data(history);
    let samples = samples.map(|sample| Event::default().event("sample").data(&*sample));
    let all = stream::once(ready(history)).chain(samples).map(Ok);
    Sse::new(all.take_until(gateway.stopped()))
}
