//! QuickNode's multiples of what a plain call costs on a chain.
//!
//! <https://quicknode.com/api-credits/blast>, read on 2026-11-20 (every chain's page has the same
//! table): a chain has one number of
//! credits for all methods (20 on Ethereum and most EVM chains), "Trace & Debug", "arbtrace" and
//! "txpool" cost twice that, and a few "Large Calls" four times.

pub(super) const METHODS: &[(&str, u32)] = &[
    ("arbtrace_replayBlockTransactions", 4),
    ("arbtrace_replayTransaction", 4),
    ("trace_replayBlockTransactions", 4),
    ("trace_replayTransaction", 4),
    ("txpool_content", 4),
];

/// By the beginning of the method's name.
pub(super) const FAMILIES: &[(&str, u32)] =
    &[("arbtrace_", 2), ("debug_", 2), ("trace_", 2), ("txpool_", 2)];

pub(super) const OTHER: u32 = 1;
