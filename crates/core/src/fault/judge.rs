//! The judgement of a failure: which of the table's groups, codes and statuses decides.

use super::{Classify, Evidence, Fault, hint, table, words::Words};

/// alclad's own judgement: a table of what vendors and nodes say.
///
/// Use it inside your own [`Classify`] to build on its judgement. `None` is an error that nobody
/// has seen before.
#[derive(Clone, Copy, Debug, Default)]
pub struct VendorTable;

impl Classify for VendorTable {
    fn classify(&self, evidence: &Evidence<'_>) -> Option<Fault> {
        let words = Words::of(evidence.message, evidence.data);
        let fault = decide(evidence, &words)?;
        Some(match fault {
            Fault::RateLimited { by, .. } => {
                let retry_after = evidence.retry_after.or_else(|| hint::of(&words));
                Fault::RateLimited { retry_after, by }
            }
            other => other,
        })
    }
}

/// What the evidence shows, if the user's own classifier has no opinion.
pub(super) fn judge(evidence: &Evidence<'_>, custom: Option<&dyn Classify>) -> Fault {
    custom
        .and_then(|custom| custom.classify(evidence))
        .or_else(|| VendorTable.classify(evidence))
        .unwrap_or(Fault::Unknown)
}

/// The request's own faults first, then whatever tells most clearly.
fn decide(evidence: &Evidence<'_>, words: &Words) -> Option<Fault> {
    let read = |groups| table::read(groups, evidence, words);
    let of_code = |codes| of_code(codes, evidence);
    let status = failed_status(evidence);

    read(table::REVERTS)
        .or_else(|| has_revert_data(evidence).then_some(Fault::Reverted))
        .or_else(|| match status? {
            429 => read(table::QUOTAS).or(table::firm_status(429)),
            402 => table::firm_status(402),
            _ => None,
        })
        .or_else(|| read(table::TELLING))
        .or_else(|| match evidence.code {
            Some(METHOD_NOT_FOUND) => None,
            _ => status.and_then(table::firm_status),
        })
        .or_else(|| of_code(table::FIRM_CODES))
        .or_else(|| read(table::VAGUE).filter(|_| is_of_a_node(evidence)))
        .or_else(|| of_code(table::SEND_CODES).filter(|_| table::is_send(evidence.method)))
        .or_else(|| of_code(table::LOOSE_CODES))
        .or_else(|| is_bare_internal_error(evidence, words).then_some(Fault::ServerError))
        .or_else(|| status.and_then(table::loose_status))
}

/// Some gateways send it with a 403.
const METHOD_NOT_FOUND: i64 = -32601;

const INTERNAL_ERROR: i64 = -32603;

/// The HTTP status; some vendors put it into the error's code instead.
fn failed_status(evidence: &Evidence<'_>) -> Option<u16> {
    evidence.status.filter(is_failure).or_else(|| status_in_code(evidence))
}

fn status_in_code(evidence: &Evidence<'_>) -> Option<u16> {
    evidence.code.and_then(|code| u16::try_from(code).ok()).filter(is_failure)
}

fn is_failure(status: &u16) -> bool {
    (300..600).contains(status)
}

/// Code 3 alone is no proof of a revert: Alchemy uses it for unknown blocks.
fn has_revert_data(evidence: &Evidence<'_>) -> bool {
    let is_selector = |data: &str| {
        let hex = data.trim_matches('"').strip_prefix("0x").unwrap_or_default();
        hex.len() >= 8 && hex.bytes().take(8).all(|digit| digit.is_ascii_hexdigit())
    };
    evidence.code == Some(3) && evidence.data.is_some_and(is_selector)
}

/// Whether a node made the error, and not a gateway: then even its vague words may be believed.
fn is_of_a_node(evidence: &Evidence<'_>) -> bool {
    match evidence.code {
        Some(_) => status_in_code(evidence).is_none(),
        None => evidence.data.is_some() && evidence.status.is_none(),
    }
}

fn is_bare_internal_error(evidence: &Evidence<'_>, words: &Words) -> bool {
    evidence.code == Some(INTERNAL_ERROR) && words.is_empty()
}

fn of_code(codes: &[(i64, Fault)], evidence: &Evidence<'_>) -> Option<Fault> {
    let code = evidence.code?;
    codes.iter().find(|(known, _)| *known == code).map(|(_, fault)| *fault)
}
