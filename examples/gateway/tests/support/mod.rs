//! A gateway over three simulated nodes, and who asks it.

#![allow(dead_code, reason = "not every test asks everything")]

pub(crate) mod process;

use alclad_gateway::{Config, Doors, Gateway};
use alclad_testkit::{SimChain, SimNode, SimServer};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

pub(crate) const PASSWORD: &str = "correct horse";
/// What stands in the path of each node's URL, and nowhere else.
pub(crate) const KEY: &str = "s3cr3tk3y";

pub(crate) struct Stage {
    pub(crate) chain: SimChain,
    pub(crate) nodes: [SimNode; 3],
    pub(crate) servers: Vec<SimServer>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) doors: Doors,
    pub(crate) http: Client,
}

impl Stage {
    /// With these lines at the beginning of its configuration.
    pub(crate) async fn with(settings: &str) -> Self {
        let chain = SimChain::new(7);
        chain.mine(100);
        let nodes = [(); 3].map(|()| SimNode::new(&chain));
        let mut servers = Vec::new();
        for node in &nodes {
            servers.push(node.serve_http().await);
        }
        let config = Config::parse(&config(settings, &servers)).expect("a good configuration");
        let (gateway, doors) = Gateway::start(config, PASSWORD).await.expect("it starts");
        let http = Client::builder().no_proxy().build().expect("a client");
        Self { chain, nodes, servers, gateway, doors, http }
    }

    pub(crate) async fn new() -> Self {
        Self::with("").await
    }

    pub(crate) fn public(&self, path: &str) -> String {
        format!("http://{}{path}", self.doors.public)
    }

    pub(crate) fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}/admin{path}", self.doors.admin);
        self.http.request(method, url).basic_auth("admin", Some(PASSWORD))
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.http.get(self.public(path))).await
    }

    pub(crate) async fn manage(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let request = self.admin(method, path);
        answer(if body.is_null() { request } else { request.body(body.to_string()) }).await
    }

    pub(crate) async fn post(&self, body: impl Into<String>) -> (StatusCode, String) {
        let response = self.http.post(self.public("/")).body(body.into()).send().await;
        let response = response.expect("an answer");
        (response.status(), response.text().await.expect("a text"))
    }

    pub(crate) async fn call(&self, method: &str, params: Value) -> Value {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (status, text) = self.post(call.to_string()).await;
        assert_eq!(status, StatusCode::OK);
        serde_json::from_str(&text).expect("JSON")
    }

    /// Calls that no cache answers.
    pub(crate) async fn calls(&self, count: usize) {
        for _ in 0..count {
            self.call("eth_gasPrice", json!([])).await;
        }
    }

    pub(crate) async fn provider(&self, id: &str) -> Value {
        self.manage(Method::GET, &format!("/providers/{id}"), Value::Null).await.1
    }
}

pub(crate) fn config(settings: &str, servers: &[SimServer]) -> String {
    let mut text =
        format!("listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n{settings}\n");
    for (id, server) in ["one", "two", "three"].into_iter().zip(servers) {
        text += &format!("[[endpoint]]\nid = \"{id}\"\nurl = \"{}v3/{KEY}\"\n", server.url());
    }
    text
}

pub(crate) async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status();
    (status, json_of(response).await)
}

pub(crate) async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON")
}

/// The names of an object's fields, in their order.
pub(crate) fn fields(object: &Value) -> Vec<&str> {
    let mut fields: Vec<_> =
        object.as_object().expect("an object").keys().map(|key| &**key).collect();
    fields.sort_unstable();
    fields
}

/// Waits for something that happens soon.
pub(crate) async fn soon<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}
