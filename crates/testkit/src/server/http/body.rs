//! Bodies that end well, break off, or never end.

use super::Breaker;
use hyper::body::{Bytes, Frame, SizeHint};
use std::{
    borrow::Cow,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Interval, interval};

/// Enough to fill a client's memory in minutes, but not a test's processor.
const ENDLESS_CHUNK: &[u8] = &[b'0'; 8 * 1024];
const ENDLESS_PAUSE: Duration = Duration::from_millis(1);
/// Long enough for the first half to reach the client.
const CUT_PAUSE: Duration = Duration::from_millis(5);

/// The body of an HTTP answer.
#[derive(Debug)]
pub(super) enum Body {
    Whole(Option<Bytes>),
    Cut { half: Option<Bytes>, promised: u64, breaker: Breaker, pause: Interval },
    Endless { begun: bool, pace: Interval },
}

impl Body {
    pub(super) fn whole(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Whole(Some(bytes(text.into())))
    }

    /// Promises all, gives half, and resets the connection.
    pub(super) fn cut(text: String, breaker: Breaker) -> Self {
        let mut half = Bytes::from(text);
        let promised = half.len() as u64;
        half.truncate(half.len() / 2);
        Self::Cut { half: Some(half), promised, breaker, pause: interval(CUT_PAUSE) }
    }

    pub(super) fn endless() -> Self {
        Self::Endless { begun: false, pace: interval(ENDLESS_PAUSE) }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let chunk = match self.get_mut() {
            Self::Whole(whole) => whole.take(),
            Self::Cut { half, breaker, pause, .. } => {
                std::task::ready!(pause.poll_tick(cx));
                if half.is_none() {
                    breaker.reset();
                    return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
                }
                half.take()
            }
            Self::Endless { begun, pace } => {
                std::task::ready!(pace.poll_tick(cx));
                let first = !std::mem::replace(begun, true);
                let opening = br#"{"jsonrpc":"2.0","id":1,"result":"0x"#;
                Some(Bytes::from_static(if first { opening } else { ENDLESS_CHUNK }))
            }
        };
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => {
                SizeHint::with_exact(whole.as_ref().map_or(0, |whole| whole.len() as u64))
            }
            Self::Cut { promised, .. } => SizeHint::with_exact(*promised),
            Self::Endless { .. } => SizeHint::default(),
        }
    }
}

fn bytes(text: Cow<'static, str>) -> Bytes {
    match text {
        Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
        Cow::Owned(text) => Bytes::from(text),
    }
}
