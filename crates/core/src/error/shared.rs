use alloy_json_rpc::RpcError;
use alloy_transport::{HttpError, TransportError, TransportErrorKind};
use serde::{de, ser};
use std::{error::Error, fmt, sync::Arc};

/// One transport error for all that waited for the same thing. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SharedError(Arc<TransportError>);

impl SharedError {
    /// Shares this error.
    pub fn new(error: TransportError) -> Self {
        Self(Arc::new(error))
    }

    /// The error, for one of them: of the same kind, with the same code, status, text and data, and
    /// with the same causes below it.
    pub fn to_error(&self) -> TransportError {
        match &*self.0 {
            RpcError::ErrorResp(payload) => RpcError::ErrorResp(payload.clone()),
            RpcError::NullResp => RpcError::NullResp,
            RpcError::UnsupportedFeature(feature) => RpcError::UnsupportedFeature(feature),
            RpcError::LocalUsageError(_) => RpcError::LocalUsageError(Box::new(self.clone())),
            RpcError::SerError(error) => RpcError::SerError(ser::Error::custom(error)),
            RpcError::DeserError { err, text } => {
                RpcError::DeserError { err: de::Error::custom(err), text: text.clone() }
            }
            RpcError::Transport(kind) => RpcError::Transport(self.kind(kind)),
        }
    }

    fn kind(&self, kind: &TransportErrorKind) -> TransportErrorKind {
        use TransportErrorKind as Kind;
        match kind {
            Kind::MissingBatchResponse(id) => Kind::MissingBatchResponse(id.clone()),
            Kind::BackendGone => Kind::BackendGone,
            Kind::PubsubUnavailable => Kind::PubsubUnavailable,
            Kind::HttpError(error) => Kind::HttpError(copy(error)),
            Kind::HttpErrorWithRetryAfter { error, retry_after } => {
                Kind::HttpErrorWithRetryAfter { error: copy(error), retry_after: *retry_after }
            }
            Kind::NonRetryable(_) => Kind::NonRetryable(Box::new(self.clone())),
            _ => Kind::Custom(Box::new(self.clone())),
        }
    }

    /// What the error is about, if it is a box around something.
    fn boxed(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.0 {
            RpcError::LocalUsageError(error)
            | RpcError::Transport(
                TransportErrorKind::Custom(error) | TransportErrorKind::NonRetryable(error),
            ) => Some(&**error),
            _ => None,
        }
    }
}

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.boxed() {
            Some(error) => fmt::Display::fmt(error, f),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl Error for SharedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.boxed().unwrap_or(&*self.0))
    }
}

fn copy(error: &HttpError) -> HttpError {
    HttpError { status: error.status, body: error.body.clone() }
}
