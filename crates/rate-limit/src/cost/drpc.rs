//! dRPC's compute units.
//!
//! <https://drpc.org/docs/pricing/compute-units>, read on 2026-11-20 as
//! `pages/pricing/compute-units.mdx` of `drpcorg/drpc-nextra` at commit `6f056c3a`: every method
//! costs 20, also one that is not in the table, and those below cost nothing. But
//! <https://drpc.org/docs/howitworks/ratelimiting> (commit `c0d11583`) says: "when rate limiting
//! the minimum cost of every call is 10 CU".

pub(super) const METHODS: &[(&str, u32)] = &[
    ("eth_accounts", 10),
    ("eth_chainId", 10),
    ("eth_coinbase", 10),
    ("eth_hashrate", 10),
    ("eth_mining", 10),
    ("eth_protocolVersion", 10),
    ("eth_syncing", 10),
    ("net_listening", 10),
    ("net_peerCount", 10),
    ("net_version", 10),
    ("web3_clientVersion", 10),
];

pub(super) const OTHER: u32 = 20;
