//! The status page, in a browser.

#[path = "page/browser.rs"]
mod browser;
mod support;
#[path = "clients/tools.rs"]
mod tools;

use alclad_testkit::{Disruption, SimChain, SimNode, SimServer};
use browser::Browser;
use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use std::{path::Path, time::Duration};
use support::{PASSWORD, Stage, config, process::Program};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"eth_gasPrice","params":[]}"#;

/// How the health of an endpoint is worded.
fn state(id: &str) -> String {
    format!("document.querySelector('[data-endpoint={id}] .state')?.textContent")
}

fn is(id: &str, word: &str) -> String {
    format!("{} === '{word}'", state(id))
}

const LIVE: &str = "document.getElementById('stream').textContent === 'live' \
    && !document.body.classList.contains('lost')";

const LOST: &str = "document.getElementById('stream').textContent.startsWith('stream lost') \
    && document.getElementById('age').textContent.includes('old') \
    && document.body.classList.contains('lost')";

/// What is drawn below the ground or written with a minus.
const NEGATIVE: &str = "[...document.querySelectorAll('svg path')] \
    .filter((path) => { const box = path.getBBox(); return box.y < 0 || box.y + box.height > 36; }) \
    .map((path) => path.getAttribute('d')) \
    .concat(document.body.innerText.match(/[-−]\\d+([.]\\d+)?( %|[/]s)/g) ?? [])";

/// Clients that never rest; who drops them ends them.
fn clients(url: &str) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    let (http, url) = (Client::builder().no_proxy().build().unwrap(), url.to_owned());
    clients.spawn(async move {
        loop {
            let _ = http.post(&url).body(CALL).send().await;
            sleep(Duration::from_millis(10)).await;
        }
    });
    clients
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_an_endpoint_going_down_within_two_seconds_of_its_death() {
    // Whoever is the fastest: each is asked, and so each one's death is felt at once.
    let stage = Stage::with("strategy = \"weighted\"").await;
    let _clients = clients(&stage.public("/"));
    let hostile = r#"<img src="x" onerror="document.title = 'broken into'">"#;
    let url = stage.servers[0].url().to_string();
    let added = json!({ "id": hostile, "url": url, "priority": 2 });
    let (status, _) = stage.manage(Method::POST, "/providers", added).await;
    assert_eq!(status, StatusCode::CREATED);
    let mut page = Browser::open(&stage.public("/")).await;
    page.until(LIVE).await;
    for id in ["one", "two", "three"] {
        page.until(&is(id, "healthy")).await;
    }
    page.until("document.querySelectorAll('.endpoints > li').length === 4").await;
    let names = page.tell("[...document.querySelectorAll('h3')].map((name) => name.textContent)");
    assert!(names.await.as_array().unwrap().contains(&json!(hostile)));
    assert_eq!(page.tell("document.images.length").await, 0);
    assert_eq!(page.problems().await, [""; 0]);

    // On a machine that is busy with other things the browser may be late, but not thrice.
    let mut shown = Vec::new();
    while shown.len() < 3 && !shown.iter().any(|after| *after < Duration::from_secs(2)) {
        stage.nodes[1].clear();
        page.until(&is("two", "healthy")).await;
        stage.nodes[1].set(Disruption::Dead);
        let died = Instant::now();
        page.until(&is("two", "down")).await;
        shown.push(died.elapsed());
    }
    println!("shown after {shown:?}");
    assert!(shown.last().is_some_and(|after| *after < Duration::from_secs(2)), "{shown:?}");
    assert_eq!(page.tell(&state("one")).await, "healthy");
    page.until("document.querySelector('tbody')?.innerText.includes('Connection')").await;
    page.until("document.querySelector('.changes')?.innerText.includes('two open for')").await;
    for (name, width, scheme) in
        [("light", 1280, "light"), ("dark", 1280, "dark"), ("phone", 390, "light")]
    {
        page.picture(name, width, scheme).await;
        let overflow = "document.documentElement.scrollWidth - innerWidth";
        assert_eq!(page.tell(overflow).await, 0, "{name} is read without scrolling sideways");
    }

    stage.nodes[1].clear();
    page.until(&is("two", "healthy")).await;
    assert_eq!(page.problems().await, [""; 0]);
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plots_are_there_with_the_first_event() {
    let stage = Stage::new().await;
    let _clients = clients(&stage.public("/"));
    sleep(Duration::from_secs(4)).await;
    let mut page = Browser::open(&stage.public("/")).await;
    let points = "document.querySelector('.tiles svg path:last-of-type')\
        ?.getAttribute('d').split(/[ML]/).length - 1";
    let first = page.until(points).await;
    assert!(first.as_u64().is_some_and(|first| first >= 3), "{first} points");
    page.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_is_told_and_mended_without_a_hand() {
    let nodes = Nodes::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config("", &nodes.1)).unwrap();
    let mut program = Program::start(file.path(), PASSWORD).await;
    let url = format!("http://{}/", program.public);
    let _clients = clients(&url);
    let mut page = Browser::open(&url).await;
    let counted = "document.querySelectorAll('.endpoints > li').length === 3 \
        && parseFloat(document.querySelector('.big').textContent) > 0";
    page.until(counted).await;
    page.until(LIVE).await;

    // Silence: the connection stands, and nothing comes.
    program.signal("-STOP").await;
    page.until(LOST).await;
    assert_eq!(page.tell(counted).await, true, "the last picture stays");
    page.picture("lost", 1280, "light").await;
    program.signal("-CONT").await;
    page.until(LIVE).await;

    // A reload: all counts begin anew.
    program.signal("-HUP").await;
    program.logs("reloaded").await;
    let seen = page.tell("frames.at(-1).time").await;
    page.until(&format!("frames.at(-1).time > {seen} + 2500")).await;
    assert_eq!(page.tell(NEGATIVE).await, json!([]));
    assert_eq!(page.problems().await, [""; 0]);

    // An end, and a start at the same place.
    let public = program.public.clone();
    program.process.kill().await.unwrap();
    page.until(LOST).await;
    fixed(file.path(), &public, &nodes.1);
    let _program = Program::start(file.path(), PASSWORD).await;
    page.until(LIVE).await;
    let seen = page.tell("frames.at(-1).time").await;
    page.until(&format!("frames.at(-1).time > {seen} + 2500")).await;
    page.until(counted).await;
    assert_eq!(page.tell(NEGATIVE).await, json!([]));
    let uncaught = page.problems().await;
    assert!(!uncaught.iter().any(|problem| problem.starts_with("uncaught")), "{uncaught:?}");
    page.close().await;
}

struct Nodes(
    #[expect(dead_code, reason = "who drops them ends them")] [SimNode; 3],
    Vec<SimServer>,
);

impl Nodes {
    async fn start() -> Self {
        let chain = SimChain::new(7);
        chain.mine(100);
        let nodes = [(); 3].map(|()| SimNode::new(&chain));
        let mut servers = Vec::new();
        for node in &nodes {
            servers.push(node.serve_http().await);
        }
        Self(nodes, servers)
    }
}

/// The same configuration, at a place of its own.
fn fixed(file: &Path, public: &str, servers: &[SimServer]) {
    let text = config("", servers).replacen("127.0.0.1:0", public, 1);
    std::fs::write(file, text).unwrap();
}
