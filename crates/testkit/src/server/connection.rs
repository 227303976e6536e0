//! A TCP connection that can be reset.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A connection whose end is decided from outside: closed, or reset.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    breaker: Breaker,
}

/// Makes a [`Connection`] end with a reset once it is dropped.
#[derive(Clone, Debug, Default)]
pub(super) struct Breaker(Arc<AtomicBool>);

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        // Without this, small answers wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        Self { stream, breaker: Breaker::default() }
    }

    pub(super) fn breaker(&self) -> Breaker {
        self.breaker.clone()
    }
}

impl Breaker {
    pub(super) fn reset(&self) {
        self.0.store(true, Relaxed);
    }

    fn is_broken(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.breaker.is_broken() {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.breaker.is_broken() {
            // A shutdown says goodbye, which a reset does not.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
