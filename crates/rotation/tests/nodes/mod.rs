//! Three nodes of one chain behind a rotation, in process.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use alclad_rotation::{Endpoint, EndpointState, Ordered, Rotation, RotationBuilder};
use alclad_testkit::{SimChain, SimNode};
use alloy_json_rpc::{RequestPacket, Response, ResponsePacket};
use alloy_transport::TransportError;
use serde_json::{Value, json};
use tower::ServiceExt;

pub struct Nodes {
    pub chain: SimChain,
    pub nodes: [SimNode; 3],
    pub rotation: Rotation,
}

impl Nodes {
    /// `a`, `b` and `c`, in that order, over twenty blocks.
    pub fn new() -> Self {
        let chain = SimChain::new(7);
        chain.mine(20);
        let nodes = [(); 3].map(|()| SimNode::new(&chain));
        let add = |builder: RotationBuilder, (label, node): (&str, &SimNode)| {
            builder.endpoint(Endpoint::new(label, node.transport()))
        };
        let rotation = ["a", "b", "c"].into_iter().zip(&nodes).fold(in_order(), add).build();
        Self { chain, nodes, rotation }
    }

    pub async fn send(&self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        self.rotation.clone().oneshot(packet).await
    }

    /// Asks for one thing, and expects one answer.
    pub async fn ask(&self, method: &'static str, params: Value) -> Response {
        let packet = alclad_testkit::single(alclad_testkit::request(1, method, params));
        match self.send(packet).await.expect("an answer") {
            ResponsePacket::Single(answer) => answer,
            ResponsePacket::Batch(_) => panic!("a batch for a single call"),
        }
    }

    /// A balance at a block that all nodes have, checked against the chain.
    pub async fn read_well(&self) {
        let params = json!([self.chain.accounts()[0], "0x5"]);
        let truth = self.chain.answer("eth_getBalance", params.clone()).expect("the truth");
        let answer = self.ask("eth_getBalance", params).await;
        assert_eq!(value(&answer), truth);
    }

    pub fn calls(&self) -> [u64; 3] {
        [0, 1, 2].map(|node| self.nodes[node].total_calls())
    }

    pub fn state(&self, index: usize) -> EndpointState {
        self.rotation.snapshot()[index].state
    }
}

/// The first that can serve.
pub fn in_order() -> RotationBuilder {
    Rotation::builder().with_strategy(Ordered::strict())
}

pub fn value(answer: &Response) -> Value {
    let result = answer.payload.as_success().expect("a result, not an error");
    serde_json::from_str(result.get()).expect("JSON")
}

pub fn code(answer: &Response) -> i64 {
    answer.payload.as_error().expect("an error").code
}
