//! `gateway.toml`, of which the README is the reference. An error names the line and repeats no
//! value, which may be a key.

use alclad::{HttpTransport, RateLimitLayer, Role, http::RpcServer, rate_limit::CostTable};
use anyhow::{Context, Result, anyhow, ensure};
use axum::http::HeaderValue;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use std::{env, fmt, fs, net::SocketAddr, num::NonZeroU32, path::Path, str::FromStr};
use toml::Spanned;

/// What a gateway is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub(crate) listen: Text<SocketAddr>,
    pub(crate) admin_listen: Text<SocketAddr>,
    pub(crate) cors_origin: Text<HeaderValue>,
    pub(crate) max_body_bytes: usize,
    pub(crate) max_batch: usize,
    pub(crate) max_connections: usize,
    pub(crate) read_timeout_ms: u64,
    pub(crate) drain_ms: u64,
    pub(crate) chain_id: Option<u64>,
    pub(crate) strategy: Strategy,
    pub(crate) attempts: u32,
    pub(crate) timeout_ms: u64,
    pub(crate) method_timeouts_ms: BTreeMap<String, u64>,
    pub(crate) cache_bytes: u64,
    pub(crate) pin_latest_ms: Option<u64>,
    #[serde(rename = "endpoint")]
    endpoints: Vec<Spanned<Upstream>>,
}

impl Default for Config {
    fn default() -> Self {
        // What is no origin allows none.
        let origin = env::var("CORS_ORIGIN").unwrap_or_else(|_| "*".into()).parse();
        Self {
            listen: Text(([127, 0, 0, 1], 8080).into()),
            admin_listen: Text(([127, 0, 0, 1], 8081).into()),
            cors_origin: Text(origin.unwrap_or(HeaderValue::from_static("null"))),
            max_body_bytes: 5 << 20,
            max_batch: 1000,
            max_connections: 512,
            read_timeout_ms: 30_000,
            drain_ms: 10_000,
            chain_id: None,
            strategy: Strategy::LeastLatency,
            attempts: 5,
            timeout_ms: 10_000,
            method_timeouts_ms: BTreeMap::new(),
            cache_bytes: 64 << 20,
            pin_latest_ms: None,
            endpoints: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Strategy {
    LeastLatency,
    Weighted,
    Ordered,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    pub(crate) id: Text<String>,
    pub(crate) url: Text<HttpTransport>,
    #[serde(default)]
    pub(crate) tier: u8,
    pub(crate) weight: Option<NonZeroU32>,
    #[serde(default)]
    pub(crate) role: Role,
    pub(crate) limit: Option<Limit>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    per_second: NonZeroU32,
    burst: Option<NonZeroU32>,
    costs: Option<Text<CostTable>>,
}

impl Limit {
    pub(crate) fn layer(&self) -> RateLimitLayer {
        let layer = match &self.costs {
            Some(Text(table)) => RateLimitLayer::compute_units(self.per_second, table.clone()),
            None => RateLimitLayer::per_second(self.per_second),
        };
        self.burst.into_iter().fold(layer, RateLimitLayer::with_burst)
    }
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
        ensure!(!config.endpoints.is_empty(), "there is no [[endpoint]]");
        let mut ids = HashSet::new();
        for endpoint in &config.endpoints {
            let (Text(id), line) = (&endpoint.get_ref().id, line(endpoint.span().start));
            ensure!(!id.is_empty(), "line {line}: the id is empty");
            ensure!(ids.insert(id), "line {line}: an endpoint above has the id `{id}`");
        }
        Ok(config)
    }

    /// How long the slowest method may take.
    pub(crate) fn longest(&self) -> Duration {
        let longest = self.method_timeouts_ms.values().chain([&self.timeout_ms]).max();
        longest.copied().map_or(Duration::ZERO, Duration::from_millis)
    }

    /// Reads and answers calls.
    pub(crate) const fn server(&self) -> RpcServer {
        RpcServer::new()
            .with_max_body(self.max_body_bytes)
            .with_max_batch(self.max_batch)
            .with_read_timeout(Duration::from_millis(self.read_timeout_ms))
    }

    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &Upstream> {
        self.endpoints.iter().map(Spanned::get_ref)
    }
}

/// A text in which `${NAME}` stands for a variable of the environment.
#[derive(Clone, Debug)]
pub(crate) struct Text<T>(pub(crate) T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = expand(&String::deserialize(deserializer)?).map_err(Error::custom)?;
        text.parse().map(Self).map_err(Error::custom)
    }
}

fn expand(text: &str) -> Result<String> {
    let Some((before, after)) = text.split_once("${") else { return Ok(text.to_owned()) };
    let (name, after) = after.split_once('}').context("`${` without `}`")?;
    let value = env::var(name).map_err(|_| anyhow!("the variable {name} is not set"))?;
    Ok(before.to_owned() + &value + &expand(after)?)
}

/// Parsers repeat the text that they found where they wanted something else.
pub(crate) fn without_values(message: &str) -> String {
    for (from, to) in [("string \"", "\", expected"), ("unknown variant `", "`, expected")] {
        if let Some((before, rest)) = message.split_once(from)
            && let Some((_, after)) = rest.rsplit_once(to)
        {
            return format!("{before}a text, expected{after}");
        }
    }
    message.to_owned()
}
