//! `gateway.toml`, of which the README is the reference. An error names the line and repeats no
//! value, which may be a key.

use alclad::{HttpTransport, RateLimitLayer, Role, http::RpcServer, rate_limit::CostTable};
use anyhow::{Context, Result, anyhow, ensure};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use std::{
    collections::{BTreeMap, HashSet},
    env, fmt, fs,
    net::SocketAddr,
    num::NonZeroU32,
    path::Path,
    str::FromStr,
    time::Duration,
};
use toml::Spanned;

/// What a gateway is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    #[serde(deserialize_with = "expanded")]
    pub(crate) listen: SocketAddr,
    #[serde(deserialize_with = "expanded")]
    pub(crate) admin_listen: SocketAddr,
    #[serde(deserialize_with = "expanded")]
    pub(crate) cors_origin: String,
    pub(crate) max_body_bytes: usize,
    pub(crate) max_batch: usize,
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
        Self {
            listen: ([127, 0, 0, 1], 8080).into(),
            admin_listen: ([127, 0, 0, 1], 8081).into(),
            cors_origin: env::var("CORS_ORIGIN").unwrap_or_else(|_| "*".into()),
            max_body_bytes: 5 << 20,
            max_batch: 1000,
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
    #[serde(deserialize_with = "expanded")]
    pub(crate) id: String,
    #[serde(deserialize_with = "expanded")]
    pub(crate) url: HttpTransport,
    #[serde(default)]
    pub(crate) tier: u8,
    #[serde(default = "one")]
    pub(crate) weight: NonZeroU32,
    #[serde(default)]
    pub(crate) role: Role,
    #[serde(default)]
    pub(crate) limit: Option<Limit>,
}

pub(crate) const fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    per_second: NonZeroU32,
    burst: Option<NonZeroU32>,
    costs: Option<Costs>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Costs {
    Alchemy,
    Drpc,
    Infura,
}

impl Limit {
    pub(crate) fn layer(self) -> RateLimitLayer {
        let units = |table| RateLimitLayer::compute_units(self.per_second, table);
        let layer = match self.costs {
            None => RateLimitLayer::per_second(self.per_second),
            Some(Costs::Alchemy) => units(CostTable::alchemy()),
            Some(Costs::Drpc) => units(CostTable::drpc()),
            Some(Costs::Infura) => units(CostTable::infura()),
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
            let (id, line) = (&endpoint.get_ref().id, line(endpoint.span().start));
            ensure!(ids.insert(id), "line {line}: an endpoint above has the id `{id}`");
        }
        Ok(config)
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
fn expanded<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = expand(&String::deserialize(deserializer)?).map_err(Error::custom)?;
    text.parse().map_err(Error::custom)
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
