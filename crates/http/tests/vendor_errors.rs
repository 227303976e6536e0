//! Every row of the vendors' tables, over a real socket.

mod support;

use serde::Deserialize;
use serde_json::{Value, json};
use support::{Act, Server, fault};

const TABLES: [&str; 2] = [
    include_str!("../../core/tests/vendor-errors.json"),
    include_str!("../../core/tests/more-vendor-errors.json"),
];

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Row {
    Member {
        fault: String,
        method: Option<String>,
        code: i64,
        #[serde(default)]
        message: String,
        data: Option<Value>,
    },
    Http {
        fault: String,
        method: Option<String>,
        status: u16,
        body: String,
    },
    Body {
        fault: String,
        method: Option<String>,
        body: String,
    },
}

impl Row {
    /// What is sent, to which method, and what it is to be judged as.
    fn parts(&self) -> (Act, &str, &str) {
        let (act, method, fault) = match self {
            Self::Member { fault, method, code, message, data } => {
                let error = json!({ "code": code, "message": message, "data": data });
                let answer = json!({ "jsonrpc": "2.0", "id": 1, "error": error });
                (Act::json(answer.to_string()), method, fault)
            }
            Self::Http { fault, method, status, body } => {
                (Act::answer(&format!("{status} Status"), "", body), method, fault)
            }
            Self::Body { fault, method, body } => (Act::json(body), method, fault),
        };
        (act, method.as_deref().unwrap_or("eth_call"), fault)
    }
}

#[tokio::test]
async fn every_row_of_the_vendors_tables_is_judged_over_http_as_it_says() {
    let mut wrong = Vec::new();
    for row in TABLES.iter().flat_map(|table| serde_json::from_str::<Vec<Row>>(table).unwrap()) {
        let (act, method, expected) = row.parts();
        let server = Server::new(act).await;
        let judged = fault(&server.transport(), method).await;
        if judged.name() != expected {
            wrong.push(format!("{judged}: {row:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
