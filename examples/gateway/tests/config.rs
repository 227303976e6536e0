//! What a configuration may say, and how a wrong one is told.

use alclad_gateway::{Config, Gateway};

const KEY: &str = "s3cr3tk3y";

fn problem(text: &str) -> String {
    format!("{:#}", Config::parse(text).expect_err(text))
}

fn endpoint(more: &str) -> String {
    format!("[[endpoint]]\nid = \"a\"\nurl = \"https://x.example/{KEY}\"\n{more}\n")
}

#[test]
fn a_full_configuration_is_read() {
    let text = r#"
        listen = "0.0.0.0:8080"
        admin_listen = "127.0.0.1:8081"
        cors_origin = "https://dapp.example"
        max_body_bytes = 1_000_000
        max_batch = 100
        read_timeout_ms = 5_000
        drain_ms = 1_000
        chain_id = 1
        strategy = "weighted"
        attempts = 3
        timeout_ms = 2_000
        cache_bytes = 1_000_000
        pin_latest_ms = 500
        method_timeouts_ms = { eth_getLogs = 20_000 }

        [[endpoint]]
        id = "paid"
        url = "https://paid.example/v3/KEY"
        weight = 5
        limit = { per_second = 500, costs = "alchemy", burst = 1000 }

        [[endpoint]]
        id = "own"
        url = "http://localhost:8545"
        tier = 1
        role = "write"
    "#;
    let config = Config::parse(text).expect("it is right");
    assert!(!format!("{config:?}").contains("KEY"));
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let good = endpoint("");
    for (text, line, words) in [
        ("listen = 5\n".to_owned() + &good, 1, "invalid type"),
        ("\nlisten = \"here\"\n".to_owned() + &good, 2, "socket address"),
        ("lisetn = \"127.0.0.1:1\"\n".to_owned() + &good, 1, "unknown field `lisetn`"),
        (endpoint("wieght = 2"), 4, "unknown field `wieght`"),
        (endpoint("weight = 0"), 4, "nonzero"),
        (endpoint("weight = \"2\""), 4, "invalid type: a text"),
        (endpoint("tier = 300"), 4, "invalid value"),
        (endpoint("role = \"boss\""), 4, "a text, expected"),
        (endpoint("limit = { per_second = 1, costs = \"gold\" }"), 4, "unknown vendor"),
        ("[[endpoint]]\nid = \"\"\nurl = \"http://x\"\n".to_owned(), 1, "the id is empty"),
        ("cors_origin = \"\\n\"\n".to_owned() + &good, 1, "header"),
        ("strategy = \"luck\"\n".to_owned() + &good, 1, "a text, expected"),
        (good.clone() + "\n\n" + &good, 7, "an endpoint above has the id `a`"),
        ("[[endpoint]]\nurl = \"http://x\"\n".to_owned(), 1, "missing field `id`"),
        ("[[endpoint]]\nid = \"a\"\nurl = \"ftp://x\"\n".to_owned(), 3, "http"),
        ("[[endpoint]]\nid = \"a\"\nurl = \"x/y\"\n".to_owned(), 3, "does not parse"),
        (
            "[[endpoint]]\nid = \"a\"\nurl = \"http://${NOT_SET_AT_ALL}\"\n".to_owned(),
            3,
            "NOT_SET_AT_ALL is not set",
        ),
        ("[[endpoint]]\nid = \"a\"\nurl = \"http://${PATH\"\n".to_owned(), 3, "without `}`"),
        ("listen = \n".to_owned(), 1, ""),
    ] {
        let told = problem(&text);
        assert!(told.contains(&format!("line {line}:")) && told.contains(words), "{told}\n{text}");
    }
    assert!(problem("").contains("[[endpoint]]"));
}

#[test]
fn no_key_stands_in_an_error() {
    for text in [
        endpoint(&format!("weight = \"{KEY}\"")),
        endpoint(&format!("limit = \"{KEY}\"")),
        format!("[[endpoint]]\nid = \"a\"\nurl = [\"https://x/{KEY}\"]\n"),
        format!("[[endpoint]]\nid = \"a\"\nurl = \"ftp://x/{KEY}\"\n"),
        format!("[[endpoint]]\nid = \"a\"\nurl = \"https://[/{KEY}\"\n"),
        format!("listen = \"{KEY}\"\n"),
        format!("chain_id = \"{KEY}\"\n"),
        format!("strategy = \"{KEY}\"\n"),
        format!("[[endpoint]]\nid = \"a\"\nurl = \"https://x/{KEY}\n"),
    ] {
        let told = problem(&text);
        assert!(!told.contains(KEY), "{told}");
    }
}

#[test]
fn a_variable_stands_for_its_value() {
    let path = std::env::var("PATH").expect("there is a path");
    let text = "[[endpoint]]\nid = \"x${PATH}y\"\nurl = \"http://x\"\n";
    let config = Config::parse(text).expect("it is right");
    assert!(format!("{config:?}").contains(&format!("x{path}y")));
}

#[tokio::test]
async fn the_default_password_is_for_loopback_alone() {
    let text =
        "listen = \"127.0.0.1:0\"\nadmin_listen = \"0.0.0.0:0\"\n".to_owned() + &endpoint("");
    let config = Config::parse(&text).expect("it is right");
    for password in ["changeme", ""] {
        let error = Gateway::start(config.clone(), password).await.expect_err("it is refused");
        assert!(error.to_string().contains("ADMIN_PASSWORD"), "{error}");
    }
    let text = text.replace("0.0.0.0", "127.0.0.1");
    let config = Config::parse(&text).expect("it is right");
    assert!(Gateway::start(config, "changeme").await.is_ok());
}
