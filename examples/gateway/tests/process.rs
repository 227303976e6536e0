//! The program: signals, and what becomes of calls meanwhile.

mod support;

use alclad_testkit::{Disruption, SimChain, SimNode};
use reqwest::{Client, StatusCode};
use serde_json::json;
use std::time::Duration;
use support::{PASSWORD, config, json_of, process::Program};
use tokio::time::sleep;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"eth_gasPrice","params":[]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_whom_it_asks_and_loses_no_call() {
    let chain = SimChain::new(7);
    chain.mine(100);
    let nodes = [(); 2].map(|()| SimNode::new(&chain));
    let servers = [nodes[0].serve_http().await, nodes[1].serve_http().await];
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config("", &servers[..1])).unwrap();
    let mut program = Program::start(file.path(), PASSWORD).await;
    let (http, url) =
        (Client::builder().no_proxy().build().unwrap(), format!("http://{}/", program.public));
    let call = {
        let (http, url) = (http.clone(), url.clone());
        move || {
            let request = http.post(&url).body(CALL).send();
            async move { json_of(request.await.unwrap()).await["result"].is_string() }
        }
    };
    assert!(call().await && nodes[1].packets() == 0);
    nodes[0].set(Disruption::SlowBy(Duration::from_millis(300)));
    let in_flight = tokio::spawn(call());
    sleep(Duration::from_millis(50)).await;
    let other = config("", &servers).replace("\"one\"", "\"other\"");
    let other = other.replace(&servers[0].url().to_string(), servers[1].url().as_ref());
    let other = other[..other.rfind("[[endpoint]]").unwrap()].to_owned();
    std::fs::write(file.path(), other).unwrap();
    program.signal("-HUP").await;
    program.logs("reloaded").await;
    assert!(in_flight.await.unwrap(), "what was in flight ends in the old stack");
    nodes[0].reset_counters();
    for _ in 0..5 {
        assert!(call().await);
    }
    assert_eq!((nodes[0].calls("eth_gasPrice"), nodes[1].calls("eth_gasPrice")), (0, 5));
    let metrics = http.get(format!("{url}metrics")).send().await.unwrap().text().await.unwrap();
    for (provider, is_well) in [("one", 0), ("other", 1)] {
        let line = format!("rpc_lb_provider_health{{provider=\"{provider}\"}} {is_well}");
        assert!(metrics.contains(&line), "{line} in\n{metrics}");
    }
    std::fs::write(file.path(), "listen = 5").unwrap();
    program.signal("-HUP").await;
    let told = program.logs("not reloaded").await;
    assert!(told.contains("line 1"), "{told}");
    assert!(call().await, "a bad file changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_when_the_calls_in_flight_have_ended() {
    let chain = SimChain::new(7);
    chain.mine(100);
    let node = SimNode::new(&chain);
    let servers = [node.serve_http().await];
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config("", &servers)).unwrap();
    let mut program = Program::start(file.path(), PASSWORD).await;
    let http = Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}", program.public);
    let ready = http.post(&url).body(CALL).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
    let events = http.get(format!("{url}/events")).send().await.unwrap();
    node.set(Disruption::SlowBy(Duration::from_millis(500)));
    let in_flight = tokio::spawn(http.post(&url).body(CALL).send());
    sleep(Duration::from_millis(100)).await;
    program.signal("-TERM").await;
    program.logs("stopping").await;
    let answer = json_of(in_flight.await.unwrap().unwrap()).await;
    assert_eq!(answer["id"], json!(1));
    assert!(answer["result"].is_string());
    assert!(program.process.wait().await.unwrap().success());
    assert!(events.text().await.unwrap().contains("event: history"));
    assert!(http.post(&url).body(CALL).send().await.is_err());
}
