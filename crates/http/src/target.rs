//! The URL of an endpoint: read from a text, and freed of its credentials.

use alclad_core::EndpointId;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use thiserror::Error;
use url::{ParseError, Url};

/// A text is not the URL of an HTTP endpoint. Nothing of the text is in the error.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the URL of endpoint {endpoint} {problem}")]
#[non_exhaustive]
pub struct BadUrl {
    /// Whose URL it was to be.
    pub endpoint: EndpointId,
    /// What is wrong with it.
    pub problem: UrlProblem,
}

/// What is wrong with the URL of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlProblem {
    /// It is not a URL.
    #[error("does not parse: {0}")]
    Unreadable(ParseError),
    /// It is a URL of something else.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// It names no host.
    #[error("has no host")]
    NoHost,
}

pub(crate) fn parse(text: &str) -> Result<Url, UrlProblem> {
    let url = Url::parse(text).map_err(|error| match error {
        ParseError::EmptyHost => UrlProblem::NoHost,
        other => UrlProblem::Unreadable(other),
    })?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(UrlProblem::Scheme),
    }
}

/// Moves the userinfo out of the URL into the header that it stands for.
pub(crate) fn take_credentials(url: &mut Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair = percent_decode_str(url.username()).collect::<Vec<_>>();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    // A URL that has userinfo can be freed of it.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let mut header = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn userinfo_becomes_a_header() {
        let mut url = "https://us%40er:pass@example.org/rpc".parse().unwrap();
        let header = take_credentials(&mut url).unwrap();
        assert_eq!(header, "Basic dXNAZXI6cGFzcw==");
        assert!(header.is_sensitive());
        assert_eq!(url.as_str(), "https://example.org/rpc");
        assert_eq!(take_credentials(&mut url), None);
    }

    #[test]
    fn says_what_is_wrong_with_a_url() {
        assert_eq!(parse("https://"), Err(UrlProblem::NoHost));
        assert_eq!(parse("wss://example.org"), Err(UrlProblem::Scheme));
        assert_eq!(parse("localhost:8545"), Err(UrlProblem::Scheme));
        let relative = UrlProblem::Unreadable(ParseError::RelativeUrlWithoutBase);
        assert_eq!(parse("example.org/rpc"), Err(relative));
        assert!(parse(" http://localhost:8545\n").is_ok());
    }
}
