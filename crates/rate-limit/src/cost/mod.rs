//! What a request costs.

mod alchemy;
mod drpc;
mod infura;
mod quicknode;

use alloy_json_rpc::SerializedRequest;
use std::{borrow::Cow, error::Error, fmt, str::FromStr};

/// Says what a request costs, in the unit in which the endpoint counts its limit.
///
/// A batch costs what its members cost together. What costs nothing passes at once. A closure is a
/// cost model:
///
/// ```
/// # use alclad_rate_limit::RateLimitLayer;
/// # use alloy_json_rpc::SerializedRequest;
/// # use std::num::NonZeroU32;
/// let costs = |request: &SerializedRequest| match request.method() {
///     "eth_getLogs" => 5,
///     method if method.starts_with("debug_") => 20,
///     _ => 1,
/// };
/// let layer = RateLimitLayer::compute_units(NonZeroU32::new(100).unwrap(), costs);
/// # drop(layer);
/// ```
pub trait CostModel: Send + Sync + 'static {
    /// What this request costs.
    fn cost(&self, request: &SerializedRequest) -> u32;
}

impl<F> CostModel for F
where
    F: Fn(&SerializedRequest) -> u32 + Send + Sync + 'static,
{
    fn cost(&self, request: &SerializedRequest) -> u32 {
        self(request)
    }
}

type Rows = &'static [(&'static str, u32)];

/// What a vendor charges for each method.
///
/// Vendors change their tables: [`with_method`](Self::with_method) corrects a row.
#[derive(Clone, Debug)]
pub struct CostTable {
    own: Vec<(Cow<'static, str>, u32)>,
    /// In order of their names.
    methods: Rows,
    families: Rows,
    other: u32,
    plain: u32,
}

impl CostTable {
    const fn new(methods: Rows, families: Rows, other: u32, plain: u32) -> Self {
        Self { own: Vec::new(), methods, families, other, plain }
    }

    /// Alchemy's compute units, as its
    /// [table](https://www.alchemy.com/docs/reference/compute-unit-costs) had them on 2026-11-20.
    ///
    /// Where a method has a throughput cost of its own beside its price, such as 250 for
    /// `eth_sendRawTransaction`, that one counts. For methods outside of its table Alchemy states
    /// no number: they cost 20 here, as most methods in it do.
    pub const fn alchemy() -> Self {
        Self::new(alchemy::METHODS, &[], alchemy::OTHER, 1)
    }

    /// Infura's credits, as its
    /// [table](https://docs.metamask.io/services/get-started/pricing/credit-cost) for Ethereum had
    /// them when read on 2026-11-20, in the docs' commit `8514135b`; methods outside of it cost its
    /// default, 80.
    ///
    /// Infura says that a batch costs credits for "the batch call itself" too, and not how many:
    /// here it costs what its members do.
    pub const fn infura() -> Self {
        Self::new(infura::METHODS, &[], infura::OTHER, 1)
    }

    /// QuickNode's API credits on a chain whose plain calls cost this many: 20 on Ethereum and
    /// most EVM chains, as its [table](https://quicknode.com/api-credits/blast), the same on the
    /// page of every chain, had them on 2026-11-20. Traces cost twice and a few large calls four times as many.
    ///
    /// Its plans count requests per second: for those limits it is
    /// [`RateLimitLayer::per_second`](crate::RateLimitLayer::per_second).
    pub const fn quicknode(plain: u32) -> Self {
        Self::new(quicknode::METHODS, quicknode::FAMILIES, quicknode::OTHER, plain)
    }

    /// dRPC's compute units, as its [table](https://drpc.org/docs/pricing/compute-units) had them
    /// on 2026-11-20: 20 for every method, and 10 for those that are free of charge, which is the
    /// least that its [rate limit](https://drpc.org/docs/howitworks/ratelimiting) counts.
    pub const fn drpc() -> Self {
        Self::new(drpc::METHODS, &[], drpc::OTHER, 1)
    }

    /// This method costs this instead.
    #[must_use]
    pub fn with_method(mut self, method: impl Into<Cow<'static, str>>, cost: u32) -> Self {
        let method = method.into();
        self.own.retain(|(name, _)| *name != method);
        self.own.push((method, cost));
        self
    }

    /// What a call of this method costs.
    pub fn of(&self, method: &str) -> u32 {
        let own = self.own.iter().find(|(name, _)| name == method);
        own.map_or_else(|| self.stated(method), |(_, cost)| *cost)
    }

    fn stated(&self, method: &str) -> u32 {
        let row = self.methods.binary_search_by(|(name, _)| (*name).cmp(method));
        let times = match row {
            Ok(row) => self.methods[row].1,
            Err(_) => {
                let family = self.families.iter().find(|(start, _)| method.starts_with(start));
                family.map_or(self.other, |(_, cost)| *cost)
            }
        };
        times.saturating_mul(self.plain)
    }
}

impl FromStr for CostTable {
    type Err = UnknownVendor;

    /// The table of a vendor by its name, as it stands in a configuration: `alchemy`, `drpc`,
    /// `infura`.
    fn from_str(vendor: &str) -> Result<Self, UnknownVendor> {
        match vendor {
            "alchemy" => Ok(Self::alchemy()),
            "drpc" => Ok(Self::drpc()),
            "infura" => Ok(Self::infura()),
            _ => Err(UnknownVendor),
        }
    }
}

/// There is no table of costs by this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownVendor;

impl fmt::Display for UnknownVendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown vendor, expected one of `alchemy`, `drpc`, `infura`")
    }
}

impl Error for UnknownVendor {}

impl CostModel for CostTable {
    fn cost(&self, request: &SerializedRequest) -> u32 {
        self.of(request.method())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_order() {
        for table in [alchemy::METHODS, infura::METHODS, quicknode::METHODS, drpc::METHODS] {
            assert!(table.windows(2).all(|rows| rows[0].0 < rows[1].0));
        }
    }

    #[test]
    fn every_vendor_has_its_own_numbers() {
        let costs = |method| {
            [
                CostTable::alchemy().of(method),
                CostTable::infura().of(method),
                CostTable::quicknode(20).of(method),
                CostTable::drpc().of(method),
            ]
        };
        assert_eq!(costs("eth_chainId"), [0, 5, 20, 10]);
        assert_eq!(costs("eth_call"), [26, 80, 20, 20]);
        assert_eq!(costs("eth_getLogs"), [60, 255, 20, 20]);
        assert_eq!(costs("eth_sendRawTransaction"), [250, 720, 20, 20]);
        assert_eq!(costs("debug_traceTransaction"), [1000, 1000, 40, 20]);
        assert_eq!(costs("trace_replayTransaction"), [3000, 80, 80, 20]);
        assert_eq!(costs("something_new"), [20, 80, 20, 20]);
    }

    #[test]
    fn a_table_is_known_by_its_vendor() {
        assert_eq!("infura".parse::<CostTable>().unwrap().of("eth_call"), 80);
        let error = "s3cr3t".parse::<CostTable>().unwrap_err();
        assert!(error.to_string().contains("alchemy") && !error.to_string().contains("s3cr3t"));
    }

    #[test]
    fn a_row_can_be_corrected() {
        let table = CostTable::alchemy().with_method("eth_call", 7).with_method("eth_call", 8);
        assert_eq!((table.of("eth_call"), table.of("eth_getLogs")), (8, 60));
    }
}
