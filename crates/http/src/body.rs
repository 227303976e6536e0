//! The body of an answer, read up to a bound.

use bytes::Bytes;
use reqwest::Response;
use tokio::time::{Instant, timeout_at};

/// What was read of a body, and why no more.
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) end: End,
}

pub(crate) enum End {
    Whole,
    TooLarge,
    Late,
    Broken(reqwest::Error),
}

impl Body {
    /// Reads until the body ends, until more than `bound` bytes are there or announced, or until
    /// the deadline.
    pub(crate) async fn read(mut answer: Response, bound: usize, deadline: Instant) -> Self {
        let announced = answer.content_length().unwrap_or(0);
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        let mut chunks = Chunks::default();
        let end = loop {
            match timeout_at(deadline, answer.chunk()).await {
                Ok(Ok(Some(chunk))) => chunks.push(chunk, announced.min(bound)),
                Ok(Ok(None)) => break End::Whole,
                Ok(Err(error)) => break End::Broken(error),
                Err(_) => break End::Late,
            }
            if chunks.len().max(announced) > bound {
                break End::TooLarge;
            }
        };
        Self { bytes: chunks.into_bytes(), end }
    }
}

/// A body of one chunk, as most are, is not copied.
#[derive(Default)]
struct Chunks {
    first: Bytes,
    joined: Vec<u8>,
}

impl Chunks {
    fn push(&mut self, chunk: Bytes, expected: usize) {
        if self.first.is_empty() {
            self.first = chunk;
            return;
        }
        if self.joined.is_empty() {
            self.joined.reserve(expected.max(self.first.len() + chunk.len()));
            self.joined.extend_from_slice(&self.first);
        }
        self.joined.extend_from_slice(&chunk);
    }

    fn len(&self) -> usize {
        self.first.len().max(self.joined.len())
    }

    fn into_bytes(self) -> Bytes {
        match self.joined.is_empty() {
            true => self.first,
            false => self.joined.into(),
        }
    }
}
