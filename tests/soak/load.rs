//! What the application does: ask as fast as it can, send, and lose patience now and then.

use crate::pipeline::{CHAIN_ID, Pipeline};
use alclad::core::error::{RefusedTransaction, cause};
use alclad_testkit::Transfer;
use alclad_trial::{Ask, answers, draw_at_the_head};
use alloy::{
    eips::BlockNumberOrTag,
    providers::{DynProvider, Provider},
    rpc::types::Block,
    transports::TransportError,
};
use fastrand::Rng;
use futures::future::join_all;
use serde_json::json;
use std::{
    fmt,
    ops::AddAssign,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

/// How many ask at the same time.
pub(crate) const CONCURRENCY: usize = 16;
/// How far below the head the blocks are that all nodes have.
const SETTLED: u64 = 8;
/// From one look at the newest block to the next.
const LOOK: Duration = Duration::from_millis(200);
static NONCE: AtomicU64 = AtomicU64::new(0);

/// What became of the calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    pub(crate) good: u64,
    pub(crate) bad: u64,
    abandoned: u64,
    /// Why the first of the bad ones is bad.
    first_error: Option<String>,
}

/// The newest block, and one that all nodes have.
type Blocks = Arc<(Block, Block)>;

/// Asks until then.
pub(crate) async fn load(pipeline: &Pipeline, mut rng: Rng, until: Instant) -> Answers {
    let (news, blocks) = watch::channel(None);
    let looking = tokio::spawn(look(pipeline.provider.clone(), news));
    let worker =
        |_| tokio::spawn(work(pipeline.provider.clone(), blocks.clone(), rng.fork(), until));
    let workers: Vec<_> = (0..CONCURRENCY).map(worker).collect();
    let mut all = Answers::default();
    for answers in join_all(workers).await {
        all += answers.expect("no call panics");
    }
    looking.abort();
    all
}

/// Keeps up with the chain, as far as the nodes let it.
async fn look(provider: DynProvider, news: watch::Sender<Option<Blocks>>) {
    let block = async |at: BlockNumberOrTag| provider.get_block_by_number(at).full().await.ok()?;
    loop {
        if let Some(fresh) = block(BlockNumberOrTag::Latest).await {
            let settled = fresh.header.number.saturating_sub(SETTLED);
            if let Some(settled) = block(settled.into()).await {
                news.send_replace(Some(Arc::new((fresh, settled))));
            }
        }
        sleep(LOOK).await;
    }
}

async fn work(
    provider: DynProvider,
    mut blocks: watch::Receiver<Option<Blocks>>,
    mut rng: Rng,
    until: Instant,
) -> Answers {
    let mut seen = Answers::default();
    while Instant::now() < until {
        let known = timeout(LOOK, blocks.wait_for(Option::is_some)).await;
        let Some(blocks) = known.ok().and_then(|known| known.ok()?.clone()) else { continue };
        let asked = match rng.u8(..) {
            0 => vec![send(CHAIN_ID)],
            // Refused, and that is right.
            1 => vec![send(CHAIN_ID + 1)],
            _ => draw_at_the_head(&mut rng, &blocks.0, &blocks.1),
        };
        let patience = match rng.u8(..16) {
            0 => Duration::from_micros(rng.u64(..20_000)),
            _ => Duration::from_secs(60),
        };
        match timeout(patience, answers(&provider, &asked)).await {
            Ok(answers) => answers.into_iter().zip(&asked).for_each(|(answer, ask)| {
                seen.add(ask, answer.err());
            }),
            Err(_) => seen.abandoned += asked.len() as u64,
        }
    }
    seen
}

impl Answers {
    fn add(&mut self, ask: &Ask, error: Option<TransportError>) {
        match error {
            None => self.good += 1,
            Some(error) if cause::<RefusedTransaction>(&error).is_some() => self.good += 1,
            Some(error) => {
                self.bad += 1;
                self.first_error.get_or_insert_with(|| format!("{}: {error:.160}", ask.method));
            }
        }
    }
}

fn send(chain_id: u64) -> Ask {
    let nonce = NONCE.fetch_add(1, Relaxed);
    let (raw, _) = Transfer { chain_id, nonce, ..Transfer::default() }.signed();
    Ask::new("eth_sendRawTransaction", json!([raw]))
}

impl AddAssign for Answers {
    fn add_assign(&mut self, other: Self) {
        self.good += other.good;
        self.bad += other.bad;
        self.abandoned += other.abandoned;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { good, bad, abandoned, first_error } = self;
        write!(f, "{good} answers, {abandoned} abandoned, {bad} errors")?;
        first_error.as_ref().map_or(Ok(()), |error| write!(f, " ({error})"))
    }
}
