use crate::{Endpoint, Role};
use alclad_core::EndpointId;
use alclad_http::HttpTransport;
use std::{fmt, str::FromStr, vec};
use thiserror::Error;
use url::{ParseError, Url};

/// The mark of the endpoint that is sent the transactions.
const MARK: &str = "mev+";

/// The endpoints of one line of configuration, as web3-ethereum-defi has it: URLs between blanks
/// or line breaks, the first of them the first in order.
///
/// `mev+https://..` marks the one endpoint that is sent the transactions, and asked nothing else;
/// then all others are [`Role::Read`] and are never sent one. Without a mark all are
/// [`Role::ReadWrite`]. Each is named by [`EndpointId::of_url`]; no URL is ever shown.
///
/// ```
/// use alclad_rotation::{Endpoints, Rotation};
///
/// let line = "mev+https://relay.example.org https://eth.example.org/v2/KEY http://localhost:8545";
/// let endpoints = line.parse::<Endpoints>()?;
/// assert_eq!((endpoints.readers(), endpoints.writers()), (2, 1));
/// let rotation = endpoints.into_iter().fold(Rotation::builder(), |builder, endpoint| {
///     builder.endpoint(endpoint)
/// });
/// assert_eq!(rotation.build().snapshot().len(), 3);
///
/// let error = "https://eth.example.org/v2/KEY eth.example.org/v2/KEY".parse::<Endpoints>();
/// let error = error.unwrap_err().to_string();
/// assert_eq!(error, "word 2 has no scheme: a URL begins with http:// or https://");
/// # Ok::<_, alclad_rotation::BadEndpoints>(())
/// ```
#[derive(Clone)]
pub struct Endpoints(Vec<Endpoint<HttpTransport>>);

// === impl Endpoints ===

impl Endpoints {
    /// How many of them answer calls; at least one.
    pub fn readers(&self) -> usize {
        self.0.iter().filter(|endpoint| endpoint.role() != Role::Write).count()
    }

    /// How many of them are sent transactions: the marked one, or, without a mark, all.
    pub fn writers(&self) -> usize {
        self.0.iter().filter(|endpoint| endpoint.role() != Role::Read).count()
    }
}

impl FromStr for Endpoints {
    type Err = BadEndpoints;

    fn from_str(line: &str) -> Result<Self, BadEndpoints> {
        let mut words = Vec::<Word>::new();
        for (index, text) in line.split_whitespace().enumerate() {
            let word = Word::read(index + 1, text)?;
            if let Some(first) = words.iter().find(|first| word.repeats(first)) {
                let (first, word, host) = (first.position, word.position, word.host());
                return Err(BadEndpoints::Duplicate { first, word, host });
            }
            words.push(word);
        }
        if words.is_empty() {
            return Err(BadEndpoints::Empty);
        }
        let mut marked = words.iter().filter(|word| word.marked);
        let (first, second) = (marked.next(), marked.next());
        if let (Some(first), Some(second)) = (first, second) {
            let (first, word, host) = (first.position, second.position, second.host());
            return Err(BadEndpoints::SeveralWriters { first, word, host });
        }
        if let (Some(writer), 1) = (first, words.len()) {
            return Err(BadEndpoints::NoReader { word: writer.position, host: writer.host() });
        }
        let has_writer = first.is_some();
        Ok(Self(words.into_iter().map(|word| word.into_endpoint(has_writer)).collect()))
    }
}

impl IntoIterator for Endpoints {
    type Item = Endpoint<HttpTransport>;
    type IntoIter = vec::IntoIter<Endpoint<HttpTransport>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The names, between blanks.
impl fmt::Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, endpoint) in self.0.iter().enumerate() {
            let blank = if index == 0 { "" } else { " " };
            let mark = if endpoint.role() == Role::Write { MARK } else { "" };
            write!(f, "{blank}{mark}{}", endpoint.id())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

/// One word of the line.
struct Word {
    position: usize,
    url: Url,
    marked: bool,
}

impl Word {
    fn read(position: usize, text: &str) -> Result<Self, BadEndpoints> {
        let mark = text.get(..MARK.len()).filter(|start| start.eq_ignore_ascii_case(MARK));
        let text = &text[mark.map_or(0, str::len)..];
        let unreadable = |problem| match problem {
            ParseError::RelativeUrlWithoutBase => BadEndpoints::NoScheme { word: position },
            problem => BadEndpoints::Unreadable { word: position, problem },
        };
        let parts = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme));
        let Some((_, rest)) = parts else {
            return Err(BadEndpoints::NoScheme { word: position });
        };
        // The parser would take what follows the further slashes, perhaps a key, for the host.
        if rest.starts_with(['/', '\\']) {
            return Err(unreadable(ParseError::EmptyHost));
        }
        let mut url = Url::parse(text).map_err(unreadable)?;
        url.set_fragment(None);
        let word = Self { position, url, marked: mark.is_some() };
        match word.url.scheme() {
            "http" | "https" => Ok(word),
            _ => Err(BadEndpoints::NotHttp { word: position, host: word.host() }),
        }
    }

    /// The same endpoint may be read from and, marked, be sent the transactions.
    fn repeats(&self, other: &Self) -> bool {
        self.url == other.url && self.marked == other.marked
    }

    fn host(&self) -> Option<String> {
        self.url.host_str().filter(|host| !host.is_empty()).map(str::to_owned)
    }

    fn into_endpoint(self, has_writer: bool) -> Endpoint<HttpTransport> {
        let role = match (self.marked, has_writer) {
            (true, _) => Role::Write,
            (false, true) => Role::Read,
            (false, false) => Role::ReadWrite,
        };
        Endpoint::http(EndpointId::of_url(&self.url), self.url).with_role(role)
    }
}

/// Whether it is, and not perhaps a key before a later `://`: of `https:KEY/?at=https://` the parser
/// would take the key for the host.
fn is_scheme(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// What is wrong with a line of endpoints.
///
/// It names a word by its position, from 1, and its host if it has one: nothing else of the word,
/// which may hold a key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadEndpoints {
    /// There is no URL.
    #[error("there is no URL of an endpoint")]
    Empty,
    /// A word has no scheme.
    #[error("word {word} has no scheme: a URL begins with http:// or https://")]
    NoScheme {
        /// Its position.
        word: usize,
    },
    /// A word is not a URL.
    #[error("word {word} does not parse: {problem}")]
    Unreadable {
        /// Its position.
        word: usize,
        /// What the parser says.
        problem: ParseError,
    },
    /// A word is a URL of something else.
    #[error("word {word}{} is not an HTTP URL: that begins with http:// or https://", at(host))]
    NotHttp {
        /// Its position.
        word: usize,
        /// Its host.
        host: Option<String>,
    },
    /// A URL stands there twice.
    #[error("word {word}{} repeats word {first}", at(host))]
    Duplicate {
        /// The position of the first.
        first: usize,
        /// The position of the second.
        word: usize,
        /// Their host.
        host: Option<String>,
    },
    /// More than one URL is marked with `mev+`.
    #[error("word {word}{} is marked mev+, and word {first} too: only one can be", at(host))]
    SeveralWriters {
        /// The position of the first.
        first: usize,
        /// The position of the second.
        word: usize,
        /// The host of the second.
        host: Option<String>,
    },
    /// The only URL is marked with `mev+`.
    #[error("word {word}{} is marked mev+, and there is no other to be read from", at(host))]
    NoReader {
        /// Its position.
        word: usize,
        /// Its host.
        host: Option<String>,
    },
}

fn at(host: &Option<String>) -> String {
    host.as_ref().map_or_else(String::new, |host| format!(" ({host})"))
}

#[cfg(test)]
mod tests;
