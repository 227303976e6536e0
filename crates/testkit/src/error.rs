//! The error member of a JSON-RPC answer.

use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;

/// A JSON-RPC error object: what a node says in place of a result.
///
/// ```
/// use alclad_testkit::ErrorObject;
///
/// let limited = ErrorObject::new(-32005, "daily request count exceeded");
/// assert_eq!(limited.code, -32005);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("error code {code}: {message}")]
pub struct ErrorObject {
    /// The number that names the kind of error.
    pub code: i64,
    /// What went wrong, for people.
    pub message: Cow<'static, str>,
    /// More about it, such as the data of a revert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl ErrorObject {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// Adds data.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Value>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// Code 3, as a node reports a call that reverted with this data.
    pub fn reverted(data: &[u8]) -> Self {
        Self::new(3, "execution reverted").with_data(alloy_primitives::hex::encode_prefixed(data))
    }

    pub(crate) fn invalid_params(why: impl std::fmt::Display) -> Self {
        Self::new(-32602, why.to_string())
    }

    pub(crate) fn method_not_found(method: &str) -> Self {
        Self::new(-32601, format!("the method {method} does not exist/is not available"))
    }

    pub(crate) const fn header_not_found() -> Self {
        Self { code: -32000, message: Cow::Borrowed("header not found"), data: None }
    }

    pub(crate) fn server(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(-32000, message)
    }
}
