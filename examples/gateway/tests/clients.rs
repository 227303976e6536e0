//! Clients that others wrote read blocks, send a transaction and wait for its receipt, through a
//! gateway of whose two endpoints one is dead.

mod support;
#[path = "clients/tools.rs"]
mod tools;

use alclad_gateway::{Config, Doors, Gateway};
use alclad_testkit::{Disruption, SimChain, SimNode, SimServer};
use reqwest::{Client, header::CONTENT_TYPE};
use serde_json::{Value, json};
use std::{process::Stdio, sync::Arc};
use support::{PASSWORD, answer};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use tools::{script, tool};

/// Of the first account that every anvil makes rich.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const TO: &str = "0x00000000000000000000000000000000000a11ce";

struct Market {
    /// Straight to the node, for the truth.
    direct: String,
    url: String,
    _anvil: Child,
    _dead: SimServer,
    _gateway: (Arc<Gateway>, Doors),
}

impl Market {
    async fn open() -> Self {
        let (anvil, direct) = anvil().await;
        let node = SimNode::new(&SimChain::new(7));
        node.set(Disruption::Dead);
        let dead = node.serve_http().await;
        let endpoint = |id, url: &str| format!("[[endpoint]]\nid = \"{id}\"\nurl = \"{url}\"\n");
        let text = format!(
            "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n{}{}",
            endpoint("dead", dead.url().as_str()),
            endpoint("anvil", &direct),
        );
        let config = Config::parse(&text).expect("a good configuration");
        let gateway = Gateway::start(config, PASSWORD).await.expect("it starts");
        let url = format!("http://{}/", gateway.1.public);
        Self { direct, url, _anvil: anvil, _dead: dead, _gateway: gateway }
    }

    /// Runs a client of which one line says what it did, and compares that with the node.
    async fn serves(&self, client: &mut Command) {
        let told = json(client.args([&self.url, KEY, TO])).await;
        assert!(told["read"].is_u64(), "{told}");
        assert_eq!(told["status"], 1, "{told}");
        assert!(told["mined"].as_array().unwrap().contains(&told["hash"]), "{told}");
        self.has(&told["hash"]).await;
    }

    async fn has(&self, hash: &Value) {
        let params = json!([hash]);
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_getTransactionByHash", "params": params });
        let http = Client::builder().no_proxy().build().unwrap();
        let (_, sent) = answer(
            http.post(&self.direct).header(CONTENT_TYPE, "application/json").body(call.to_string()),
        )
        .await;
        assert_eq!(sent["result"]["to"], TO);
        assert_eq!(sent["result"]["value"], "0xde0b6b3a7640000");
    }
}

/// A node that mines a block every second, so that a receipt has to be waited for.
async fn anvil() -> (Child, String) {
    let mut anvil = tool("anvil");
    anvil.args(["--port", "0", "--block-time", "1"]).stdout(Stdio::piped());
    let mut anvil = anvil.spawn().expect("it starts");
    let mut log = BufReader::new(anvil.stdout.take().expect("it is piped")).lines();
    let address = loop {
        let line = log.next_line().await.expect("a text").expect("it goes on");
        if let Some(address) = line.strip_prefix("Listening on ") {
            break address.to_owned();
        }
    };
    // Who nobody reads from must not stop it.
    tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
    (anvil, format!("http://{address}/"))
}

/// What a program prints.
async fn json(program: &mut Command) -> Value {
    let output = program.output().await.expect("it starts");
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program:?}: {stdout}{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|bad| panic!("{bad}: {stdout}{stderr}"))
}

fn node(path: &str) -> Command {
    let mut node = tool("node");
    node.arg(script(path));
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn cast_is_served() {
    let market = Market::open().await;
    let cast = async |arguments: &[&str]| {
        json(tool("cast").args(arguments).args(["--json", "--rpc-url", &market.url])).await
    };
    assert!(cast(&["block", "latest"]).await["number"].is_string());
    let receipt = cast(&["send", TO, "--value", "1ether", "--private-key", KEY]).await;
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    let hash = &receipt["transactionHash"];
    let number = receipt["blockNumber"].as_str().unwrap();
    let block = cast(&["block", number]).await;
    assert_eq!(block["transactions"], json!([hash]));
    assert_eq!(cast(&["receipt", hash.as_str().unwrap()]).await["blockNumber"], number);
    market.has(hash).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ethers_is_served() {
    Market::open().await.serves(&mut node("clients/ethers.cjs")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viem_is_served() {
    Market::open().await.serves(&mut node("clients/viem.cjs")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web3_py_is_served() {
    let mut python = tool("python");
    // What it compiles is not kept beside the script.
    python.arg("-B").arg(script("clients/web3_py.py"));
    Market::open().await.serves(&mut python).await;
}
