//! What is known about each JSON-RPC method.

use crate::Fault;

/// What a method does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Reads the chain: any node of the chain can answer.
    Read,
    /// Changes something.
    Write,
    /// Starts or ends a subscription on this connection.
    Subscription,
    /// Lives in the node that made the filter.
    Filter,
    /// Speaks of the node itself, or of what only it has: its accounts, its pool.
    NodeLocal,
    /// Nothing is known of it.
    Opaque,
}

/// Where a method's block argument stands among its params.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockArgument {
    /// It has none.
    None,
    /// A number, a tag or an EIP-1898 object at this index; left out it means `latest`.
    At(usize),
    /// A block hash at this index.
    HashAt(usize),
    /// A log filter (`fromBlock`, `toBlock`, `blockHash`) at this index.
    FilterAt(usize),
}

impl BlockArgument {
    /// Its place among the params.
    pub const fn index(self) -> Option<usize> {
        match self {
            Self::None => None,
            Self::At(index) | Self::HashAt(index) | Self::FilterAt(index) => Some(index),
        }
    }
}

/// After which faults the very same request may be sent again, anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Replay {
    /// After any fault.
    Freely,
    /// Only by the transaction's hash: after faults that leave open whether it arrived.
    ByHash,
    /// After a fault that proves that it was not executed.
    IfNotExecuted,
    /// Never.
    Never,
}

/// What decides how long a method's answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Caching {
    /// Nothing does: it is not kept.
    Never,
    /// It is the same for ever.
    Always,
    /// The block that its [argument](Method::block) names.
    AtBlock,
    /// The block that the answer names as its own.
    InBlock,
}

/// What is known about one JSON-RPC method: one row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Method {
    /// Its name; `other` for a method that is not in the table.
    pub name: &'static str,
    /// What it does.
    pub kind: Kind,
    /// Where its block argument stands.
    pub block: BlockArgument,
    /// Whether `null` is an answer. If not, it may only mean that this node does not have the
    /// block, transaction or receipt; or it is none at all.
    pub null_is_answer: bool,
    /// After which faults it may be sent again.
    pub replay: Replay,
    /// Whether it may be asked twice at once.
    pub hedged: bool,
    /// Whether it may be put into a batch with others.
    pub batched: bool,
    /// What decides how long its answer holds.
    pub cached: Caching,
    /// Whether its answer tells something of its endpoint's chain; see
    /// [`Sighting`](crate::Sighting).
    pub shows_block: bool,
    sends: bool,
}

impl Method {
    /// How many rows there are: those of the table, and one for each kind of other method.
    pub const ROWS: usize = TABLE.len() + Kind::Opaque as usize + 1;

    /// What is known about the method of this name.
    ///
    /// A name that is not in the table is judged by its form: `*_subscribe` and `*_unsubscribe` are
    /// subscriptions, `evm_*`, `anvil_*`, `*_send*` and their like are writes, `*_get*`, `*_call`,
    /// `*_estimate*`, `debug_trace*` and `trace_*` are reads, everything else is opaque.
    pub fn of(name: &str) -> &'static Self {
        match find(name) {
            Some(index) => &TABLE[index],
            None if looks_like_subscription(name) => &OTHER_SUBSCRIPTION,
            None if looks_like_send(name) => &OTHER_SEND,
            None if looks_like_write(name) => &OTHER_WRITE,
            None if looks_like_read(name) => &OTHER_READ,
            None => &OPAQUE,
        }
    }

    /// Whether it hands a transaction, or what becomes one, to the network.
    pub const fn is_send(&self) -> bool {
        self.sends
    }

    /// Its place among all rows, of which there are [`ROWS`](Self::ROWS): for what is counted per
    /// method.
    pub fn row(&self) -> usize {
        find(self.name).unwrap_or_else(|| TABLE.len() + self.kind as usize)
    }

    /// The method at this [`row`](Self::row).
    pub fn at_row(row: usize) -> &'static Self {
        TABLE.get(row).unwrap_or(&OPAQUE)
    }

    /// May the very same request be sent again after this fault, anywhere?
    pub const fn may_replay(&self, fault: &Fault) -> bool {
        match self.replay {
            Replay::Freely => true,
            Replay::ByHash => matches!(
                fault,
                Fault::Connection { .. }
                    | Fault::Timeout
                    | Fault::ServerError
                    | Fault::RateLimited { .. }
                    | Fault::Unauthorized
                    | Fault::QuotaExhausted
            ),
            Replay::IfNotExecuted => fault.proves_not_executed(),
            Replay::Never => false,
        }
    }

    const fn read(name: &'static str, block: BlockArgument) -> Self {
        Self {
            name,
            kind: Kind::Read,
            block,
            null_is_answer: false,
            replay: Replay::Freely,
            hedged: true,
            batched: true,
            cached: match block {
                BlockArgument::None => Caching::Never,
                _ => Caching::AtBlock,
            },
            shows_block: false,
            sends: false,
        }
    }

    /// A read of what is the same for ever.
    const fn constant(name: &'static str) -> Self {
        Self { cached: Caching::Always, ..Self::read(name, BlockArgument::None) }
    }

    /// A read of something that is in a block, and says in which.
    const fn in_block(name: &'static str) -> Self {
        let row = Self::read(name, BlockArgument::None).showing_block();
        Self { cached: Caching::InBlock, ..row }
    }

    const fn showing_block(self) -> Self {
        Self { shows_block: true, ..self }
    }

    const fn exclusive(name: &'static str, kind: Kind, replay: Replay) -> Self {
        Self {
            name,
            kind,
            block: BlockArgument::None,
            null_is_answer: true,
            replay,
            hedged: false,
            batched: false,
            cached: Caching::Never,
            shows_block: false,
            sends: false,
        }
    }

    const fn subscription(name: &'static str) -> Self {
        Self::exclusive(name, Kind::Subscription, Replay::Never)
    }

    const fn write(name: &'static str) -> Self {
        Self::exclusive(name, Kind::Write, Replay::Never)
    }

    const fn send(name: &'static str) -> Self {
        Self { sends: true, ..Self::write(name) }
    }

    const fn filter(name: &'static str) -> Self {
        Self::exclusive(name, Kind::Filter, Replay::IfNotExecuted)
    }

    const fn local(name: &'static str) -> Self {
        let row = Self::exclusive(name, Kind::NodeLocal, Replay::Freely);
        Self { batched: true, ..row }
    }
}

/// Where the row of this name stands: few names have the same length.
fn find(name: &str) -> Option<usize> {
    let range = *STARTS.get(name.len())?..*STARTS.get(name.len() + 1)?;
    let mut rows = TABLE[range.clone()].iter();
    rows.position(|row| row.name == name).map(|index| range.start + index)
}

/// Where the names of each length begin.
const STARTS: [usize; LONGEST + 2] = {
    let mut starts = [0; LONGEST + 2];
    let mut row = 0;
    while row < TABLE.len() {
        starts[TABLE[row].name.len() + 1] = row + 1;
        row += 1;
    }
    let mut length = 1;
    while length < starts.len() {
        if starts[length] == 0 {
            starts[length] = starts[length - 1];
        }
        length += 1;
    }
    starts
};
const LONGEST: usize = TABLE[TABLE.len() - 1].name.len();

const OTHER_READ: Method =
    Method { null_is_answer: true, ..Method::read("other", BlockArgument::None) };
const OTHER_SUBSCRIPTION: Method = Method::subscription("other");
const OTHER_WRITE: Method = Method::write("other");
const OTHER_SEND: Method = Method { sends: true, ..OTHER_WRITE };
const OPAQUE: Method = Method::exclusive("other", Kind::Opaque, Replay::IfNotExecuted);

/// Namespaces whose every method changes the node or its chain.
const WRITE_NAMESPACES: &[&str] =
    &["anvil", "evm", "hardhat", "personal", "miner", "admin", "engine", "clique", "mev"];
/// How the names of writes go on after their namespace.
const WRITE_VERBS: &[&str] =
    &["send", "submit", "set", "cancel", "sign", "add", "remove", "start", "stop", "import"];
/// How the names of reads go on after their namespace.
const READ_VERBS: &[&str] = &["get", "estimate", "trace", "simulate", "resolve"];

fn looks_like_subscription(name: &str) -> bool {
    matches!(name.split_once('_'), Some((_, "subscribe" | "unsubscribe")))
}

/// What is sent, what is tried before it is sent, and what takes it back: where transactions are
/// private, it is too.
fn looks_like_send(name: &str) -> bool {
    name.split_once('_').is_some_and(|(namespace, verb)| {
        matches!(namespace, "eth" | "mev" | "flashbots" | "bundler" | "zks" | "klay" | "bor")
            && (verb.ends_with("Bundle")
                || ["send", "submit", "cancel"].iter().any(|s| verb.starts_with(s)))
            || verb.starts_with("send")
    })
}

fn looks_like_write(name: &str) -> bool {
    name.split_once('_').is_some_and(|(namespace, verb)| {
        WRITE_NAMESPACES.contains(&namespace) || WRITE_VERBS.iter().any(|w| verb.starts_with(w))
    })
}

fn looks_like_read(name: &str) -> bool {
    name.split_once('_').is_some_and(|(namespace, verb)| {
        namespace == "trace" || verb == "call" || READ_VERBS.iter().any(|r| verb.starts_with(r))
    })
}

use BlockArgument::{At, FilterAt, HashAt, None as NoBlock};

/// By length and then by name, which a test checks.
const TABLE: &[Method] = &[
    Method::read("eth_call", At(1)),
    Method::write("eth_sign"),
    Method::read("trace_get", NoBlock),
    Method::constant("web3_sha3"),
    Method::local("eth_mining"),
    Method::read("trace_call", At(2)),
    Method::read("eth_baseFee", NoBlock),
    Method::constant("eth_chainId"),
    Method::read("eth_getCode", At(1)),
    Method::read("eth_getLogs", FilterAt(0)),
    Method::local("eth_getWork"),
    Method::local("eth_syncing"),
    Method::constant("net_version"),
    Method::read("trace_block", At(0)),
    Method::local("eth_accounts"),
    Method::read("eth_callMany", NoBlock),
    Method::local("eth_coinbase"),
    Method::read("eth_gasPrice", NoBlock),
    Method::read("eth_getProof", At(2)),
    Method::local("eth_hashrate"),
    Method::read("trace_filter", FilterAt(0)),
    Method::filter("eth_newFilter"),
    Method::subscription("eth_subscribe"),
    Method::local("net_listening"),
    Method::local("net_peerCount"),
    Method::local("txpool_status"),
    Method::read("eth_feeHistory", At(1)),
    Method::read("eth_getBalance", At(1)),
    Method::send("eth_sendBundle"),
    Method::read("eth_simulateV1", At(1)),
    Method::read("trace_callMany", At(1)),
    Method::local("txpool_content"),
    Method::local("txpool_inspect"),
    Method::read("debug_traceCall", At(1)),
    Method::read("eth_blobBaseFee", NoBlock),
    Method::read("eth_blockNumber", NoBlock).showing_block(),
    Method::read("eth_estimateGas", At(1)),
    Method::subscription("eth_unsubscribe"),
    Method::read("eth_getStorageAt", At(2)),
    Method::read("debug_getRawBlock", At(0)),
    Method::filter("eth_getFilterLogs"),
    Method::read("trace_transaction", NoBlock),
    Method::read("debug_getRawHeader", At(0)),
    Method::read("eth_getBlockByHash", HashAt(0)).showing_block(),
    Method::filter("eth_newBlockFilter"),
    Method::local("txpool_contentFrom"),
    Method::local("web3_clientVersion"),
    Method::read("eth_getHeaderByHash", HashAt(0)).showing_block(),
    Method::local("eth_protocolVersion"),
    Method::send("eth_sendTransaction"),
    Method::write("eth_signTransaction"),
    Method::filter("eth_uninstallFilter"),
    Method::read("debug_getRawReceipts", At(0)),
    Method::read("debug_storageRangeAt", HashAt(0)),
    Method::read("eth_createAccessList", At(1)),
    Method::read("eth_getBlockByNumber", At(0)).showing_block(),
    Method::read("eth_getBlockReceipts", At(0)).showing_block(),
    Method::filter("eth_getFilterChanges"),
    Method::write("eth_signTypedData_v4"),
    Method::read("eth_getHeaderByNumber", At(0)).showing_block(),
    Method::send("eth_sendUserOperation"),
    Method::read("debug_traceBlockByHash", HashAt(0)),
    Method::read("debug_traceTransaction", NoBlock),
    Method { replay: Replay::ByHash, ..Method::send("eth_sendRawTransaction") },
    Method::read("debug_getRawTransaction", NoBlock),
    Method::read("eth_getTransactionCount", At(1)),
    Method::read("trace_replayTransaction", NoBlock),
    Method::read("debug_traceBlockByNumber", At(0)),
    Method::in_block("eth_getTransactionByHash"),
    Method::read("eth_maxPriorityFeePerGas", NoBlock),
    Method::in_block("eth_getTransactionReceipt"),
    Method::send("eth_sendPrivateTransaction"),
    Method::send("eth_sendRawTransactionSync"),
    Method::read("eth_getRawTransactionByHash", NoBlock),
    Method::read("eth_getUncleCountByBlockHash", HashAt(0)),
    Method::read("trace_replayBlockTransactions", At(0)),
    Method::read("eth_getUncleCountByBlockNumber", At(0)),
    Method::read("eth_getUncleByBlockHashAndIndex", HashAt(0)),
    Method::filter("eth_newPendingTransactionFilter"),
    Method::read("eth_getUncleByBlockNumberAndIndex", At(0)),
    Method::send("eth_sendRawTransactionConditional"),
    Method::read("eth_getBlockTransactionCountByHash", HashAt(0)),
    Method::read("eth_getTransactionBySenderAndNonce", NoBlock),
    Method::read("eth_getBlockTransactionCountByNumber", At(0)),
    Method::read("eth_getTransactionByBlockHashAndIndex", HashAt(0)),
    Method::read("eth_getTransactionByBlockNumberAndIndex", At(0)),
    Method::read("eth_getRawTransactionByBlockHashAndIndex", HashAt(0)),
    Method::read("eth_getRawTransactionByBlockNumberAndIndex", At(0)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limiter;

    #[test]
    fn the_table_is_sorted_so_every_row_is_found() {
        let order = |row: &Method| (row.name.len(), row.name);
        assert!(TABLE.is_sorted_by_key(order));
        assert!(TABLE.iter().all(|row| Method::of(row.name) == row));
        assert!(TABLE.iter().enumerate().all(|(index, row)| row.row() == index));
        assert!(
            ["foo_bar", "foo_getX", "foo_sendX"].iter().all(|x| Method::of(x).row() < Method::ROWS)
        );
    }

    #[test]
    fn a_method_that_is_not_in_the_table_is_judged_by_its_form() {
        for name in
            ["evm_mine", "anvil_setBalance", "personal_getX", "foo_sendThing", "mev_simBundle"]
        {
            assert_eq!(Method::of(name).kind, Kind::Write, "{name}");
        }
        for name in ["arb_getThing", "foo_call", "zks_estimateFee", "debug_traceFoo", "trace_foo"] {
            assert_eq!(Method::of(name).kind, Kind::Read, "{name}");
        }
        for name in ["debug_subscribe", "parlia_unsubscribe"] {
            assert_eq!(Method::of(name).kind, Kind::Subscription, "{name}");
        }
        for name in ["foo_bar", "foo", "", "_", "getFoo"] {
            assert_eq!(Method::of(name).kind, Kind::Opaque, "{name}");
        }
    }

    #[test]
    fn an_opaque_method_is_replayed_only_if_it_was_not_executed() {
        let method = Method::of("foo_bar");
        assert!(method.may_replay(&Fault::Connection { maybe_sent: false }));
        assert!(method.may_replay(&Fault::Unauthorized));
        assert!(!method.may_replay(&Fault::Connection { maybe_sent: true }));
        assert!(!method.may_replay(&Fault::Timeout));
    }

    #[test]
    fn what_is_sent_is_a_send_whatever_the_vendor_calls_it() {
        for name in [
            "eth_sendRawTransaction",
            "eth_sendTransaction",
            "eth_sendBundle",
            "eth_sendPrivateRawTransaction",
            "eth_cancelBundle",
            "mev_sendBundle",
            "foo_sendRawTransaction",
        ] {
            assert!(Method::of(name).is_send(), "{name}");
        }
        for name in ["eth_getTransactionCount", "evm_mine", "anvil_setBalance", "eth_call", "x"] {
            assert!(!Method::of(name).is_send(), "{name}");
        }
    }

    #[test]
    fn a_write_is_replayed_only_by_its_hash() {
        let limited = Fault::RateLimited { retry_after: None, by: Limiter::Vendor };
        assert!(Method::of("eth_sendRawTransaction").may_replay(&limited));
        assert!(!Method::of("eth_sendRawTransaction").may_replay(&Fault::Malformed));
        assert!(!Method::of("eth_sendTransaction").may_replay(&limited));
        assert!(!Method::of("evm_mine").may_replay(&limited));
    }
}
