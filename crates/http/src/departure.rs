//! Whether a question has left before nobody waited any more.

use alclad_core::{EndpointId, Method, names, note};
use alloy_json_rpc::RequestPacket;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

/// Counts the members of a packet as unsent if it is dropped before its bytes have left.
///
/// It is for plain HTTP and our own client: one that is given may follow redirects, and over HTTP/2
/// a client asks again when a server turns a stream away unseen; neither can send a body again that
/// is watched.
pub(crate) struct Departure {
    endpoint: Option<EndpointId>,
    methods: Vec<&'static str>,
    left: Arc<AtomicBool>,
}

impl Departure {
    /// By the name of the endpoint that is being asked, or else by this one.
    pub(crate) fn of(packet: &RequestPacket, endpoint: &EndpointId) -> Self {
        let endpoint = note::endpoint().unwrap_or_else(|| endpoint.clone());
        let methods = packet.method_names().map(|name| Method::of(name).name).collect();
        Self { endpoint: Some(endpoint), methods, left: Arc::default() }
    }

    /// The body that tells when it leaves.
    pub(crate) fn body(&self, bytes: Bytes) -> reqwest::Body {
        reqwest::Body::wrap(Watched { bytes, left: Arc::clone(&self.left) })
    }

    /// How it ended says by itself that it was not sent, or it has left.
    pub(crate) fn settle(&mut self) {
        self.endpoint = None;
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        let Some(endpoint) = self.endpoint.take().filter(|_| !self.left.load(Relaxed)) else {
            return;
        };
        for method in &self.methods {
            let labels =
                [(names::ENDPOINT, endpoint.to_string()), (names::METHOD, (*method).into())];
            metrics::counter!(names::ATTEMPTS_UNSENT, &labels).increment(1);
        }
    }
}

struct Watched {
    bytes: Bytes,
    left: Arc<AtomicBool>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    /// The connection takes it with the head and writes both at once.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.left.store(true, Relaxed);
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
