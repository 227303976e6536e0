//! What `gateway.toml` may say. Errors name the line, and repeat no value: it may be a key.

use alclad::{RateLimitLayer, Role, rate_limit::CostTable};
use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use std::{
    collections::{BTreeMap, HashSet},
    env, fmt, fs,
    net::SocketAddr,
    num::NonZeroU32,
    path::Path,
    str::FromStr,
};
use toml::Spanned;
use url::Url;

/// All of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The chain that every endpoint has to serve; by default that of the first that answers.
    pub chain_id: Option<u64>,
    /// Where clients come in.
    pub server: Server,
    /// Which endpoint is asked.
    pub routing: Routing,
    /// What is kept.
    pub cache: Cache,
    #[serde(rename = "endpoint")]
    endpoints: Vec<Spanned<Upstream>>,
}

/// Where clients come in, and what they may ask for.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// The public port.
    #[serde(deserialize_with = "expanded")]
    pub listen: SocketAddr,
    /// The admin port.
    #[serde(deserialize_with = "expanded")]
    pub admin_listen: SocketAddr,
    /// The origin that browsers may call from; `*` is any.
    #[serde(deserialize_with = "expanded")]
    pub cors_origin: String,
    /// The largest body.
    pub max_body_bytes: usize,
    /// The largest batch.
    pub max_batch: usize,
    /// How deep a body may be nested.
    pub max_depth: usize,
    /// How long a client may take for the headers of a request, or its body; a connection rests no
    /// longer either.
    pub read_timeout_ms: u64,
    /// How long calls may take to end when the gateway stops.
    pub drain_ms: u64,
}

/// Which endpoint is asked, and how often.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Routing {
    /// Which one of a tier.
    pub strategy: Strategy,
    /// How often a call is asked in all.
    pub attempts: u32,
    /// How long one attempt may take.
    pub timeout_ms: u64,
    /// How long one attempt of these methods may take.
    pub method_timeouts_ms: BTreeMap<String, u64>,
    /// Whether a second endpoint is asked when the first is late.
    pub hedging: bool,
    /// The time between two blocks; by default it is learnt.
    pub block_time_ms: Option<u64>,
}

/// How an endpoint is chosen within a tier.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The least latency times calls in flight.
    LeastLatency,
    /// Turns, by weight.
    Weighted,
    /// The first that is healthy.
    Ordered,
}

/// What is kept.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// How much.
    pub max_bytes: u64,
    /// If set, `latest` is read as the newest block that was seen at most so long ago.
    pub pin_latest_ms: Option<u64>,
}

/// One endpoint.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Its name in everything that is shown.
    #[serde(deserialize_with = "expanded")]
    pub id: String,
    /// Its URL, of which only the host is shown.
    #[serde(deserialize_with = "expanded_url")]
    pub url: Url,
    /// Lower ones are asked first.
    #[serde(default)]
    pub tier: u8,
    /// Its share of the calls.
    #[serde(default = "one")]
    pub weight: NonZeroU32,
    /// What it is asked.
    #[serde(default)]
    pub role: Role,
    /// What it allows us.
    pub limit: Option<Limit>,
}

/// What an endpoint allows.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    per_second: NonZeroU32,
    burst: Option<NonZeroU32>,
    #[serde(default)]
    costs: Costs,
}

/// What a request costs.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Costs {
    #[default]
    One,
    Alchemy,
    Drpc,
    Infura,
}

impl Config {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Reads a text.
    pub fn parse(text: &str) -> Result<Self> {
        let line = |at: usize| text[..at].matches('\n').count() + 1;
        let config: Self = toml::from_str(text).map_err(|error| {
            let line = line(error.span().unwrap_or_default().start);
            anyhow!("line {line}: {}", without_values(error.message()))
        })?;
        let mut ids = HashSet::new();
        for endpoint in &config.endpoints {
            let (id, line) = (&endpoint.get_ref().id, line(endpoint.span().start));
            if !ids.insert(id) {
                bail!("line {line}: the id `{id}` is taken by an endpoint above");
            }
        }
        Ok(config)
    }

    /// The endpoints.
    pub fn endpoints(&self) -> impl Iterator<Item = &Upstream> {
        self.endpoints.iter().map(Spanned::get_ref)
    }

    /// Adds an endpoint.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: Upstream) -> Self {
        self.endpoints.push(Spanned::new(0..0, endpoint));
        self
    }
}

impl Upstream {
    /// An endpoint of which nothing else is known.
    pub fn new(id: impl Into<String>, url: Url) -> Self {
        Self { id: id.into(), url, tier: 0, weight: one(), role: Role::default(), limit: None }
    }

    /// The URL without its path, its query and its credentials.
    pub fn masked_url(&self) -> String {
        let origin = self.url.origin().ascii_serialization();
        if self.url.path() == "/" { origin } else { origin + "/***" }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Limit {
    /// The layer that keeps to it.
    pub fn layer(self) -> RateLimitLayer {
        let table = match self.costs {
            Costs::One => None,
            Costs::Alchemy => Some(CostTable::alchemy()),
            Costs::Drpc => Some(CostTable::drpc()),
            Costs::Infura => Some(CostTable::infura()),
        };
        let layer = match table {
            None => RateLimitLayer::per_second(self.per_second),
            Some(table) => RateLimitLayer::compute_units(self.per_second, table),
        };
        self.burst.into_iter().fold(layer, RateLimitLayer::with_burst)
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8080).into(),
            admin_listen: ([127, 0, 0, 1], 8081).into(),
            cors_origin: env::var("CORS_ORIGIN").unwrap_or_else(|_| "*".into()),
            max_body_bytes: 5 << 20,
            max_batch: 1000,
            max_depth: 64,
            read_timeout_ms: 30_000,
            drain_ms: 10_000,
        }
    }
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            strategy: Strategy::LeastLatency,
            attempts: 5,
            timeout_ms: 10_000,
            method_timeouts_ms: BTreeMap::new(),
            hedging: true,
            block_time_ms: None,
        }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, pin_latest_ms: None }
    }
}

const fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// A text in which `${NAME}` stands for a variable of the environment.
fn expanded<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = expand(&String::deserialize(deserializer)?).map_err(Error::custom)?;
    text.parse().map_err(Error::custom)
}

fn expanded_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text: String = expanded(deserializer)?;
    http_url(&text).map_err(Error::custom)
}

/// A URL of HTTP.
pub fn http_url(text: &str) -> Result<Url> {
    let url = Url::parse(text)?;
    let is_http = matches!(url.scheme(), "http" | "https");
    is_http.then_some(url).context("a URL begins with http:// or https://")
}

fn expand(text: &str) -> Result<String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').context("`${` without `}`")?;
        let value = env::var(name).map_err(|_| anyhow!("the variable {name} is not set"))?;
        out = out + before + &value;
        rest = after;
    }
    Ok(out + rest)
}

/// The parser repeats the text that stands where it wants something else.
pub fn without_values(message: &str) -> String {
    match (message.find("string \""), message.rfind('"')) {
        (Some(from), Some(to)) => format!("{}a string{}", &message[..from], &message[to + 1..]),
        _ => message.to_owned(),
    }
}
