//! The HTTP around a call: its body as it arrives, its answer with a status.

use super::{RpcServer, refusal};
use alclad_core::Upstream;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use std::error::Error;
use tokio::time::timeout;

impl RpcServer {
    /// The HTTP answer to a request with this body, whatever server it came through: 200, also for
    /// what JSON-RPC calls an error, or 204 if nobody wants an answer. A body that is too large is
    /// a 413, and one that does not arrive in time, or breaks off, a 408.
    pub async fn respond<S, B>(self, stack: S, body: B) -> Response<Full<Bytes>>
    where
        S: Upstream,
        B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
    {
        let whole = Limited::new(body, self.max_body).collect();
        let (status, answer) = match timeout(self.read_timeout, whole).await {
            Ok(Ok(body)) => match self.answer(stack, &body.to_bytes()).await {
                Some(answer) => (StatusCode::OK, answer),
                None => (StatusCode::NO_CONTENT, Vec::new()),
            },
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                (StatusCode::PAYLOAD_TOO_LARGE, refusal("The body is too large"))
            }
            _ => (StatusCode::REQUEST_TIMEOUT, refusal("The body did not arrive")),
        };
        let mut response = Response::new(answer.into());
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }
}
