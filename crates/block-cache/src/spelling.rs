//! One spelling for all requests that ask the same.

use alclad_core::{BlockArgument, BlockRef, Method, Tag};
use smallvec::SmallVec;
use std::{cmp::Ordering, io::Write};

/// The bytes of a key; most requests fit without an allocation.
pub(crate) type Bytes = SmallVec<[u8; 256]>;

/// Fields of transaction objects and filters that hold a number, for which leading zeros mean
/// nothing. In all other fields they do.
const QUANTITIES: [&str; 11] = [
    "\"blobGasFee\"",
    "\"chainId\"",
    "\"fromBlock\"",
    "\"gas\"",
    "\"gasPrice\"",
    "\"maxFeePerBlobGas\"",
    "\"maxFeePerGas\"",
    "\"maxPriorityFeePerGas\"",
    "\"nonce\"",
    "\"toBlock\"",
    "\"value\"",
];

/// How the values of a place are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A number: without leading zeros.
    Quantity,
    /// An argument: its fields may be numbers.
    Argument,
    /// Something inside of it.
    Inner,
}

/// Writes the params as they stand in a key: hex in lower case, numbers without leading zeros,
/// keys in order, without `null` fields and omitted arguments, and with the block that is meant in
/// one form. Returns the block; nothing if the params cannot be read, or may be read in more than
/// one way.
///
/// `latest` is written as this height, if there is one.
pub(crate) fn write_params(
    out: &mut Bytes,
    method: &Method,
    params: &str,
    latest: Option<u64>,
) -> Option<BlockRef> {
    let mut arguments = match params {
        "" => SmallVec::new(),
        _ => items(params.strip_prefix('[')?.strip_suffix(']')?),
    };
    let at = method.block.index();
    while arguments.last().is_some_and(|last| is_omitted(last, at < Some(arguments.len() - 1))) {
        arguments.pop();
    }
    let named = at.and_then(|at| arguments.get(at).copied());
    let block = BlockRef::of_argument(method, named);
    // Whether the block is canonical is part of such an answer.
    let is_strict = |named: &str| named.contains("requireCanonical") && named.contains("true");
    if named.is_some_and(|named| named.contains('\\') || is_strict(named)) {
        return None;
    }
    let pinned = latest.filter(|_| block == BlockRef::Tag(Tag::Latest));
    if let (Some(_), Some(at)) = (pinned, at) {
        while arguments.len() <= at {
            arguments.push("null");
        }
    }
    out.push(b'[');
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match (Some(index) == at, block, pinned) {
            (true, _, Some(height)) => write!(out, "latest@{height:#x}").ok()?,
            (true, BlockRef::Number(_), _) if is_hex(argument) => {
                write_value(out, argument, Place::Quantity)?;
            }
            (true, BlockRef::Number(number), _) => write!(out, "\"{number:#x}\"").ok()?,
            (true, BlockRef::Hash(hash), _) if !is_filter(method) => {
                write!(out, "\"{hash:#x}\"").ok()?;
            }
            _ => write_value(out, argument, place(method, index))?,
        }
    }
    out.push(b']');
    Some(block)
}

/// Whether leaving this last argument out asks the same.
fn is_omitted(argument: &str, is_after_block: bool) -> bool {
    argument == "null" || (argument == "{}" && is_after_block)
}

fn is_hex(argument: &str) -> bool {
    argument.starts_with("\"0x")
}

const fn is_filter(method: &Method) -> bool {
    matches!(method.block, BlockArgument::FilterAt(_))
}

fn place(method: &Method, index: usize) -> Place {
    match (method.name, index) {
        ("eth_getStorageAt", 1) | ("eth_feeHistory", 0) => Place::Quantity,
        (name, 1) if name.ends_with("AndIndex") => Place::Quantity,
        _ => Place::Argument,
    }
}

fn write_value(out: &mut Bytes, json: &str, place: Place) -> Option<()> {
    match json.as_bytes() {
        [b'"', b'0', b'x', digits @ .., b'"'] if digits.iter().all(u8::is_ascii_hexdigit) => {
            let zeros = match place {
                Place::Quantity => digits.iter().take_while(|digit| **digit == b'0').count(),
                _ => 0,
            };
            // Zero has one digit.
            let digits = &digits[zeros.min(digits.len().saturating_sub(1))..];
            out.extend_from_slice(b"\"0x");
            let start = out.len();
            out.extend_from_slice(digits);
            out[start..].make_ascii_lowercase();
            out.push(b'"');
        }
        [b'[', content @ .., b']'] => {
            out.push(b'[');
            for (index, item) in items(&json[1..=content.len()]).into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(out, item, Place::Inner)?;
            }
            out.push(b']');
        }
        [b'{', content @ .., b'}'] => write_object(out, &json[1..=content.len()], place)?,
        other => out.extend_from_slice(other),
    }
    Some(())
}

fn write_object(out: &mut Bytes, content: &str, place: Place) -> Option<()> {
    let mut fields: SmallVec<[(&str, &str); 8]> =
        items(content).into_iter().map(field).collect::<Option<_>>()?;
    fields.sort_by(by_name);
    // Of two fields with one name nodes read the last, or the first, and those in Go take names in
    // any case for the same, some letters that are not ASCII included.
    let is_twice = |pair: &[(&str, &str)]| pair[0].0.eq_ignore_ascii_case(pair[1].0);
    let is_plain = |(key, _): &(&str, &str)| key.is_ascii() && !key.contains('\\');
    if fields.windows(2).any(is_twice) || !fields.iter().all(is_plain) {
        return None;
    }
    fields.retain(|(_, value)| *value != "null");
    if place == Place::Argument && fields.iter().all(|(key, _)| *key != "\"input\"") {
        // The older name of a call's input, which all nodes read.
        let data = fields.iter_mut().filter(|(key, _)| *key == "\"data\"");
        data.for_each(|(key, _)| *key = "\"input\"");
        fields.sort_by(by_name);
    }
    out.push(b'{');
    for (index, (key, value)) in fields.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_value(out, key, Place::Inner)?;
        out.push(b':');
        let is_number = place == Place::Argument && QUANTITIES.contains(&key);
        write_value(out, value, if is_number { Place::Quantity } else { Place::Inner })?;
    }
    out.push(b'}');
    Some(())
}

fn by_name<'a>((one, _): &(&'a str, &str), (other, _): &(&'a str, &str)) -> Ordering {
    let lower = |name: &'a str| name.bytes().map(|byte| byte.to_ascii_lowercase());
    lower(one).cmp(lower(other))
}

/// The key, with its quotes, and the value.
fn field(item: &str) -> Option<(&str, &str)> {
    let end = string_end(item.as_bytes(), 0);
    let value = item.get(end..)?.trim_start().strip_prefix(':')?;
    Some((&item[..end], value.trim()))
}

/// What stands between the commas of an array or object whose JSON is known to be right.
fn items(content: &str) -> SmallVec<[&str; 8]> {
    let (bytes, mut all) = (content.as_bytes(), SmallVec::new());
    let (mut start, mut depth, mut at) = (0, 0_usize, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = string_end(bytes, at) - 1,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                all.push(content[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    let last = content[start..].trim();
    if !last.is_empty() {
        all.push(last);
    }
    all
}

/// Where the string that begins here has ended.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests;
