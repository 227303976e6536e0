//! HTTP/1.1.

mod body;

use super::{
    connection::{Breaker, Connection},
    request::Messages,
};
use crate::{
    SimNode,
    node::{
        disruption::{HttpAnswer, HttpBody, RetryAfter},
        receive::{Delivery, HTML},
        wire,
    },
};
use body::Body;
use http_body_util::BodyExt;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::io;

/// Answers the requests of one connection until it ends.
pub(super) async fn serve(node: SimNode, connection: Connection) {
    let breaker = connection.breaker();
    let service = service_fn(|request| answer(&node, request, breaker.clone()));
    // How a connection ends is the client's affair, or ours on purpose.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
}

/// An error closes the connection without an answer.
async fn answer(
    node: &SimNode,
    request: Request<Incoming>,
    breaker: Breaker,
) -> io::Result<Response<Body>> {
    if request.method() != Method::POST {
        return Ok(response(StatusCode::METHOD_NOT_ALLOWED, "text/plain", Body::whole("")));
    }
    let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    let messages = match Messages::parse(&body) {
        Ok(messages) => messages,
        Err(error) => return Ok(json(Body::whole(error))),
    };
    match node.receive(&messages.calls(), messages.batch, None).await {
        Delivery::Answers(members) => Ok(json(Body::whole(messages.write(&members)))),
        Delivery::Refused | Delivery::Lost => Err(io::ErrorKind::ConnectionAborted.into()),
        Delivery::Http(own) => Ok(custom(&own, &messages)),
        Delivery::Html => Ok(response(StatusCode::OK, "text/html", Body::whole(HTML))),
        Delivery::Cut(members) => Ok(json(Body::cut(messages.write(&members), breaker))),
        Delivery::Truncated(members) => Ok(json(Body::whole(wire::half(messages.write(&members))))),
        Delivery::Endless => Ok(json(Body::endless())),
    }
}

fn custom(own: &HttpAnswer, messages: &Messages<'_>) -> Response<Body> {
    let status = StatusCode::from_u16(own.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = match &own.body {
        HttpBody::Text(text) => response(status, "text/plain", Body::whole(text.clone())),
        HttpBody::Error(error) => {
            response(status, "application/json", Body::whole(messages.write_error(error)))
        }
    };
    if let Some(hint) = own.retry_after.as_ref().and_then(header_value) {
        response.headers_mut().insert(RETRY_AFTER, hint);
    }
    response
}

fn header_value(retry_after: &RetryAfter) -> Option<HeaderValue> {
    match retry_after {
        RetryAfter::Seconds(seconds) => Some(HeaderValue::from(*seconds)),
        RetryAfter::Date(date) => httpdate::fmt_http_date(*date).parse().ok(),
        RetryAfter::Text(text) => text.parse().ok(),
    }
}

fn json(body: Body) -> Response<Body> {
    response(StatusCode::OK, "application/json", body)
}

fn response(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
