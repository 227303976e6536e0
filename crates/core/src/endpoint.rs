//! The name of an endpoint: never its URL.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};
use url::Url;

/// The name under which an endpoint appears in errors, logs, metrics and snapshots.
///
/// It is a label that the user gave, or the URL's host with a short hash of the rest, so that two
/// URLs on one host are two endpoints and no key is ever shown.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(Arc<str>);

impl EndpointId {
    /// The endpoint with this label.
    pub fn new(label: impl Into<Arc<str>>) -> Self {
        Self(label.into())
    }

    /// The endpoint at this URL: its host, and a short hash of everything else.
    ///
    /// ```
    /// # use alclad_core::EndpointId;
    /// let id = EndpointId::of_url(&"https://eth.example.org/v2/secret".parse().unwrap());
    /// assert!(id.as_str().starts_with("eth.example.org-"));
    /// assert!(!id.as_str().contains("secret"));
    /// ```
    pub fn of_url(url: &Url) -> Self {
        let mut hasher = DefaultHasher::new();
        url.as_str().hash(&mut hasher);
        let host = url.host_str().unwrap_or("local");
        Self(format!("{host}-{:06x}", hasher.finish() & 0xff_ffff).into())
    }

    /// The label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for EndpointId {
    fn from(label: &str) -> Self {
        Self::new(label)
    }
}

impl From<String> for EndpointId {
    fn from(label: String) -> Self {
        Self::new(label)
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}
