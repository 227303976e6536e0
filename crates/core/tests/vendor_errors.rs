//! Every text of two tables gets the fault that it must get, however it arrives.
//!
//! `vendor-errors.json` is the sample that the classifier was built for. `more-vendor-errors.json`
//! holds what else nodes, proxies and vendors say; each row names where that is written.

use alclad_core::{Fault, HttpFacts, Outcome, classify_with};
use alloy_json_rpc::{ErrorPayload, Id, Response, ResponsePayload};
use alloy_transport::{HttpError, TransportError, TransportErrorKind};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Arrival {
    Member,
    Http,
    Body,
}

#[derive(Debug, Deserialize)]
struct Row {
    kind: Arrival,
    fault: String,
    method: Option<String>,
    #[serde(default)]
    status: u16,
    #[serde(default)]
    body: String,
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    data: Option<Box<RawValue>>,
}

impl Row {
    fn method(&self) -> &str {
        self.method.as_deref().unwrap_or("eth_call")
    }

    /// The faults that the row gets in all the ways in which it can arrive.
    fn faults(&self) -> Vec<(&'static str, Fault)> {
        match self.kind {
            Arrival::Member => {
                let error = ErrorPayload {
                    code: self.code,
                    message: self.message.clone().into(),
                    data: self.data.clone(),
                };
                vec![
                    ("as a member", self.of_member(error.clone(), None)),
                    ("as a member of a 200", self.of_member(error.clone(), Some(200))),
                    ("as an error", self.of_error(&TransportError::ErrorResp(error))),
                ]
            }
            Arrival::Http => {
                let mut faults = vec![
                    ("over HTTP", self.of_error(&self.http_error(None))),
                    ("with a hint", self.of_error(&self.http_error(Some(Duration::from_secs(1))))),
                ];
                if let Ok(answer) = serde_json::from_str::<Response>(&self.body)
                    && let ResponsePayload::Failure(error) = answer.payload
                {
                    faults.push(("as a member", self.of_member(error, Some(self.status))));
                }
                faults
            }
            Arrival::Body => {
                let err = serde_json::from_str::<Response>(&self.body).unwrap_err();
                vec![("as a body", self.of_error(&TransportError::deser_err(err, &self.body)))]
            }
        }
    }

    fn http_error(&self, hint: Option<Duration>) -> TransportError {
        let error = HttpError { status: self.status, body: self.body.clone() };
        TransportError::Transport(match hint {
            Some(retry_after) => TransportErrorKind::HttpErrorWithRetryAfter { error, retry_after },
            None => TransportErrorKind::HttpError(error),
        })
    }

    fn of_error(&self, error: &TransportError) -> Fault {
        Fault::of_error(self.method(), error)
    }

    fn of_member(&self, error: ErrorPayload, status: Option<u16>) -> Fault {
        let answer = Response { id: Id::Number(1), payload: ResponsePayload::Failure(error) };
        let http = HttpFacts { status, retry_after: None };
        match classify_with(self.method(), &answer, http, None) {
            Outcome::Fault(fault) => fault,
            other => panic!("an error is {other:?}"),
        }
    }
}

fn check(table: &str) {
    let rows: Vec<Row> = serde_json::from_str(table).expect("the table is JSON");
    let wrong: Vec<_> = rows
        .iter()
        .flat_map(|row| row.faults().into_iter().map(move |(how, fault)| (row, how, fault)))
        .filter(|(row, _, fault)| fault.name() != row.fault)
        .map(|(row, how, fault)| {
            let said = if row.body.is_empty() { &row.message } else { &row.body };
            format!("{} {how}: {fault}, must be {}: {said}", row.method(), row.fault)
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn every_text_of_the_sample_gets_its_fault() {
    check(include_str!("vendor-errors.json"));
}

#[test]
fn every_text_gathered_elsewhere_gets_its_fault() {
    check(include_str!("more-vendor-errors.json"));
}
