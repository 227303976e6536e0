use crate::{
    ask::ask,
    link::Link,
    secrets::Secrets,
    target::{self, BadUrl, UrlProblem},
};
use alclad_core::EndpointId;
use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{
    BoxTransport, TransportConnect, TransportError, TransportFut, utils::guess_local_url,
};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE, InvalidHeaderValue},
};
use std::{
    fmt,
    str::FromStr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::Service;
use tracing::Instrument;
use url::Url;

const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_BODY: usize = 32 << 20;

/// An HTTP transport that keeps what an answer says and shows no key.
///
/// A clone shares everything, the connection pool included, and costs one reference count. See
/// the [crate's documentation](crate) for its defaults and for what it redacts.
#[derive(Clone)]
pub struct HttpTransport {
    settings: Arc<Settings>,
}

/// What the clones of a transport share.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) endpoint: EndpointId,
    /// Without userinfo: that has become a header.
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) secrets: Secrets,
    pub(crate) link: Link,
    pub(crate) timeout: Duration,
    pub(crate) max_body: usize,
}

// === impl HttpTransport ===

impl HttpTransport {
    /// The endpoint at this URL, under the name that [`EndpointId::of_url`] gives it.
    pub fn new(url: Url) -> Self {
        Self::named(EndpointId::of_url(&url), url)
    }

    /// The endpoint at this URL, under a name of your own.
    ///
    /// The name is shown in errors and logs, the URL never is.
    pub fn named(endpoint: impl Into<EndpointId>, mut url: Url) -> Self {
        let mut secrets = Secrets::of_url(&url);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(credentials) = target::take_credentials(&mut url) {
            secrets.add_header(&AUTHORIZATION, &credentials);
            headers.insert(AUTHORIZATION, credentials);
        }
        let settings = Settings {
            endpoint: endpoint.into(),
            url,
            headers,
            secrets,
            link: Link::default(),
            timeout: TIMEOUT,
            max_body: MAX_BODY,
        };
        Self { settings: Arc::new(settings) }
    }

    /// The endpoint at the URL in this text, under a name of your own.
    ///
    /// # Errors
    ///
    /// [`BadUrl`] if the text is not an HTTP URL. It names the endpoint and repeats nothing of
    /// the text, which may hold a key.
    pub fn parse(endpoint: impl Into<EndpointId>, url: &str) -> Result<Self, BadUrl> {
        let endpoint = endpoint.into();
        match url.parse::<Self>() {
            Ok(transport) => Ok(transport.with_name(endpoint)),
            Err(problem) => Err(BadUrl { endpoint, problem }),
        }
    }

    /// Under this name, which is shown in errors and logs.
    #[must_use]
    pub fn with_name(mut self, endpoint: impl Into<EndpointId>) -> Self {
        self.settings_mut().endpoint = endpoint.into();
        self
    }

    /// Sends this header with every request. Its value is treated as a secret.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        let settings = self.settings_mut();
        settings.secrets.add_header(&name, &value);
        settings.headers.insert(name, value);
        self
    }

    /// Sends `Authorization: Bearer` with this token, which may end in a newline.
    ///
    /// # Errors
    ///
    /// If the token has characters that no header can carry. The error does not repeat it.
    pub fn with_bearer(self, token: &str) -> Result<Self, InvalidHeaderValue> {
        let value = HeaderValue::try_from(format!("Bearer {}", token.trim()))?;
        Ok(self.with_header(AUTHORIZATION, value))
    }

    /// A call has this long, from its first byte to the last of its answer.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.settings_mut().timeout = timeout;
        self
    }

    /// A connection has this long to be made, TLS included. A client of your own keeps its own.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings_mut().link.set_connect_timeout(timeout);
        self
    }

    /// An answer may be this long, after decompression.
    #[must_use]
    pub fn with_max_body(mut self, bytes: usize) -> Self {
        self.settings_mut().max_body = bytes;
        self
    }

    /// Uses a client of your own: its proxies, certificates, pool and redirects.
    ///
    /// Header values that it adds by itself are not known here and so not redacted.
    #[must_use]
    pub fn with_client(mut self, client: reqwest::Client) -> Self {
        self.settings_mut().link = Link::Given(client);
        self
    }

    /// The name under which it appears in errors and logs.
    pub fn endpoint(&self) -> &EndpointId {
        &self.settings.endpoint
    }

    /// Scheme, host and port, and nothing of the URL that could be a key.
    pub fn origin(&self) -> String {
        self.settings.url.origin().ascii_serialization()
    }

    /// Whether the URL looks local; alloy polls a local node more often.
    pub fn guess_local(&self) -> bool {
        guess_local_url(&self.settings.url)
    }

    fn settings_mut(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }
}

impl From<Url> for HttpTransport {
    fn from(url: Url) -> Self {
        Self::new(url)
    }
}

impl FromStr for HttpTransport {
    type Err = UrlProblem;

    fn from_str(url: &str) -> Result<Self, UrlProblem> {
        target::parse(url).map(Self::new)
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("endpoint", &self.settings.endpoint)
            .field("timeout", &self.settings.timeout)
            .field("max_body", &self.settings.max_body)
            .finish_non_exhaustive()
    }
}

impl Service<RequestPacket> for HttpTransport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let settings = Arc::clone(&self.settings);
        let span = tracing::debug_span!("http", endpoint = %settings.endpoint);
        Box::pin(ask(settings, packet).instrument(span))
    }
}

impl TransportConnect for HttpTransport {
    fn is_local(&self) -> bool {
        self.guess_local()
    }

    async fn get_transport(&self) -> Result<BoxTransport, TransportError> {
        Ok(BoxTransport::new(self.clone()))
    }
}
