//! The table of all metrics.

use super::*;

/// One metric: a row of [`ALL`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What kind of instrument it is.
    pub kind: Kind,
    /// What it counts in.
    pub unit: Unit,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// The upper bounds of a histogram's buckets; empty for everything else.
    pub buckets: &'static [f64],
    /// What it counts.
    pub help: &'static str,
}

/// What kind of instrument a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It only goes up.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It is spread over buckets.
    Histogram,
}

/// What a metric counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// In ones.
    Count,
    /// In seconds.
    Seconds,
    /// In bytes.
    Bytes,
    /// In blocks.
    Blocks,
}

type Labels = &'static [&'static str];

impl Metric {
    const fn counter(name: &'static str, unit: Unit, labels: Labels, help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, unit, labels, buckets: &[], help }
    }

    const fn gauge(name: &'static str, unit: Unit, labels: Labels, help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, unit, labels, buckets: &[], help }
    }

    const fn seconds(name: &'static str, labels: Labels, help: &'static str) -> Self {
        Self { name, kind: Kind::Histogram, unit: Unit::Seconds, labels, buckets: &SECONDS, help }
    }

    const fn members(name: &'static str, labels: Labels, help: &'static str) -> Self {
        Self { name, kind: Kind::Histogram, unit: Unit::Count, labels, buckets: &MEMBERS, help }
    }
}

/// Every metric that a layer of alclad emits.
pub const ALL: &[Metric] = &[
    Metric::counter(
        CALLS,
        Unit::Count,
        &[METHOD, OUTCOME],
        "calls of the application that have ended",
    ),
    Metric::seconds(CALL_DURATION, &[METHOD], "how long they took, retries and failovers included"),
    Metric::gauge(
        CALLS_IN_FLIGHT,
        Unit::Count,
        &[],
        "calls of the application that have not ended",
    ),
    Metric::counter(
        CALL_REQUEST_BYTES,
        Unit::Bytes,
        &[METHOD],
        "JSON of the application's requests",
    ),
    Metric::counter(
        CALL_RESPONSE_BYTES,
        Unit::Bytes,
        &[METHOD],
        "JSON of their results and error messages",
    ),
    Metric::members(CALL_BATCH_SIZE, &[], "members of the application's batches"),
    Metric::counter(
        ATTEMPTS,
        Unit::Count,
        &[ENDPOINT, METHOD, OUTCOME],
        "requests to an endpoint that have ended",
    ),
    Metric::seconds(ATTEMPT_DURATION, &[ENDPOINT, METHOD], "how long they took"),
    Metric::gauge(
        ATTEMPTS_IN_FLIGHT,
        Unit::Count,
        &[ENDPOINT],
        "requests to an endpoint that have not ended",
    ),
    Metric::counter(
        ATTEMPT_REQUEST_BYTES,
        Unit::Bytes,
        &[ENDPOINT, METHOD],
        "JSON of the requests to an endpoint",
    ),
    Metric::counter(
        ATTEMPT_RESPONSE_BYTES,
        Unit::Bytes,
        &[ENDPOINT, METHOD],
        "JSON of its results and error messages",
    ),
    Metric::members(ATTEMPT_BATCH_SIZE, &[ENDPOINT], "members of the batches to an endpoint"),
    Metric::counter(
        ATTEMPTS_UNSENT,
        Unit::Count,
        &[ENDPOINT, METHOD],
        "attempts that ended before a byte had left",
    ),
    Metric::counter(
        RETRIES,
        Unit::Count,
        &[METHOD, FAULT],
        "members asked again by the retry layer",
    ),
    Metric::counter(
        RETRIES_REFUSED,
        Unit::Count,
        &[METHOD, FAULT],
        "retries that the budget did not allow",
    ),
    Metric::seconds(RETRY_WAIT, &[], "what a retry waited before it asked again"),
    Metric::counter(
        FAILOVERS,
        Unit::Count,
        &[ENDPOINT, FAULT],
        "members moved on from an endpoint",
    ),
    Metric::counter(
        HEDGES,
        Unit::Count,
        &[ENDPOINT],
        "packets asked elsewhere too, because this endpoint was late",
    ),
    Metric::counter(
        HEDGES_WON,
        Unit::Count,
        &[ENDPOINT],
        "of those, the ones that this endpoint answered first",
    ),
    Metric::counter(
        HEALTH_TRANSITIONS,
        Unit::Count,
        &[ENDPOINT, STATE],
        "changes of an endpoint's health",
    ),
    Metric::gauge(
        ENDPOINT_HEALTH,
        Unit::Count,
        &[ENDPOINT],
        "1 if it is asked as usual, 0 if it is left alone",
    ),
    Metric::gauge(ENDPOINT_HEAD, Unit::Blocks, &[ENDPOINT], "the newest block that it has shown"),
    Metric::gauge(ENDPOINT_LAG, Unit::Blocks, &[ENDPOINT], "how far it is behind the served head"),
    Metric::counter(
        REORGS,
        Unit::Count,
        &[ENDPOINT],
        "times that it has shown that blocks were replaced",
    ),
    Metric::seconds(RATE_LIMIT_WAIT, &[ENDPOINT], "what a packet waited for its turn"),
    Metric::counter(
        RATE_LIMIT_REFUSED,
        Unit::Count,
        &[ENDPOINT],
        "packets that our own limit had no room for",
    ),
    Metric::counter(
        THROTTLED,
        Unit::Count,
        &[ENDPOINT],
        "packets that the endpoint's limit turned away",
    ),
    Metric::counter(TIMEOUTS, Unit::Count, &[ENDPOINT], "attempts that had no answer in time"),
    Metric::counter(
        CHAIN_VERIFICATIONS,
        Unit::Count,
        &[ENDPOINT, OUTCOME],
        "questions of the chain guard which chain an endpoint serves",
    ),
    Metric::counter(
        CHAIN_MISMATCHES,
        Unit::Count,
        &[ENDPOINT],
        "packets that ended because it is another one",
    ),
    Metric::counter(
        REFUSED_TRANSACTIONS,
        Unit::Count,
        &[REASON],
        "transactions that the transaction guard did not send",
    ),
    Metric::counter(CACHE_HITS, Unit::Count, &[METHOD], "calls answered by the cache"),
    Metric::counter(CACHE_MISSES, Unit::Count, &[METHOD], "calls that it had no answer to"),
    Metric::counter(
        CACHE_JOINED,
        Unit::Count,
        &[METHOD],
        "calls that waited for the answer to an equal one",
    ),
    Metric::counter(CACHE_EVICTIONS, Unit::Count, &[], "answers that it gave up"),
    Metric::gauge(CACHE_BYTES, Unit::Bytes, &[], "what it weighs"),
    Metric::gauge(CACHE_ENTRIES, Unit::Count, &[], "answers that it holds"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_stands_once_in_the_table_and_says_its_unit() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            let (name, is_counter) = (metric.name, metric.kind == Kind::Counter);
            assert!(name.starts_with("alclad_"), "{name}");
            assert_eq!(name.ends_with("_total"), is_counter, "{name}");
            assert_eq!(name.ends_with("_seconds"), metric.unit == Unit::Seconds, "{name}");
            assert_eq!(!metric.buckets.is_empty(), metric.kind == Kind::Histogram, "{name}");
            assert!(metric.buckets.is_sorted(), "{name}");
        }
        assert!(RPC_LB.iter().all(|(ours, _)| names.contains(ours) || *ours == ENDPOINT));
    }
}
