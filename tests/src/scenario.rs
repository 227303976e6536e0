use alclad_testkit::{Disruption, RateLimit, RetryAfter, SimNode};
use alclad_trial::{Miss, Stage};
use std::{num::NonZeroU32, time::Duration};

/// One way in which a run of calls over three nodes goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What happens, in a few words.
    pub name: &'static str,
    /// Whether transactions are sent in it, and nothing else.
    pub sends: bool,
    /// Upstream calls per call that alclad may need in a run of 2,000 calls.
    pub cost: f64,
    /// What alclad may get wrong in it all the same, and why.
    pub limit: Option<(Miss, &'static str)>,
    /// Whether an endpoint is left alone for minutes that has shown this once.
    pub lasting: bool,
    when: When,
    strike: fn(&Stage),
}

#[derive(Clone, Copy, Debug)]
enum When {
    Start,
    Midway,
    OnAndOff,
}

/// How late a late answer is: much more than any other, and less than an attempt may take.
const TAIL: Duration = Duration::from_millis(250);
/// A node that is always slow.
const SLOW: Duration = Duration::from_millis(100);
/// What the others take longer, where one is to be the fastest.
const SLOWER: Duration = Duration::from_millis(5);
/// How far a lagging node is behind.
const LAG: u64 = 5;

/// All that may happen.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("all is well", |_| {}),
    Scenario::new("dead", |s| first(s).set(Disruption::Dead)),
    Scenario::new("dead midway", |s| first(s).set(Disruption::Dead)).midway(),
    Scenario::new("black hole", |s| first(s).set(Disruption::BlackHole)),
    Scenario::new("black hole midway", |s| first(s).set(Disruption::BlackHole)).midway(),
    Scenario::new("dead, now and then", |s| first(s).set(Disruption::Dead)).on_and_off(),
    Scenario::new("slow tail of 5 %", |s| first(s).set(slow(TAIL).with_share(0.05))),
    Scenario::new("slow tail of 5 % at all three", |s| {
        s.nodes.iter().for_each(|node| node.set(slow(TAIL).with_share(0.05)));
    }),
    Scenario::new("always slow", |s| first(s).set(slow(SLOW))),
    Scenario::new("429", |s| first(s).set(Disruption::too_many_requests(None))),
    Scenario::new("429 with Retry-After", |s| {
        first(s).set(Disruption::too_many_requests(Some(RetryAfter::Seconds(1))));
    }),
    Scenario::new("-32005 in a 200", |s| {
        first(s).set(Disruption::rpc_error(-32005, "limit exceeded"));
    }),
    Scenario::new("all three take 200 calls a second", |s| {
        let limit = RateLimit::per_second(NonZeroU32::new(200).expect("not zero"));
        s.nodes.iter().for_each(|node| node.set_rate_limit(limit));
    }),
    Scenario::new("20 % are 500", |s| first(s).set(Disruption::http_status(500).with_share(0.2))),
    Scenario::new("20 % are 503", |s| first(s).set(Disruption::http_status(503).with_share(0.2))),
    Scenario::new("20 % are -32603", |s| {
        first(s).set(Disruption::rpc_error(-32603, "Internal error").with_share(0.2));
    }),
    Scenario::new("404", |s| first(s).set(Disruption::http_status(404))),
    Scenario::new("401", |s| first(s).set(Disruption::http_status(401))).lasting(),
    Scenario::new("402", |s| first(s).set(Disruption::http_status(402))).lasting(),
    Scenario::new("reset in the middle of a body", |s| first(s).set(Disruption::Reset)),
    Scenario::new("HTML in a 200", |s| first(s).set(Disruption::Html)),
    Scenario::new("half of the JSON", |s| first(s).set(Disruption::TruncatedJson)),
    Scenario::new("a body that never ends", |s| first(s).set(Disruption::EndlessBody)),
    Scenario::new("5 blocks behind", |s| first(s).set_lag(LAG)),
    Scenario::new("5 blocks behind, and the fastest", |s| {
        first(s).set_lag(LAG);
        slow_down_the_others(s);
    }),
    Scenario::new("1 block behind", |s| first(s).set_lag(1))
        .limit(Miss::Stale, "an endpoint may be one block behind: blocks take time to travel"),
    Scenario::new("stuck at a block midway", |s| first(s).set(Disruption::FrozenHead))
        .midway()
        .limit(Miss::Stale, UNNUMBERED),
    Scenario::new("head jumps back and forth", |s| {
        first(s).set(Disruption::Lag(LAG).with_share(0.5));
    })
    .limit(Miss::Stale, UNNUMBERED),
    Scenario::new("pruned", |s| first(s).set(Disruption::Pruned { depth: 8 })),
    Scenario::new("null for receipts", |s| first(s).set(Disruption::NullReceipts)),
    Scenario::new("null for receipts, and the fastest", |s| {
        first(s).set(Disruption::NullReceipts);
        slow_down_the_others(s);
    }),
    Scenario::new("null for blocks", |s| {
        let blocks = Disruption::NullAnswers.on("eth_getBlockByNumber").on("eth_getBlockByHash");
        first(s).set(blocks);
    }),
    Scenario::new("null for everything", |s| first(s).set(Disruption::NullAnswers)),
    Scenario::new("another chain", |s| {
        first(s).set(Disruption::WrongChain(s.chain.twin(1337)));
    })
    .lasting(),
    Scenario::new("another chain midway", |s| {
        first(s).set(Disruption::WrongChain(s.chain.twin(1337)));
    })
    .midway()
    .lasting()
    .limit(Miss::Wrong, "its chain id is asked again once it has shown a block that others deny"),
    Scenario::new("another chain midway, behind new connections", |s| {
        first(s).set(Disruption::WrongChain(s.chain.twin(1337)));
        first(s).add(Disruption::Reset.times(16));
    })
    .midway()
    .lasting(),
    Scenario::new("ids that nobody asked with", |s| first(s).set(Disruption::ForeignIds)),
    Scenario::new("batches with members missing", |s| first(s).set(Disruption::MissingMembers)),
    Scenario::new("batches in another order", |s| first(s).set(Disruption::ReorderedMembers)),
    Scenario::new("batches with a member twice", |s| {
        first(s).set(Disruption::DuplicatedMembers);
    }),
    Scenario::new("-32601 for two methods", |s| {
        let unknown = Disruption::rpc_error(-32601, "the method does not exist/is not available");
        first(s).set(unknown.on("eth_getLogs").on("eth_getBlockReceipts"));
    }),
    Scenario::new("logs of 2 blocks at most", |s| first(s).set(Disruption::LogRangeLimit(2))),
    Scenario::new("a reorg of 3 blocks midway", |s| drop(s.reorg(3)))
        .midway()
        .limit(Miss::Stale, "the newest block is remembered until its successor is seen"),
    Scenario::new("two dead", |s| first_two(s, Disruption::Dead)),
    Scenario::new("two black holes midway", |s| first_two(s, Disruption::BlackHole)).midway(),
    Scenario::new("two send HTML, now and then", |s| first_two(s, Disruption::Html)).on_and_off(),
    Scenario::new("sends: others know it already", |s| {
        first(s).set(slow(Duration::from_millis(50)));
        let known = Disruption::rpc_error(-32000, "already known").on(SEND);
        s.nodes[1..].iter().for_each(|node| node.set(known.clone()));
    })
    .of_sends(),
    Scenario::new("sends: the answer is lost", |s| {
        first(s).set(Disruption::LoseAnswer.on(SEND));
    })
    .of_sends()
    // Every lost answer is looked up.
    .costing(1.2),
];

/// Why an answer may be late of an endpoint that was not late when it was last looked at.
const UNNUMBERED: &str = "a state at `latest` bears no block number, so that nobody sees its age";
const SEND: &str = "eth_sendRawTransaction";

impl Scenario {
    const fn new(name: &'static str, strike: fn(&Stage)) -> Self {
        let (sends, cost, limit, lasting, when) = (false, 1.1, None, false, When::Start);
        Self { name, sends, cost, limit, lasting, when, strike }
    }

    const fn midway(mut self) -> Self {
        self.when = When::Midway;
        self
    }

    const fn on_and_off(mut self) -> Self {
        self.when = When::OnAndOff;
        self
    }

    const fn limit(mut self, miss: Miss, why: &'static str) -> Self {
        self.limit = Some((miss, why));
        self
    }

    const fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    const fn costing(mut self, cost: f64) -> Self {
        self.cost = cost;
        self
    }

    const fn of_sends(mut self) -> Self {
        self.sends = true;
        self
    }

    /// Plays what happens at the beginning of this tenth of a run, counted from 0.
    pub fn play(&self, tenth: u64, stage: &Stage) {
        match (self.when, tenth) {
            (When::Start, 0) | (When::Midway, 5) => self.strike(stage),
            (When::OnAndOff, tenth) if tenth % 2 == 1 => self.strike(stage),
            (When::OnAndOff, _) => stage.heal(),
            _ => {}
        }
    }

    /// Lets it happen now.
    pub fn strike(&self, stage: &Stage) {
        (self.strike)(stage);
    }
}

fn first(stage: &Stage) -> &SimNode {
    &stage.nodes[0]
}

fn first_two(stage: &Stage, disruption: Disruption) {
    stage.nodes[..2].iter().for_each(|node| node.set(disruption.clone()));
}

fn slow_down_the_others(stage: &Stage) {
    stage.nodes[1..].iter().for_each(|node| node.set(slow(SLOWER)));
}

const fn slow(by: Duration) -> Disruption {
    Disruption::SlowBy(by)
}
