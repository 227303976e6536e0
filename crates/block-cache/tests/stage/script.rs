//! A service whose answers a closure gives, and which says who it is.

use super::{hex, request};
use alclad_block_cache::{BlockCache, BlockCacheLayer, BlockCacheService};
use alclad_core::{EndpointId, Heads, Lookout, SightedBlock, Sighting, note};
use alclad_testkit::ErrorObject;
use alloy_json_rpc::{
    ErrorPayload, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest,
};
use alloy_primitives::B256;
use alloy_transport::{TransportError, TransportFut};
use serde_json::{Value, value::to_raw_value};
use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tower::{Layer, Service};

type Answers = dyn Fn(&str, &Value) -> Result<Value, ErrorObject> + Send + Sync;

#[derive(Clone)]
pub(crate) struct Script {
    answers: Arc<Answers>,
    endpoint: Option<EndpointId>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    packets: Arc<Mutex<u64>>,
    delay: Option<Duration>,
}

impl Script {
    /// Answers so, in the name of `a`.
    pub(crate) fn new(
        answers: impl Fn(&str, &Value) -> Result<Value, ErrorObject> + Send + Sync + 'static,
    ) -> Self {
        let (asked, packets) = (Arc::default(), Arc::default());
        Self { answers: Arc::new(answers), endpoint: Some("a".into()), asked, packets, delay: None }
    }

    /// Always answers this.
    pub(crate) fn saying(answer: Value) -> Self {
        Self::new(move |_, _| Ok(answer.clone()))
    }

    pub(crate) fn by(mut self, endpoint: Option<&'static str>) -> Self {
        self.endpoint = endpoint.map(EndpointId::from);
        self
    }

    /// Every answer takes so long.
    pub(crate) fn slow(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    pub(crate) fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.asked().iter().filter(|(asked, _)| asked == method).count()
    }

    pub(crate) fn calls(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    pub(crate) fn packets(&self) -> u64 {
        *self.packets.lock().unwrap()
    }

    fn answer(&self, request: &SerializedRequest) -> Response {
        let params = request
            .params()
            .map_or(Value::Null, |params| serde_json::from_str(params.get()).expect("JSON"));
        let answer = (self.answers)(request.method(), &params);
        self.asked.lock().unwrap().push((request.method().to_owned(), params));
        let payload = match answer {
            Ok(value) => ResponsePayload::Success(to_raw_value(&value).expect("JSON")),
            Err(error) => ResponsePayload::Failure(ErrorPayload {
                code: error.code,
                message: error.message,
                data: error.data.map(|data| to_raw_value(&data).expect("JSON")),
            }),
        };
        Response { id: request.id().clone(), payload }
    }
}

impl Service<RequestPacket> for Script {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            *this.packets.lock().unwrap() += 1;
            match this.delay {
                Some(delay) => tokio::time::sleep(delay).await,
                None => tokio::task::yield_now().await,
            }
            note::record(|note| note.endpoint.clone_from(&this.endpoint));
            Ok(match &packet {
                RequestPacket::Single(request) => ResponsePacket::Single(this.answer(request)),
                RequestPacket::Batch(requests) => {
                    ResponsePacket::Batch(requests.iter().map(|one| this.answer(one)).collect())
                }
            })
        })
    }
}

/// A script below a cache, and heads that the test moves by hand.
pub(crate) struct Scene {
    pub(crate) script: Script,
    pub(crate) heads: Heads,
    pub(crate) a: Lookout,
    pub(crate) store: BlockCache,
    pub(crate) cached: BlockCacheService<Script>,
}

/// The height of the scene's head.
pub(crate) const HEAD: u64 = 1000;
/// The height of its final block.
pub(crate) const FINAL: u64 = 900;

impl Scene {
    pub(crate) fn new(script: Script) -> Self {
        Self::with(script, |layer| layer)
    }

    /// The endpoint `a` has shown its head, 1000, the three blocks below, and the final one, 900.
    pub(crate) fn with(
        script: Script,
        set: impl FnOnce(BlockCacheLayer) -> BlockCacheLayer,
    ) -> Self {
        let heads = Heads::new().with_block_time(std::time::Duration::from_secs(12));
        let a = heads.enrol("a".into());
        let layer = set(BlockCacheLayer::new().with_chain_id(1).with_heads(heads.clone()));
        let store = layer.store();
        let cached = layer.layer(script.clone());
        let scene = Self { script, heads, a, store, cached };
        scene.show_final(FINAL);
        scene.show(HEAD);
        scene
    }

    /// `a` shows this head and three blocks below it.
    pub(crate) fn show(&self, head: u64) {
        self.a.saw(&Sighting::block_number(head));
        for number in head - 3..=head {
            self.a.saw(&Sighting::of_block(block(number)));
        }
    }

    pub(crate) fn show_final(&self, number: u64) {
        let mut sighting = Sighting::of_block(block(number));
        sighting.finalized = Some(number);
        self.a.saw(&sighting);
    }

    pub(crate) fn show_safe(&self, number: u64) {
        let mut sighting = Sighting::default();
        sighting.safe = Some(number);
        self.a.saw(&sighting);
    }

    pub(crate) async fn ask(&self, method: &'static str, params: Value) -> Value {
        super::ask(&self.cached, method, params).await
    }

    /// Whether this is now answered without asking.
    pub(crate) async fn is_hit(&self, method: &'static str, params: Value) -> bool {
        let before = self.script.packets();
        super::call(&self.cached, RequestPacket::Single(request(1, method, params)))
            .await
            .expect("an answer");
        self.script.packets() == before
    }

    /// Whether this is kept when it is asked.
    pub(crate) async fn keeps(&self, method: &'static str, params: Value) -> bool {
        assert!(!self.is_hit(method, params.clone()).await, "{method} {params} was kept before");
        self.is_hit(method, params).await
    }
}

/// A block that is the newest one.
pub(crate) fn newest(block: SightedBlock) -> Sighting {
    let mut sighting = Sighting::of_block(block);
    sighting.latest = Some(block.number);
    sighting
}

/// The hash of the block at this height, on this branch.
pub(crate) fn hash_on(branch: u8, number: u64) -> B256 {
    let mut hash = B256::with_last_byte(branch);
    hash[..8].copy_from_slice(&number.to_be_bytes());
    hash
}

pub(crate) fn hash(number: u64) -> B256 {
    hash_on(0xaa, number)
}

pub(crate) fn block(number: u64) -> SightedBlock {
    SightedBlock::new(number, hash(number)).with_parent(hash(number.saturating_sub(1)))
}

/// A block with nothing in it, as a node answers it.
pub(crate) fn block_json(number: u64, hash: B256, parent: B256) -> Value {
    serde_json::json!({
        "number": hex(number), "hash": hash, "parentHash": parent, "timestamp": hex(number * 12),
        "transactions": [],
    })
}
