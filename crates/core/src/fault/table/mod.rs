//! What vendors and nodes say, and what it means: data, read by [`judge`](super::judge).
//!
//! Gathered from the sources of the nodes and proxies, from the vendors' pages, and from what
//! other clients of theirs have learnt to expect. A phrase is as [`Words`](super::words::Words)
//! finds it.

mod access;
mod codes;
mod limits;
mod node;
mod request;
mod sends;

pub(super) use codes::{FIRM_CODES, LOOSE_CODES, SEND_CODES, firm_status, loose_status};

use super::{Evidence, Fault, words::Words};

/// Phrases that mean the same.
#[derive(Debug)]
pub(super) struct Group {
    fault: Fault,
    read: Read,
    phrases: &'static [&'static str],
}

/// Where a group is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// In every error.
    Always,
    /// In every error, and on pages made for people: what is said there is said of the endpoint.
    AlsoOnPages,
    /// In answers to sends.
    Sends,
    /// In answers to queries of logs and other ranges.
    Ranges,
    /// In answers to traces.
    Traces,
    /// In answers to traces of what is in a block.
    TracesOfBlocks,
}

impl Group {
    const fn always(fault: Fault, phrases: &'static [&'static str]) -> Self {
        Self { fault, read: Read::Always, phrases }
    }

    const fn also_on_pages(fault: Fault, phrases: &'static [&'static str]) -> Self {
        Self { fault, read: Read::AlsoOnPages, phrases }
    }

    const fn sends(fault: Fault, phrases: &'static [&'static str]) -> Self {
        Self { fault, read: Read::Sends, phrases }
    }

    const fn ranges(fault: Fault, phrases: &'static [&'static str]) -> Self {
        Self { fault, read: Read::Ranges, phrases }
    }

    const fn traces(fault: Fault, phrases: &'static [&'static str]) -> Self {
        Self { fault, read: Read::Traces, phrases }
    }

    const fn traces_of_blocks(fault: Fault, phrases: &'static [&'static str]) -> Self {
        Self { fault, read: Read::TracesOfBlocks, phrases }
    }

    fn is_read(&self, method: &str, words: &Words) -> bool {
        match self.read {
            Read::AlsoOnPages => true,
            _ if words.is_page() => false,
            Read::Always => true,
            Read::Sends => is_send(method),
            Read::Ranges => is_range_query(method),
            Read::Traces => is_trace(method),
            Read::TracesOfBlocks => {
                let is_of_call = ["call", "Call", "raw"].iter().any(|part| method.contains(part));
                is_trace(method) && !is_of_call
            }
        }
    }
}

/// The fault of the first group that has a phrase in the text.
pub(super) fn read(groups: &[Group], evidence: &Evidence<'_>, words: &Words) -> Option<Fault> {
    groups
        .iter()
        .filter(|group| group.is_read(evidence.method, words))
        .find_map(|group| words.have_any(group.phrases).then_some(group.fault))
}

/// Whether the method sends a transaction.
pub(super) fn is_send(method: &str) -> bool {
    let name = method.split_once('_').map_or(method, |(_, name)| name);
    name.starts_with("send") || name == "submitTransaction" || name == "resend"
}

fn is_trace(method: &str) -> bool {
    method.starts_with("trace_") || method.starts_with("debug_")
}

/// Whether the method asks for everything in a range of blocks.
pub(super) fn is_range_query(method: &str) -> bool {
    method.ends_with("Logs") || matches!(method, "eth_newFilter" | "trace_filter")
}

/// Decided before everything else, whatever other words a revert's reason has.
pub(super) const REVERTS: &[Group] = &[request::REVERTED];

/// Allowances of a day or a month: the only thing that a 429 can say better.
pub(super) const QUOTAS: &[Group] = &[limits::QUOTA_OF_A_PERIOD];

/// Phrases that tell by themselves, whatever code or status stands beside them.
pub(super) const TELLING: &[Group] = &[
    node::WRONG_STATE,
    sends::OTHER_TRANSACTION,
    sends::ALREADY_KNOWN,
    sends::NONCE_TOO_LOW,
    sends::MALFORMED,
    sends::REJECTED,
    sends::UNAFFORDABLE,
    limits::QUOTA_OF_A_PERIOD,
    request::IMPOSSIBLE_RANGE,
    node::BEHIND_THE_RANGE,
    request::BATCH,
    access::OTHER_CHAIN,
    limits::RANGE,
    limits::RATE,
    limits::QUOTA_OF_A_PLAN,
    access::TRACES,
    request::TAG,
    node::DATA,
    access::METHOD,
    node::TIMEOUT,
    access::KEY,
    node::SERVER,
];

/// Phrases that tell only if no code and no status has told better.
pub(super) const VAGUE: &[Group] = &[
    sends::VAGUE,
    sends::VAGUE_MALFORMED,
    limits::VAGUE_RANGE_OF_A_QUERY,
    limits::VAGUE_RATE,
    limits::VAGUE_RANGE,
    request::VAGUE_INVALID,
    access::VAGUE_METHOD,
    request::VAGUE_UNSUPPORTED,
    node::VAGUE_DATA,
    node::VAGUE_SERVER,
];
