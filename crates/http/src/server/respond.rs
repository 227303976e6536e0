//! The HTTP around a call: its body as it arrives, its answer with a status.

use super::{RpcServer, refusal};
use alclad_core::Upstream;
use bytes::{Buf, Bytes};
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use std::pin::pin;
use tokio::time::timeout;

/// Beyond its bound so much of a body is read and thrown away: who still sends does not read, and
/// would not hear why it was refused.
const THROWN_AWAY: usize = 64 << 20;

impl RpcServer {
    /// The HTTP answer to a request with this body, whatever server it came through: 200, also for
    /// what JSON-RPC calls an error, or 204 if nobody wants an answer. A body that is too large is
    /// a 413, and one that does not arrive in time, or breaks off, a 408.
    pub async fn respond<S, B>(self, stack: S, body: B) -> Response<Full<Bytes>>
    where
        S: Upstream,
        B: Body,
    {
        let (status, answer) = match timeout(self.read_timeout, read(body, self.max_body)).await {
            Ok(Ok(Some(body))) => match self.answer(stack, &body).await {
                Some(answer) => (StatusCode::OK, answer),
                None => (StatusCode::NO_CONTENT, Vec::new()),
            },
            Ok(Ok(None)) => (StatusCode::PAYLOAD_TOO_LARGE, refusal("The body is too large")),
            _ => (StatusCode::REQUEST_TIMEOUT, refusal("The body did not arrive")),
        };
        let mut response = Response::new(answer.into());
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }
}

/// The body, if it has at most so many bytes.
async fn read<B: Body>(body: B, most: usize) -> Result<Option<Vec<u8>>, B::Error> {
    let (mut body, mut whole, mut length) = (pin!(body), Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let Ok(mut data) = frame?.into_data() else { continue };
        length += data.remaining();
        match length <= most {
            true => whole.extend_from_slice(&data.copy_to_bytes(data.remaining())),
            false if length > most.saturating_add(THROWN_AWAY) => break,
            false => whole = Vec::new(),
        }
    }
    Ok((length <= most).then_some(whole))
}
