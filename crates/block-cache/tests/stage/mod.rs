//! A chain, a rotation over its nodes, and a cache above.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

mod script;

#[allow(unused_imports, reason = "each test binary uses a part of it")]
pub(crate) use script::{FINAL, HEAD, Scene, Script, block, block_json, hash, hash_on, newest};

use alclad_block_cache::{BlockCache, BlockCacheLayer, BlockCacheService, Count};
use alclad_rotation::{Endpoint, Rotation};
use alclad_testkit::{ChainSpec, SimChain, SimNode};
use alloy_json_rpc::{
    Id, Request, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest,
};
use alloy_transport::TransportError;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tower::{Layer, Service, ServiceExt};

pub(crate) type Cached = BlockCacheService<Rotation>;

pub(crate) struct Stage {
    pub(crate) chain: SimChain,
    pub(crate) node: SimNode,
    pub(crate) rotation: Rotation,
    pub(crate) store: BlockCache,
    pub(crate) cached: Cached,
}

impl Stage {
    /// A chain of 200 blocks, of which 136 are final.
    pub(crate) fn new() -> Self {
        Self::with(|layer| layer)
    }

    pub(crate) fn with(set: impl FnOnce(BlockCacheLayer) -> BlockCacheLayer) -> Self {
        Self::of(ChainSpec::new(7).with_finality(32, 64), 200, set)
    }

    /// A chain of this kind and length.
    pub(crate) fn on(spec: ChainSpec, blocks: u64) -> Self {
        Self::of(spec, blocks, |layer| layer)
    }

    fn of(
        spec: ChainSpec,
        blocks: u64,
        set: impl FnOnce(BlockCacheLayer) -> BlockCacheLayer,
    ) -> Self {
        let chain = SimChain::start(spec);
        chain.mine(blocks);
        let node = SimNode::new(&chain);
        let endpoint = Endpoint::new("a", node.transport());
        let rotation = Rotation::builder().endpoint(endpoint).build();
        let layer = BlockCacheLayer::new().with_chain_id(chain.chain_id());
        let layer = set(layer.with_heads(rotation.heads()));
        let store = layer.store();
        let cached = layer.layer(rotation.clone());
        Self { chain, node, rotation, store, cached }
    }

    /// The heads learn the head, what it links to, and what is final.
    pub(crate) async fn look(&self) {
        let head = self.chain.block_number();
        for number in head.saturating_sub(3)..=head {
            self.below("eth_getBlockByNumber", json!([format!("0x{number:x}"), false])).await;
        }
        self.below("eth_getBlockByNumber", json!(["finalized", false])).await;
        self.below("eth_blockNumber", json!([])).await;
        self.node.reset_counters();
    }

    async fn below(&self, method: &'static str, params: Value) {
        let answer = self.rotation.clone().oneshot(packet(1, method, params)).await;
        answer.expect("an answer");
    }

    pub(crate) async fn ask(&self, method: &'static str, params: Value) -> Value {
        ask(&self.cached, method, params).await
    }

    /// Whether this is now answered without asking.
    pub(crate) async fn is_hit(&self, method: &'static str, params: Value) -> bool {
        let before = self.node.total_calls();
        let answer = self.ask(method, params.clone()).await;
        let truth = self.chain.answer(method, params).expect("the chain knows");
        assert!(answer == truth, "{method}: {answer} is not {truth}");
        self.node.total_calls() == before
    }

    /// Every block from here to the head is shown.
    pub(crate) async fn look_from(&self, lowest: u64) {
        for number in lowest..=self.chain.block_number() {
            self.below("eth_getBlockByNumber", json!([hex(number), false])).await;
        }
        self.look().await;
    }

    /// The hash of the first transaction at or above this height, and its block.
    pub(crate) fn transaction_from(&self, number: u64) -> (Value, u64) {
        let mut blocks = (number..).map(|number| (self.chain.block(number).unwrap(), number));
        blocks
            .find_map(|(block, number)| {
                let hash = block.transactions.hashes().next()?;
                Some((json!(hash), number))
            })
            .unwrap()
    }

    pub(crate) fn count(&self) -> Count {
        self.store.statistics().total
    }
}

pub(crate) fn request(id: u64, method: &'static str, params: Value) -> SerializedRequest {
    Request::new(method, Id::Number(id), params).serialize().expect("JSON")
}

pub(crate) fn packet(id: u64, method: &'static str, params: Value) -> RequestPacket {
    RequestPacket::Single(request(id, method, params))
}

pub(crate) async fn call<S>(
    service: &S,
    packet: RequestPacket,
) -> Result<ResponsePacket, TransportError>
where
    S: Service<RequestPacket, Response = ResponsePacket, Error = TransportError> + Clone,
{
    service.clone().oneshot(packet).await
}

pub(crate) async fn ask<S>(service: &S, method: &'static str, params: Value) -> Value
where
    S: Service<RequestPacket, Response = ResponsePacket, Error = TransportError> + Clone,
{
    static ID: AtomicU64 = AtomicU64::new(1000);
    let id = ID.fetch_add(1, Relaxed);
    match call(service, packet(id, method, params)).await.expect("an answer") {
        ResponsePacket::Single(response) => {
            assert_eq!(response.id, Id::Number(id));
            value(response)
        }
        ResponsePacket::Batch(_) => panic!("a batch for a single request"),
    }
}

pub(crate) fn value(response: Response) -> Value {
    match response.payload {
        ResponsePayload::Success(raw) => serde_json::from_str(raw.get()).expect("JSON"),
        ResponsePayload::Failure(error) => panic!("{error}"),
    }
}

pub(crate) fn hex(number: u64) -> String {
    format!("0x{number:x}")
}
