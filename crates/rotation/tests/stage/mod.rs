//! Other casts than the three nodes in order, and what is asked of them.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use crate::nodes::{Nodes, value};
use alclad_rotation::{Endpoint, EndpointSnapshot, RotationBuilder};
use alclad_testkit::{SimChain, SimNode, SimTransport, Transfer, request, single};
use alloy::primitives::{B256, Bytes};
use alloy_json_rpc::{Response, ResponsePacket};
use alloy_transport::TransportError;
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt;

/// `a`, `b` and `c` over twenty blocks, in a rotation of this builder.
pub fn three(builder: RotationBuilder) -> Nodes {
    dressed(builder, |_, endpoint| endpoint)
}

/// The same, each endpoint with settings of its own.
pub fn dressed(
    builder: RotationBuilder,
    dress: impl Fn(&str, Endpoint<SimTransport>) -> Endpoint<SimTransport>,
) -> Nodes {
    let chain = SimChain::new(7);
    chain.mine(20);
    on(chain, builder, dress)
}

/// The same, over this chain.
pub fn on(
    chain: SimChain,
    builder: RotationBuilder,
    dress: impl Fn(&str, Endpoint<SimTransport>) -> Endpoint<SimTransport>,
) -> Nodes {
    let nodes = [(); 3].map(|()| SimNode::new(&chain));
    let add = |builder: RotationBuilder, (label, node): (&str, &SimNode)| {
        builder.endpoint(dress(label, Endpoint::new(label, node.transport())))
    };
    let rotation = ["a", "b", "c"].into_iter().zip(&nodes).fold(builder, add).build();
    Nodes { chain, nodes, rotation }
}

pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Nodes {
    pub async fn try_ask(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<Response, TransportError> {
        match self.send(single(request(1, method, params))).await? {
            ResponsePacket::Single(answer) => Ok(answer),
            ResponsePacket::Batch(_) => panic!("a batch for a single call"),
        }
    }

    /// The result of a call that must not fail.
    pub async fn result(&self, method: &'static str, params: Value) -> Value {
        value(&self.ask(method, params).await)
    }

    /// What `eth_blockNumber` says.
    pub async fn head(&self) -> u64 {
        number(&self.result("eth_blockNumber", json!([])).await)
    }

    /// The balance of an account at a block, which must be right.
    pub async fn balance_at(&self, block: &str) {
        let params = json!([self.chain.accounts()[0], block]);
        let truth = self.chain.answer("eth_getBalance", params.clone()).expect("the truth");
        assert_eq!(self.result("eth_getBalance", params).await, truth, "at block {block}");
    }

    /// Lets every endpoint say where it is.
    pub async fn show_heads(&self) {
        for label in ["a", "b", "c"] {
            let packet = single(request(1, "eth_blockNumber", ()));
            self.rotation.pinned(label).oneshot(packet).await.expect("a head");
        }
        self.nodes.iter().for_each(SimNode::reset_counters);
    }

    pub fn seat(&self, index: usize) -> EndpointSnapshot {
        self.rotation.snapshot().swap_remove(index)
    }

    pub fn calls_of(&self, method: &str) -> [u64; 3] {
        [0, 1, 2].map(|node| self.nodes[node].calls(method))
    }

    pub async fn submit(&self, raw: &Bytes) -> Result<Response, TransportError> {
        self.try_ask("eth_sendRawTransaction", json!([raw])).await
    }

    pub fn sends(&self) -> [u64; 3] {
        self.calls_of("eth_sendRawTransaction")
    }

    /// The hash of a transaction in a new block that no endpoint has shown.
    pub fn mined(&self) -> Value {
        self.chain.mine_with(1, 1);
        let head = json!([format!("0x{:x}", self.chain.block_number()), false]);
        let block = self.chain.answer("eth_getBlockByNumber", head).expect("the new block");
        block["transactions"][0].clone()
    }
}

pub fn number(hex: &Value) -> u64 {
    let digits = hex.as_str().and_then(|hex| hex.strip_prefix("0x")).expect("a quantity");
    u64::from_str_radix(digits, 16).expect("a quantity")
}

/// A signed transfer, and its hash.
pub fn transfer(nonce: u64) -> (Bytes, B256) {
    transfer_of(9, nonce)
}

/// The same, of one of many accounts.
pub fn transfer_of(account: u8, nonce: u64) -> (Bytes, B256) {
    Transfer { account, nonce, ..Transfer::default() }.signed()
}
