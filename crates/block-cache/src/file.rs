//! Final answers, as they lie in a file.
//!
//! One line of JSON says of which chain they are and how many, then there is a line for each, and
//! the last is the Keccak-256 hash of all before.

use crate::{
    Age, Keep,
    entry::{Bond, Entry},
    question::{Key, text_of, with_chain},
    verdict::Verdict,
};
use alclad_core::Method;
use alloy_primitives::{B256, Keccak256};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
    sync::Arc,
};
use thiserror::Error;

/// What stands in the first line; another version is another form.
const FORM: &str = "alclad block cache, version 1";

/// Why a file was not written, or nothing of it was taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// It could not be read or written.
    #[error("the cache's file cannot be read or written; look at its path and its permissions")]
    Io(#[from] io::Error),
    /// It is not what was saved: cut short, changed, or another file.
    #[error("this is not a file that was saved by the cache, or not all of it; delete it")]
    Altered,
    /// It was saved for another chain.
    #[error(
        "the cache's file is of chain {found}, not of {expected}; give each chain its own file"
    )]
    #[non_exhaustive]
    OtherChain {
        /// The chain whose answers were asked for.
        expected: u64,
        /// The file's.
        found: u64,
    },
}

#[derive(Serialize, Deserialize)]
struct Head {
    form: String,
    chain_id: u64,
}

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    /// Nothing for what is the same for ever, and the highest block for all else.
    block: Option<u64>,
    from: Option<u64>,
    method: String,
    key: String,
    #[serde(borrow)]
    answer: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
struct Foot {
    count: usize,
    keccak256: B256,
}

pub(crate) fn save(
    path: &Path,
    chain_id: u64,
    all: impl Iterator<Item = Arc<Entry>>,
) -> Result<usize, FileError> {
    let beside = path.with_added_extension("new");
    let mut writer = Hashing { to: BufWriter::new(File::create(&beside)?), hash: Keccak256::new() };
    writer.line(&Head { form: FORM.to_owned(), chain_id })?;
    let mut count = 0;
    // A file knows no time: what is kept for a while only is not for it.
    for entry in all {
        let Some(key) = text_of(&entry.key) else { continue };
        let (method, block) = (entry.method.name.to_owned(), entry.bond.number());
        let answer = &*in_one_line(&entry.answer)?;
        writer.line(&Line { block, from: entry.from, method, key: key.to_owned(), answer })?;
        count += 1;
    }
    let keccak256 = writer.hash.clone().finalize();
    writer.line(&Foot { count, keccak256 })?;
    writer.to.into_inner().map_err(|error| error.into_error())?.sync_all()?;
    fs::rename(beside, path)?;
    Ok(count)
}

/// Line breaks stand between values only: in a string they are written as escapes.
fn in_one_line(answer: &RawValue) -> io::Result<Cow<'_, RawValue>> {
    if !answer.get().contains(['\n', '\r']) {
        return Ok(Cow::Borrowed(answer));
    }
    Ok(Cow::Owned(RawValue::from_string(answer.get().replace(['\n', '\r'], " "))?))
}

pub(crate) fn load(path: &Path, chain_id: u64) -> Result<Vec<Entry>, FileError> {
    let bytes = fs::read(path)?;
    let text = str::from_utf8(&bytes).map_err(|_| FileError::Altered)?;
    let text = text.strip_suffix('\n').ok_or(FileError::Altered)?;
    let (content, last) = text.rsplit_once('\n').ok_or(FileError::Altered)?;
    let foot: Foot = read(last)?;
    let mut hash = Keccak256::new();
    hash.update(content);
    hash.update("\n");
    let mut lines = content.split('\n');
    let head: Head = read(lines.next().unwrap_or_default())?;
    if head.form != FORM || hash.finalize() != foot.keccak256 {
        return Err(FileError::Altered);
    }
    if head.chain_id != chain_id {
        return Err(FileError::OtherChain { expected: chain_id, found: head.chain_id });
    }
    let all: Vec<_> = lines.map(|line| entry(line, chain_id)).collect::<Result<_, _>>()?;
    let is_as_written = serde_json::to_string(&foot).is_ok_and(|foot| foot == last);
    if all.len() == foot.count && is_as_written { Ok(all) } else { Err(FileError::Altered) }
}

fn entry(line: &str, chain_id: u64) -> Result<Entry, FileError> {
    let Line { block, from, method, key, answer } = read(line)?;
    let bond = block.map_or(Bond::Constant, Bond::Final);
    let key = Key::from(&*with_chain(chain_id, &key));
    let verdict = Verdict { bond, age: Age::Final, from };
    let lifetimes = [Keep::UntilEvicted; 2];
    Ok(Entry::new(key, answer.to_owned(), Method::of(&method), verdict, lifetimes, None))
}

fn read<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, FileError> {
    serde_json::from_str(line).map_err(|_| FileError::Altered)
}

/// Writes, and hashes what it writes.
struct Hashing {
    to: BufWriter<File>,
    hash: Keccak256,
}

impl Hashing {
    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.hash.update(&text);
        self.to.write_all(&text)
    }
}
