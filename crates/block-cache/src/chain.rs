//! What a pipeline knows of its chain, and the two questions that it asks of its own.

use crate::question::Topic;
use alclad_core::{BlockRef, ChainBaseline, Heads, Lookout, Method, Ready, Sighting, Upstream};
use alloy_json_rpc::{
    Id, Request, RequestPacket, Response, ResponsePacket, RpcSend, SerializedRequest,
};
use alloy_primitives::U64;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{sync::OnceCell, time::Instant};

/// Where no endpoint tells which block is final, a block that has so many above it is taken for
/// it: the states of so many a full node keeps to go back to.
pub(crate) const FINAL_DEPTH: u64 = 128;
/// Between two questions for the final block so many blocks pass: an epoch, as on Ethereum, after
/// which there is another one.
const EPOCH: u32 = 32;
/// A block that is so near to the head is not final yet.
const NEAR: u64 = 64;

static PIPELINES: AtomicU64 = AtomicU64::new(0);

/// What a pipeline knows of its chain.
pub(crate) struct Chain {
    baseline: ChainBaseline,
    pub(crate) heads: Heads,
    /// What is fed with the answers that pass, where nobody else feeds the heads.
    lookout: Option<Lookout>,
    final_depth: u64,
    /// Which one it is, among those that share a store.
    pub(crate) pipeline: u64,
    asked: OnceCell<()>,
    looked: Mutex<Option<Instant>>,
}

/// What was known when a question was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    pub(crate) reorgs: u64,
    /// Blocks up to here are final.
    pub(crate) final_height: Option<u64>,
}

impl Chain {
    pub(crate) fn new(baseline: ChainBaseline, heads: Option<Heads>, final_depth: u64) -> Self {
        let is_alone = heads.is_none();
        let heads = heads.unwrap_or_default();
        let lookout = is_alone.then(|| heads.enrol("upstream".into()));
        let (asked, looked) = (OnceCell::new(), Mutex::default());
        let pipeline = PIPELINES.fetch_add(1, Relaxed);
        Self { baseline, heads, lookout, final_depth, pipeline, asked, looked }
    }

    pub(crate) fn id(&self) -> Option<u64> {
        self.baseline.chain_id()
    }

    /// Whether it alone feeds its heads, and so cannot tell one endpoint from another.
    pub(crate) const fn is_alone(&self) -> bool {
        self.lookout.is_some()
    }

    pub(crate) fn now(&self) -> Moment {
        let final_height = self.final_height();
        Moment { at: Instant::now(), reorgs: self.heads.reorgs(), final_height }
    }

    /// Blocks up to here are final.
    pub(crate) fn final_height(&self) -> Option<u64> {
        let by_depth = || self.heads.latest()?.checked_sub(self.final_depth);
        self.heads.finalized().or_else(by_depth)
    }

    /// An answer has passed.
    pub(crate) fn saw(&self, method: &Method, asked: BlockRef, answer: &Response) {
        let Some(lookout) = self.lookout.as_ref().filter(|_| method.shows_block) else { return };
        if let Some(sighting) = Sighting::of_given(method.name, asked, answer) {
            lookout.saw(&sighting);
        }
    }

    /// Asks which chain it is, if that is not known.
    pub(crate) async fn learn_id<S: Upstream, T>(&self, mut inner: Ready<S, T>) {
        let asking = async || {
            let packet = question("eth_chainId", [(); 0]).ok_or(())?;
            let answer = inner.call(packet).await.map_err(drop)?;
            // A number in another base, or none at all, would be read too.
            let id = result(&answer).filter(|id| id.starts_with("\"0x") && id.len() > 4);
            let chain_id: U64 = id.and_then(|id| serde_json::from_str(id).ok()).ok_or(())?;
            self.baseline.learn(chain_id.to());
            Ok(())
        };
        if self.id().is_none() {
            // Without it nothing is kept, and the next question tries again.
            let _: Result<_, ()> = self.asked.get_or_try_init(asking).await;
        }
    }

    /// Asks which block is final.
    pub(crate) async fn look_for_final<S: Upstream, T>(&self, mut inner: Ready<S, T>) {
        let Some(packet) = question(BY_NUMBER, ("finalized", false)) else { return };
        let again = Again(Some(self));
        if let Ok(ResponsePacket::Single(answer)) = inner.call(packet).await {
            again.done();
            let tag = BlockRef::Tag(alclad_core::Tag::Finalized);
            self.saw(Method::of(BY_NUMBER), tag, &answer);
        }
    }

    /// Whether how long an answer to this is kept may depend on which block is final, and nobody
    /// has asked for that in a while.
    pub(crate) fn must_look(&self, topic: Topic) -> bool {
        let number = match topic {
            Topic::Constant | Topic::Latest(_) => return false,
            Topic::Height { to, .. } => Some(to),
            Topic::InBlock => None,
        };
        let is_final = number.is_some_and(|number| self.heads.finalized() >= Some(number));
        let is_near = number.zip(self.heads.latest()).is_some_and(|(number, latest)| {
            number <= latest && number.saturating_add(NEAR) > latest
        });
        !is_final && !is_near && self.is_due()
    }

    fn is_due(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let pause: Duration = self.heads.block_time().saturating_mul(EPOCH);
        let is_due = looked.is_none_or(|looked| looked.elapsed() >= pause);
        if is_due {
            *looked = Some(Instant::now());
        }
        is_due
    }
}

/// A question that had no answer is asked again a block later.
struct Again<'a>(Option<&'a Chain>);

impl Again<'_> {
    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Again<'_> {
    fn drop(&mut self) {
        if let Some(chain) = self.0 {
            let rest = chain.heads.block_time().saturating_mul(EPOCH - 1);
            let mut looked = chain.looked.lock().unwrap_or_else(PoisonError::into_inner);
            *looked = Instant::now().checked_sub(rest);
        }
    }
}

/// The id of its own questions.
const OWN: &str = "alclad-block-cache";
const BY_NUMBER: &str = "eth_getBlockByNumber";

fn question(method: &'static str, params: impl RpcSend) -> Option<RequestPacket> {
    let id = Id::String(OWN.into());
    let request: SerializedRequest = Request::new(method, id, params).serialize().ok()?;
    Some(RequestPacket::Single(request))
}

fn result(answer: &ResponsePacket) -> Option<&str> {
    match answer {
        ResponsePacket::Single(answer) if answer.id.as_string() != Some(OWN) => None,
        ResponsePacket::Single(answer) => answer.payload.as_success().map(|raw| raw.get()),
        ResponsePacket::Batch(_) => None,
    }
}
