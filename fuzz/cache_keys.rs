mod question;
mod spelling;

use self::{
    question::{FINAL, Question},
    spelling::Pen,
};
use crate::scripted::{Scripted, call};
use alclad_block_cache::{BlockCache, BlockCacheLayer, BlockCacheService};
use alclad_core::{EndpointId, Heads, Lookout, Sighting};
use alloy_json_rpc::{Id, Request, RequestPacket, Response, ResponsePacket, ResponsePayload};
use arbitrary::{Arbitrary, Unstructured};
use serde_json::value::RawValue;
use std::sync::{Arc, LazyLock, Mutex};
use tokio::runtime::{Builder, Runtime};
use tower::Layer;

/// Two questions, the first in two spellings: the cache knows the first again however it is spelt,
/// and never takes the second, or the same question on another chain, for it.
pub fn cache_keys(input: &[u8]) {
    let Ok(pair) = Pair::arbitrary_take_rest(Unstructured::new(input)) else { return };
    let _timers = RUNTIME.enter();
    let store = BlockCache::new(1 << 20);
    let (heads, _lookout) = heads();
    let [mut cache, mut elsewhere] = [1, 2].map(|chain_id| Cache::new(&store, chain_id, &heads));
    let Pair { one, other, spellings: [spelling, another, third] } = &pair;
    assert!(cache.asks_below(one, spelling), "it was not asked before: {pair:?}");
    let is_kept = one.can_be_kept();
    assert_eq!(cache.asks_below(one, spelling), !is_kept, "{pair:?}");
    assert_eq!(cache.asks_below(one, another), !is_kept, "{pair:?}");
    let other = other.as_ref().unwrap_or(one);
    let is_known = is_kept && other.meaning() == one.meaning();
    assert_eq!(cache.asks_below(other, third), !is_known, "{pair:?}");
    assert!(elsewhere.asks_below(one, spelling), "{pair:?}");
}

#[derive(Arbitrary, Debug)]
struct Pair {
    spellings: [[u8; 12]; 3],
    one: Question,
    /// Nothing is the first once more.
    other: Option<Question>,
}

/// A cache over an endpoint that gives what it is told to.
struct Cache {
    service: BlockCacheService<Scripted>,
    answer: Arc<Mutex<Option<Box<RawValue>>>>,
}

impl Cache {
    fn new(store: &BlockCache, chain_id: u64, heads: &Heads) -> Self {
        let answer = Arc::new(Mutex::new(None));
        let below = Scripted::new({
            let answer = Arc::clone(&answer);
            move |packet| {
                let id = packet.requests()[0].id().clone();
                let is_ours = id == Id::Number(7);
                let answer = answer.lock().expect("no panic").take_if(|_| is_ours);
                // What the cache asks by itself has no answer.
                let answer = answer.unwrap_or_else(|| RawValue::NULL.to_owned());
                let payload = ResponsePayload::Success(answer);
                Ok(ResponsePacket::Single(Response { id, payload }))
            }
        });
        let layer = BlockCacheLayer::new().with_store(store.clone()).with_chain_id(chain_id);
        Self { service: layer.with_heads(heads.clone()).layer(below), answer }
    }

    /// Whether this question, spelt so, reaches the endpoint.
    fn asks_below(&mut self, question: &Question, spelling: &[u8]) -> bool {
        let params = question.params(&mut Pen::new(spelling));
        let params = RawValue::from_string(params).expect("it is JSON");
        let request = Request::new(question.method(), Id::Number(7), params).serialize();
        let request = request.expect("it is JSON");
        let right = RawValue::from_string(question.answer()).expect("it is JSON");
        *self.answer.lock().expect("no panic") = Some(right.clone());
        let answer = call(&mut self.service, RequestPacket::Single(request));
        let answer = answer.expect("nothing goes wrong");
        let given = answer.as_single().and_then(|answer| answer.payload.as_success());
        assert_eq!(given.map(|given| given.get()), Some(right.get()), "{question:?}");
        self.answer.lock().expect("no panic").is_none()
    }
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_current_thread().enable_time().build().expect("a runtime without sockets")
});

/// Of a chain on which much is final.
fn heads() -> (Heads, Lookout) {
    let heads = Heads::new();
    let lookout = heads.enrol(EndpointId::from("a"));
    let mut sighting = Sighting::block_number(1_000);
    sighting.finalized = Some(FINAL.into());
    lookout.saw(&sighting);
    (heads, lookout)
}
