//! What must not be repeated, and how it is taken out of a text.

use crate::plain::Plain;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::borrow::Cow;
use url::Url;

const REDACTED: &str = "[redacted]";
/// How much of a body stands in an error.
const EXCERPT: usize = 1024;
/// Nothing shorter is a key.
const SHORTEST: usize = 4;
/// Anything shorter is only replaced where it stands alone.
const LONG: usize = 8;
/// How many bytes one byte of a secret may have in escapes of escapes.
const ESCAPE: usize = 16;

/// Headers whose values tell nothing.
const PUBLIC_HEADERS: [HeaderName; 6] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::ORIGIN,
    header::USER_AGENT,
];

/// What many URLs and headers have, and no key is made of. Redacting these would spoil texts that
/// the classifier reads.
#[rustfmt::skip]
const PUBLIC_WORDS: &[&str] = &[
    "api", "arbitrum", "archive", "avalanche", "avax", "base", "basic", "batch", "beacon", "bearer",
    "besu", "blast", "block", "bnb", "bsc", "celo", "chain", "debug", "dev", "erigon", "eth", "ether",
    "ethereum", "evm", "execution", "ext", "false", "fantom", "free", "full", "gateway", "geth",
    "gnosis", "goerli", "holesky", "hoodi", "http", "https", "json", "jsonrpc", "key", "latest",
    "linea", "local", "main", "mainnet", "mantle", "matic", "nethermind", "network", "node", "nova",
    "one", "optimism", "opt", "polygon", "private", "project", "proxy", "public", "reth", "rpc",
    "scroll", "sepolia", "server", "test", "testnet", "token", "trace", "true", "web3", "zkevm",
    "zksync",
];

/// What must not be repeated: of the URL its path segments, query values and userinfo, and the
/// values of headers.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<Vec<u8>>);

impl Secrets {
    pub(crate) fn of_url(url: &Url) -> Self {
        let mut secrets = Self::default();
        url.path_segments().into_iter().flatten().for_each(|segment| secrets.add(segment));
        for pair in url.query().into_iter().flat_map(|query| query.split('&')) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            secrets.add(if value.is_empty() { name } else { value });
        }
        secrets.add(url.username());
        secrets.add(url.password().unwrap_or_default());
        secrets
    }

    pub(crate) fn add_header(&mut self, name: &HeaderName, value: &HeaderValue) {
        if PUBLIC_HEADERS.contains(name) {
            return;
        }
        for word in String::from_utf8_lossy(value.as_bytes()).split_whitespace() {
            self.add(word);
            word.split([',', ';', '"', '=']).for_each(|part| self.add(part));
        }
    }

    /// These and what a call's own headers hold.
    pub(crate) fn with_headers(&self, headers: &HeaderMap) -> Cow<'_, Self> {
        let mut all = Cow::Borrowed(self);
        headers.iter().for_each(|(name, value)| all.to_mut().add_header(name, value));
        all
    }

    fn add(&mut self, text: &str) {
        let plain = Plain::of(text).bytes;
        if plain.len() >= SHORTEST && !is_public(&plain) && !self.0.contains(&plain) {
            self.0.push(plain);
        }
    }

    /// The text without the secrets.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.redact_until(text, text.len())
    }

    /// The beginning of a body, without the secrets.
    pub(crate) fn excerpt(&self, body: &[u8]) -> String {
        let longest = self.0.iter().map(Vec::len).max().unwrap_or(0);
        // A secret that begins in the excerpt must be seen to its end.
        let window = body.len().min(EXCERPT + ESCAPE * longest);
        let text = String::from_utf8_lossy(&body[..window]);
        self.redact_until(&text, EXCERPT).into_owned()
    }

    fn redact_until<'a>(&self, text: &'a str, until: usize) -> Cow<'a, str> {
        let until = text.floor_char_boundary(until);
        if self.0.is_empty() {
            return Cow::Borrowed(&text[..until]);
        }
        let plain = Plain::of(text);
        let (mut clean, mut copied, mut index) = (String::new(), 0, 0);
        while index < plain.bytes.len() && plain.place(index) < until {
            let Some(length) = self.length_at(&plain.bytes, index) else {
                index += 1;
                continue;
            };
            // A secret may begin or end inside a character that it only shares bytes with.
            let start = text.floor_char_boundary(plain.place(index)).max(copied);
            clean.push_str(&text[copied..start]);
            clean.push_str(REDACTED);
            index += length;
            copied = text.ceil_char_boundary(plain.place(index));
        }
        if clean.is_empty() {
            return Cow::Borrowed(&text[..until]);
        }
        clean.push_str(text.get(copied..until).unwrap_or_default());
        Cow::Owned(clean)
    }

    /// The length of the longest secret that begins here.
    fn length_at(&self, text: &[u8], index: usize) -> Option<usize> {
        let here = self.0.iter().filter(|secret| text[index..].starts_with(secret));
        here.map(Vec::len).filter(|length| *length >= LONG || alone(text, index, *length)).max()
    }
}

fn alone(text: &[u8], index: usize, length: usize) -> bool {
    let before = index.checked_sub(1).map(|index| text[index]);
    let after = text.get(index + length).copied();
    ![before, after].into_iter().flatten().any(|byte| byte.is_ascii_alphanumeric())
}

/// A version, a chain's number, or nothing but public words.
fn is_public(plain: &[u8]) -> bool {
    let mut words = plain.split(|byte| b"-_.".contains(byte));
    words.all(|word| {
        let digits = word.strip_prefix(b"v").unwrap_or(word);
        let number = word.len() < LONG && digits.iter().all(u8::is_ascii_digit);
        number || PUBLIC_WORDS.iter().any(|public| public.as_bytes() == word)
    })
}

#[cfg(test)]
#[path = "secrets/tests.rs"]
mod tests;
