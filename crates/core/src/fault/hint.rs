//! When a limiter said that the next request may come.

use super::words::Words;
use std::time::Duration;

/// What stands before a time to wait: in texts, and as names in data.
const LEADS: &[&str] = &[
    "try again in", // also as try_again_in
    "again in",
    "again after",
    "retry after",
    "retryafter",
    "retry in",
    "retry * in",
    "retry * after",
    "backoff",
    "wait",
    "reset in",
    "resets in",
    "reset after",
    "available in",
];

/// How far behind its lead a number may stand: "wait for at least 3 seconds".
const REACH: usize = 24;

const MILLISECOND: u128 = 1_000_000;
const SECOND: u128 = 1000 * MILLISECOND;

/// The time to wait that the words speak of.
pub(super) fn of(words: &Words) -> Option<Duration> {
    LEADS.iter().filter_map(|lead| words.after(lead)).find_map(wait)
}

/// "4ms", " 1.5 s", "_seconds\":30.0", "1m30s", " for at least 3 minutes".
fn wait(text: &str) -> Option<Duration> {
    let near = text.char_indices().take_while(|&(at, c)| at < REACH && !",.;|)}".contains(c));
    let start = near.map(|(at, _)| at).find(|&at| text.as_bytes()[at].is_ascii_digit())?;
    let (before, mut rest) = text.split_at(start);
    let named =
        if before.contains("ms") || before.contains("milli") { MILLISECOND } else { SECOND };
    let mut nanos = 0u128;
    loop {
        let (amount, unit, after) = amount(rest, named)?;
        nanos = nanos.saturating_add(amount.saturating_mul(unit) / SCALE);
        rest = after;
        if !rest.starts_with(|c: char| c.is_ascii_digit()) {
            break;
        }
    }
    // "retry after 2024-01-01" is a date
    (!rest.starts_with(['-', ':', '/'])).then(|| from_nanos(nanos))
}

/// Amounts are counted in billionths.
const SCALE: u128 = 1_000_000_000;

/// The number at the beginning, its unit in nanoseconds, and what follows.
fn amount(text: &str, named: u128) -> Option<(u128, u128, &str)> {
    let (whole, mut rest) = digits(text);
    let mut amount = whole.parse::<u128>().unwrap_or(u128::MAX).saturating_mul(SCALE);
    if let Some(after) = rest.strip_prefix('.') {
        let (fraction, after) = digits(after);
        let fraction = fraction.get(..9).unwrap_or(fraction);
        let scale = SCALE / 10u128.pow(u32::try_from(fraction.len()).ok()?);
        amount = amount.saturating_add(fraction.parse::<u128>().unwrap_or(0) * scale);
        rest = after;
    }
    let spaced = rest.trim_start();
    let letters = spaced.find(|c: char| !c.is_alphabetic()).unwrap_or(spaced.len());
    Some(match unit(&spaced[..letters]) {
        Some(unit) => (amount, unit, &spaced[letters..]),
        None => (amount, named, rest),
    })
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn unit(name: &str) -> Option<u128> {
    Some(match name {
        "ns" => 1,
        "us" | "µs" | "μs" => MILLISECOND / 1000,
        "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => MILLISECOND,
        "s" | "sec" | "secs" | "second" | "seconds" => SECOND,
        "m" | "min" | "mins" | "minute" | "minutes" => 60 * SECOND,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600 * SECOND,
        "d" | "day" | "days" => 86_400 * SECOND,
        _ => return None,
    })
}

fn from_nanos(nanos: u128) -> Duration {
    let seconds = u64::try_from(nanos / SECOND).unwrap_or(u64::MAX);
    Duration::new(seconds, u32::try_from(nanos % SECOND).unwrap_or_default())
}
