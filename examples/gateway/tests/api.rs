//! The API, row by row, over HTTP.

mod support;

use alclad_gateway::Config;
use alclad_testkit::{Disruption, SimNode};
use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{
    Method, StatusCode,
    header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, WWW_AUTHENTICATE},
};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use support::{KEY, PASSWORD, Stage, answer, fields, json_of, soon};
use tokio::{net::TcpStream, time::sleep};

const SCOPE: &str = r#"{"scope":"all"}"#;
const PROVIDER: [&str; 9] = [
    "avgLatencyMs",
    "circuitBreakerState",
    "errorCount",
    "healthy",
    "id",
    "lastHealthCheck",
    "requestCount",
    "url",
    "weight",
];

#[track_caller]
fn assert_is_date(date: &Value) {
    let date = date.as_str().unwrap_or_else(|| panic!("a date and not {date}"));
    let date = humantime::parse_rfc3339(date).unwrap_or_else(|bad| panic!("{date}: {bad}"));
    let apart = SystemTime::now().duration_since(date).map_or(0, |apart| apart.as_secs());
    assert!(apart < 3600, "{apart} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_answered_with_the_id_that_it_had() {
    let stage = Stage::new().await;
    let call = r#"{"jsonrpc":"2.0","method":"eth_blockNumber","params":[],"id":1.00}"#;
    let response = stage.http.post(stage.public("/")).body(call).send().await.unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    let text = response.text().await.unwrap();
    assert_eq!(text, r#"{"jsonrpc":"2.0","id":1.00,"result":"0x64"}"#);
    let batch = r#"[{"jsonrpc":"2.0","id":"a","method":"eth_chainId"},{"jsonrpc":"2.0","method":"eth_chainId"}]"#;
    let answered = r#"[{"jsonrpc":"2.0","id":"a","result":"0x1"}]"#.to_owned();
    assert_eq!(stage.post(batch).await, (StatusCode::OK, answered));
    let notification = r#"{"jsonrpc":"2.0","method":"eth_chainId"}"#;
    assert_eq!(stage.post(notification).await, (StatusCode::NO_CONTENT, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_call_has_the_codes_of_json_rpc() {
    let stage = Stage::with("max_body_bytes = 1000\nmax_batch = 2").await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
    for (body, status, code) in [
        ("{", 200, -32700),
        ("5", 200, -32600),
        (&format!("[{call},{call},{call}]"), 200, -32600),
        (&format!("{call}{}", " ".repeat(1000)), 413, -32600),
        (&call.replace("chainId", "subscribe"), 200, -32601),
    ] {
        let (answered, text) = stage.post(body).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((answered.as_u16(), &answer["error"]["code"]), (status, &json!(code)), "{body}");
        assert_eq!(fields(&answer), ["error", "id", "jsonrpc"]);
    }
    let unknown = stage.call("eth_nonsense", json!([])).await;
    assert_eq!(unknown["error"]["code"], -32601);
    assert_eq!(stage.get("/nothing").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_provider_a_call_is_an_internal_error_and_health_is_503() {
    let stage = Stage::new().await;
    stage.nodes.iter().for_each(|node| node.set(Disruption::http_status(500)));
    let error = &stage.call("eth_gasPrice", json!([])).await["error"];
    assert_eq!(
        (&error["code"], &error["message"]),
        (&json!(-32603), &json!("All providers are currently unavailable"))
    );
    for id in ["one", "two", "three"] {
        stage.manage(Method::POST, &format!("/providers/{id}/disable"), Value::Null).await;
    }
    let (status, health) = stage.get("/health").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let names = ["activeProviders", "reason", "status", "timestamp", "totalProviders"];
    assert_eq!(fields(&health), names);
    assert_eq!(health["status"], "unhealthy");
    assert_eq!(health["reason"], "No healthy providers available");
    assert_eq!((&health["activeProviders"], &health["totalProviders"]), (&json!(0), &json!(3)));
    assert_eq!(stage.get("/health/detailed").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_are_listed_without_their_keys() {
    let stage = Stage::new().await;
    stage.calls(9).await;
    let (status, list) = stage.get("/providers").await;
    assert_eq!(status, StatusCode::OK);
    let names = ["healthyProviders", "providers", "routingStrategy", "totalProviders"];
    assert_eq!(fields(&list), names);
    assert_eq!((&list["totalProviders"], &list["healthyProviders"]), (&json!(3), &json!(3)));
    assert_eq!(list["routingStrategy"], "least-latency");
    for (provider, id) in list["providers"].as_array().unwrap().iter().zip(["one", "two", "three"])
    {
        assert_eq!(fields(provider), PROVIDER);
        assert_eq!((&provider["id"], &provider["healthy"]), (&json!(id), &json!(true)));
        assert_eq!((&provider["weight"], &provider["errorCount"]), (&json!(1), &json!(0)));
        assert_eq!(provider["circuitBreakerState"], "closed");
        assert!(provider["requestCount"].is_u64() && provider["avgLatencyMs"].is_u64());
        assert!(provider["url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
        assert_is_date(&provider["lastHealthCheck"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_how_many_are_healthy_and_in_detail_which() {
    let stage = Stage::new().await;
    stage.calls(3).await;
    let (status, health) = stage.get("/health").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(fields(&health), ["activeProviders", "status", "timestamp", "totalProviders"]);
    assert_eq!((&health["status"], &health["activeProviders"]), (&json!("healthy"), &json!(3)));
    assert_is_date(&health["timestamp"]);
    let (status, health) = stage.get("/health/detailed").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(fields(&health), ["cache", "providers", "status", "timestamp", "uptime"]);
    assert_eq!(fields(&health["providers"]), ["details", "healthy", "total", "unhealthy"]);
    assert_eq!(fields(&health["cache"]), ["connected", "hitRate", "keyCount"]);
    let names = ["circuitBreakerState", "healthy", "id", "latencyMs"];
    assert_eq!(fields(&health["providers"]["details"][0]), names);
    assert!(health["uptime"].is_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_once_a_provider_has_shown_its_head() {
    let stage = Stage::new().await;
    soon("it is ready", async || stage.get("/ready").await.0 == StatusCode::OK).await;
    assert_eq!(stage.get("/ready").await.1, json!({ "ready": true }));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_the_names_and_labels_of_the_family() {
    let stage = Stage::new().await;
    for _ in 0..2 {
        stage.call("eth_getBlockByNumber", json!(["0x5", false])).await;
    }
    let metrics = stage.http.get(stage.public("/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for name in [
        "# HELP rpc_lb_requests_total ",
        "# TYPE rpc_lb_requests_total counter",
        "# TYPE rpc_lb_request_duration_seconds histogram",
        "rpc_lb_request_duration_seconds_bucket{",
        "rpc_lb_cache_hits_total{method=\"eth_getBlockByNumber\"}",
        "rpc_lb_provider_health{provider=\"two\"} 1",
        "alclad_calls_total{",
    ] {
        assert!(metrics.contains(name), "{name} in\n{metrics}");
    }
    let requests = metrics.lines().find(|line| line.starts_with("rpc_lb_requests_total{")).unwrap();
    assert!(requests.contains("provider=\"") && requests.contains("method=\""), "{requests}");
    assert!(!metrics.contains(KEY));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_call_from_the_origin_that_is_allowed() {
    let stage = Stage::with("cors_origin = \"https://dapp.example\"").await;
    let ask = stage.http.request(Method::OPTIONS, stage.public("/")).send().await.unwrap();
    assert_eq!(ask.status(), StatusCode::OK);
    assert_eq!(ask.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://dapp.example");
    assert!(ask.headers()["access-control-allow-methods"].to_str().unwrap().contains("POST"));
    assert_eq!(ask.headers()["access-control-allow-headers"], "content-type");
    let page = stage.http.get(stage.public("/")).send().await.unwrap();
    assert_eq!(page.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://dapp.example");
    assert!(page.text().await.unwrap().to_lowercase().starts_with("<!doctype html>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_administered_without_the_password() {
    let stage = Stage::new().await;
    for path in ["/providers", "/providers/one", "/cache/stats", "/nothing"] {
        let url = format!("http://{}/admin{path}", stage.doors.admin);
        for request in [
            stage.http.get(&url),
            stage.http.get(&url).basic_auth("admin", Some("changeme")),
            stage.http.get(&url).basic_auth("root", Some(PASSWORD)),
            stage.http.get(&url).header("authorization", "Basic ?"),
            stage.http.get(&url).bearer_auth(PASSWORD),
        ] {
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert!(response.headers().contains_key(WWW_AUTHENTICATE));
            let body = json_of(response).await;
            assert_eq!(body, json!({ "error": "Authentication required" }));
        }
    }
    let url = format!("http://{}/admin/cache", stage.doors.admin);
    let encoded = format!("basic  {}", BASE64_STANDARD.encode(format!("admin:{PASSWORD}")));
    let clear = || stage.http.delete(&url).header("authorization", &encoded).body(SCOPE);
    assert_eq!(answer(clear()).await.0, StatusCode::OK, "the scheme is written in any case");
    let of_page = clear().header("origin", "https://evil.example");
    assert_eq!(answer(of_page).await.0, StatusCode::FORBIDDEN);
    let refused = stage.http.get(stage.public("/admin/providers"));
    assert_eq!(answer(refused).await.0, StatusCode::NOT_FOUND, "not on the public port");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_administrator_sees_every_provider_and_the_sum() {
    let stage = Stage::new().await;
    stage.calls(9).await;
    let (status, list) = stage.manage(Method::GET, "/providers", Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(fields(&list), ["providers", "summary"]);
    let names =
        ["avgLatencyMs", "healthyProviders", "totalErrors", "totalProviders", "totalRequests"];
    assert_eq!(fields(&list["summary"]), names);
    assert!(list["summary"]["totalRequests"].as_u64().unwrap() >= 9);
    let mut names = Vec::from(PROVIDER);
    names.extend(["circuitBreakerStats", "successRate"]);
    names.sort_unstable();
    assert_eq!(fields(&list["providers"][0]), names);
    let stats = &list["providers"][0]["circuitBreakerStats"];
    assert_eq!(*stats, json!({ "failures": 0, "lastFailureTime": null, "nextRetryTime": null }));
    assert_eq!(list["providers"][0]["successRate"], 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_administrator_sees_what_one_provider_was_asked_last() {
    let stage = Stage::new().await;
    for id in ["two", "three"] {
        stage.manage(Method::POST, &format!("/providers/{id}/disable"), Value::Null).await;
    }
    stage.calls(2).await;
    let provider = stage.provider("one").await;
    let recent = &provider["recentRequests"][0];
    assert_eq!(fields(recent), ["latencyMs", "method", "success", "timestamp"]);
    assert_eq!((&recent["method"], &recent["success"]), (&json!("eth_gasPrice"), &json!(true)));
    assert_is_date(&recent["timestamp"]);
    let (status, body) = stage.manage(Method::GET, "/providers/unknown", Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(body, json!({ "error": "Provider not found", "providerId": "unknown" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_added_once_and_serves() {
    let stage = Stage::new().await;
    let fourth = SimNode::new(&stage.chain);
    let server = fourth.serve_http().await;
    let url = format!("{}v3/{KEY}", server.url());
    let addition = json!({ "id": "four", "url": url, "weight": 3, "priority": 1 });
    let (status, body) = stage.manage(Method::POST, "/providers", addition.clone()).await;
    assert_eq!(status, StatusCode::CREATED);
    let provider = &body["provider"];
    assert_eq!(
        (&body["success"], &body["message"]),
        (&json!(true), &json!("Provider added successfully"))
    );
    let names = ["errorCount", "healthy", "id", "requestCount", "url", "weight"];
    assert_eq!(fields(provider), names);
    assert_eq!((&provider["weight"], &provider["healthy"]), (&json!(3), &json!(false)));
    assert!(!body.to_string().contains(KEY));
    for id in ["one", "two", "three"] {
        stage.manage(Method::DELETE, &format!("/providers/{id}"), Value::Null).await;
    }
    stage.calls(1).await;
    assert_eq!(fourth.calls("eth_gasPrice"), 1);
    let (status, body) = stage.manage(Method::POST, "/providers", addition).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body, json!({ "error": "Provider with this ID already exists" }));
    for bad in [
        json!({ "id": "five" }),
        json!({ "id": "five", "url": "ftp://x" }),
        json!({ "id": "five", "url": "nonsense" }),
        json!({ "id": "five", "url": url, "weight": 0 }),
        json!({ "id": "five", "url": url, "weight": KEY }),
        json!({ "id": "five", "url": url, "priority": 999 }),
        json!({ "id": "five", "url": url, "wieght": 3 }),
        json!({ "id": "", "url": url }),
    ] {
        let (status, body) = stage.manage(Method::POST, "/providers", bad.clone()).await;
        assert_eq!((status, fields(&body)), (StatusCode::BAD_REQUEST, vec!["error"]), "{bad}");
        assert!(!body.to_string().contains(KEY), "{body}");
    }
    assert_eq!(stage.get("/providers").await.1["totalProviders"], 1);
    let metrics = stage.http.get(stage.public("/metrics")).send().await.unwrap();
    assert!(!metrics.text().await.unwrap().contains("four#2"), "it never was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_read_up_to_its_bound_and_who_sends_more_hears_of_it() {
    let stage = Stage::new().await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
    let (status, _) = stage.post(format!("{call}{}", " ".repeat(3 << 20))).await;
    assert_eq!(status, StatusCode::OK);
    for _ in 0..10 {
        let (status, text) = stage.post(" ".repeat(10 << 20)).await;
        assert!(status == StatusCode::PAYLOAD_TOO_LARGE && text.contains("too large"), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_bound_wait_and_the_administrator_does_not() {
    let stage = Stage::with("max_connections = 2").await;
    let idle = || TcpStream::connect(stage.doors.public);
    let (one, two) = (idle().await.unwrap(), idle().await.unwrap());
    sleep(Duration::from_millis(200)).await;
    let url = stage.public("/health");
    let waiting = tokio::spawn(async move { reqwest::get(url).await.unwrap().status() });
    sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    assert_eq!(stage.manage(Method::GET, "/providers", Value::Null).await.0, StatusCode::OK);
    drop((one, two));
    assert_eq!(waiting.await.unwrap(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_pages_are_served_at_once() {
    let stage = Stage::new().await;
    let mut pages = Vec::new();
    for _ in 0..64 {
        pages.push(stage.http.get(stage.public("/events")).send().await.unwrap());
    }
    assert!(pages.iter().all(|page| page.status() == StatusCode::OK));
    let one_more = stage.http.get(stage.public("/events")).send().await.unwrap();
    assert_eq!(one_more.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_reload_it_is_ready_at_once() {
    let stage = Stage::new().await;
    stage.calls(3).await;
    let settings = "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n";
    let one = format!("[[endpoint]]\nid = \"one\"\nurl = \"{}\"\n", stage.servers[0].url());
    let config = Config::parse(&format!("{settings}{one}")).unwrap();
    stage.gateway.reload(config).await;
    assert_eq!(stage.get("/ready").await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_updated() {
    let stage = Stage::new().await;
    let (status, body) =
        stage.manage(Method::PATCH, "/providers/one", json!({ "weight": 2 })).await;
    assert_eq!(status, StatusCode::OK);
    let provider = json!({ "id": "one", "weight": 2, "healthy": true });
    let message = "Provider updated successfully";
    assert_eq!(body, json!({ "success": true, "message": message, "provider": provider }));
    let off = stage.manage(Method::PATCH, "/providers/one", json!({ "healthy": false })).await.1;
    assert_eq!(off["provider"], json!({ "id": "one", "weight": 2, "healthy": false }));
    stage.nodes[0].reset_counters();
    stage.calls(6).await;
    assert_eq!(stage.nodes[0].calls("eth_gasPrice"), 0);
    let on = stage.manage(Method::PATCH, "/providers/one", json!({ "healthy": true })).await.1;
    assert_eq!(on["provider"]["healthy"], true);
    for bad in [json!({ "weight": 0 }), json!({ "weight": "2" }), json!({ "wieght": 2 }), json!([])]
    {
        let status = stage.manage(Method::PATCH, "/providers/one", bad.clone()).await.0;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let unknown = stage.manage(Method::PATCH, "/providers/unknown", json!({})).await;
    assert_eq!(unknown.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_removed() {
    let stage = Stage::new().await;
    let (status, body) = stage.manage(Method::DELETE, "/providers/one", Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let message = "Provider removed successfully";
    assert_eq!(body, json!({ "success": true, "message": message, "providerId": "one" }));
    assert_eq!(stage.get("/providers").await.1["totalProviders"], 2);
    let (status, body) = stage.manage(Method::DELETE, "/providers/one", Value::Null).await;
    assert_eq!((status, body), (StatusCode::NOT_FOUND, json!({ "error": "Provider not found" })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_enabled_whatever_it_failed_with() {
    let stage = Stage::new().await;
    stage.nodes[0].set(Disruption::http_status(401));
    soon("its circuit opens", async || {
        stage.calls(3).await;
        stage.provider("one").await["circuitBreakerState"] == "open"
    })
    .await;
    let provider = stage.provider("one").await;
    assert_eq!(
        (&provider["healthy"], provider["errorCount"].as_u64() > Some(0)),
        (&json!(false), true)
    );
    assert!(provider["successRate"].as_f64().unwrap() < 1.0);
    assert_is_date(&provider["circuitBreakerStats"]["lastFailureTime"]);
    assert!(provider["circuitBreakerStats"]["nextRetryTime"].is_string());
    stage.nodes[0].clear();
    let (status, body) = stage.manage(Method::POST, "/providers/one/enable", Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let provider = json!({ "id": "one", "healthy": true, "circuitBreakerState": "closed" });
    let message = "Provider enabled successfully";
    assert_eq!(body, json!({ "success": true, "message": message, "provider": provider }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_disabled() {
    let stage = Stage::new().await;
    let (status, body) = stage.manage(Method::POST, "/providers/one/disable", Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let provider = json!({ "id": "one", "healthy": false, "circuitBreakerState": "open" });
    let message = "Provider disabled successfully";
    assert_eq!(body, json!({ "success": true, "message": message, "provider": provider }));
    for act in ["unknown/enable", "unknown/disable", "one/explode"] {
        let (status, _) =
            stage.manage(Method::POST, &format!("/providers/{act}"), Value::Null).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{act}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_tells_what_it_holds() {
    let stage = Stage::new().await;
    for _ in 0..3 {
        stage.call("eth_getBlockByNumber", json!(["0x5", false])).await;
        stage.call("eth_getBalance", json!([stage.chain.accounts()[0], "0x5"])).await;
    }
    let (status, stats) = stage.manage(Method::GET, "/cache/stats", Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let names = [
        "connected",
        "hitRate",
        "hits",
        "keysByMethod",
        "memoryUsage",
        "missRate",
        "misses",
        "totalKeys",
        "ttlDistribution",
    ];
    assert_eq!(fields(&stats), names);
    assert_eq!(
        (&stats["totalKeys"], &stats["hits"], &stats["misses"]),
        (&json!(2), &json!(4), &json!(2))
    );
    assert_eq!(
        (stats["hitRate"].as_f64(), stats["missRate"].as_f64()),
        (Some(4.0 / 6.0), Some(2.0 / 6.0))
    );
    assert_eq!(fields(&stats["memoryUsage"]), ["peak", "used"]);
    assert!(stats["memoryUsage"]["used"].as_str().unwrap().ends_with(" MB"));
    assert_eq!(stats["keysByMethod"], json!({ "eth_getBlockByNumber": 1, "eth_getBalance": 1 }));
    assert!(stats["ttlDistribution"]["infinite"].is_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_is_cleared_in_all_or_in_part() {
    let stage = Stage::new().await;
    let fill = async || {
        stage.call("eth_getBlockByNumber", json!(["0x5", false])).await;
        stage.call("eth_getBalance", json!([stage.chain.accounts()[0], "0x5"])).await;
    };
    let message = "Cache cleared successfully";
    fill().await;
    let pattern = json!({ "scope": "pattern", "pattern": "eth_getBlock*" });
    let (status, body) = stage.manage(Method::DELETE, "/cache", pattern).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        body,
        json!({ "success": true, "message": message, "keysDeleted": 1, "scope": "pattern" })
    );
    fill().await;
    let all = stage.manage(Method::DELETE, "/cache", json!({ "scope": "all" })).await.1;
    assert_eq!(
        all,
        json!({ "success": true, "message": message, "keysDeleted": 2, "scope": "all" })
    );
    fill().await;
    let mut deleted = 0;
    for id in ["one", "two", "three"] {
        let scope = json!({ "scope": "provider", "providerId": id });
        let body = stage.manage(Method::DELETE, "/cache", scope).await.1;
        assert_eq!(body["scope"], "provider");
        deleted += body["keysDeleted"].as_u64().unwrap();
    }
    assert_eq!(deleted, 2);
    for bad in [
        json!({}),
        json!({ "scope": "none" }),
        json!({ "scope": "pattern" }),
        json!({ "scope": "provider" }),
    ] {
        let (status, _) = stage.manage(Method::DELETE, "/cache", bad.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
}
