use alclad_core::{
    EndpointId, Fault, HttpFacts, Limiter, Outcome, StandIn, Unsupported, classify, classify_with,
};
use alloy_json_rpc::{ErrorPayload, Id, Response, ResponsePayload};
use alloy_transport::{HttpError, TransportError, TransportErrorKind};
use serde_json::value::{RawValue, to_raw_value};
use std::time::Duration;

/// What an endpoint may say: a line each for the method, the HTTP status, the seconds of
/// `Retry-After`, the code and the data, all of which may be empty; the rest is the message.
///
/// Whatever it is, it is judged; a revert is `Reverted`; an error member of our own is judged as
/// the fault that it stands for; and a hint of HTTP's is the hint that counts.
pub fn classifier(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let said = Said::read(&text);
    said.is_judged();
    said.with_a_revert_is_reverted();
    said.as_our_own_is_its_fault();
}

struct Said<'a> {
    method: &'a str,
    http: HttpFacts,
    code: Option<i64>,
    data: Option<Box<RawValue>>,
    message: &'a str,
}

impl<'a> Said<'a> {
    fn read(text: &'a str) -> Self {
        let mut lines = text.splitn(6, '\n');
        let mut next = || lines.next().unwrap_or_default();
        let method = next();
        let status = next().parse().ok();
        let retry_after = next().parse().ok().map(Duration::from_millis);
        let http = HttpFacts { status, retry_after };
        Self { method, http, code: next().parse().ok(), data: json(next()), message: next() }
    }

    /// As the error member of an answer.
    fn member(&self, message: String) -> ErrorPayload {
        let code = self.code.unwrap_or_default();
        ErrorPayload { code, message: message.into(), data: self.data.clone() }
    }

    /// As the member, in the body of an answer.
    fn body(&self, message: String) -> String {
        let answer = answer(self.member(message));
        serde_json::to_string(&answer).expect("an answer is JSON")
    }

    fn judge(&self, member: ErrorPayload) -> Fault {
        let outcome = classify_with(self.method, &answer(member), self.http, None);
        outcome.fault().expect("an error is a fault")
    }

    fn of_http(&self, body: String) -> Fault {
        let status = self.http.status.unwrap_or_default();
        let error = match self.http.retry_after {
            None => TransportErrorKind::http_error(status, body),
            Some(retry_after) => {
                let error = HttpError { status, body };
                let kind = TransportErrorKind::HttpErrorWithRetryAfter { error, retry_after };
                TransportError::Transport(kind)
            }
        };
        Fault::of_error(self.method, &error)
    }

    fn unread(&self, text: String) -> Fault {
        let err = serde_json::from_str::<u8>("?").expect_err("this is no number");
        Fault::of_error(self.method, &TransportError::DeserError { err, text })
    }

    fn is_judged(&self) {
        let member = self.judge(self.member(self.message.to_owned()));
        let page = self.of_http(self.message.to_owned());
        for fault in [page, self.of_http(self.body(self.message.to_owned()))] {
            self.has_https_hint(fault);
        }
        if !self.looks_like_our_own() {
            self.has_https_hint(member);
        }
        self.unread(self.message.to_owned());
        self.unread(self.body(self.message.to_owned()));
        let custom = TransportErrorKind::custom_str(self.message);
        Fault::of_error(self.method, &custom);
        let alone = TransportError::ErrorResp(self.member(self.message.to_owned()));
        let outcome = classify(self.method, &answer(self.member(self.message.to_owned())));
        assert_eq!(outcome, Outcome::Fault(Fault::of_error(self.method, &alone)));
    }

    fn has_https_hint(&self, fault: Fault) {
        if let (Fault::RateLimited { retry_after, .. }, Some(hint)) = (fault, self.http.retry_after)
        {
            assert_eq!(retry_after, Some(hint));
        }
    }

    fn with_a_revert_is_reverted(&self) {
        let reverted = format!("execution reverted: {}", self.message);
        if !self.looks_like_our_own() {
            assert_eq!(self.judge(self.member(reverted.clone())), Fault::Reverted);
        }
        assert_eq!(self.of_http(self.body(reverted.clone())), Fault::Reverted);
        assert_eq!(self.unread(self.body(reverted)), Fault::Reverted);
    }

    /// Nodes do not have such data; a gateway that alclad stands in may.
    fn looks_like_our_own(&self) -> bool {
        self.data.as_ref().is_some_and(|data| data.get().starts_with(r#"{"fault":"#))
    }

    fn as_our_own_is_its_fault(&self) {
        let endpoint = EndpointId::from(self.message);
        let stand_in = StandIn {
            fault: self.fault(),
            endpoint: (self.code != Some(0)).then_some(&endpoint),
            status: self.http.status,
            attempts: self.http.status.unwrap_or_default().into(),
        };
        let member = answer(stand_in.into_payload());
        assert_eq!(classify(self.method, &member), Outcome::Fault(stand_in.fault));
        let json = serde_json::to_string(&member).expect("an answer is JSON");
        let member: Response = serde_json::from_str(&json).expect("that was one");
        assert_eq!(classify(self.method, &member), Outcome::Fault(stand_in.fault));
    }

    /// The code chooses among all.
    fn fault(&self) -> Fault {
        let code = self.code.unwrap_or_default().unsigned_abs();
        let row = usize::try_from(code).unwrap_or_default() % Fault::NAMES.len();
        let retry_after = self.http.retry_after;
        let fault = Fault::from_name(Fault::NAMES[row], retry_after).expect("it has a name");
        match fault {
            Fault::RateLimited { .. } if self.data.is_some() => {
                Fault::RateLimited { retry_after, by: Limiter::Local }
            }
            Fault::Connection { .. } => Fault::Connection { maybe_sent: self.data.is_some() },
            Fault::Unsupported { .. } if self.data.is_some() => {
                Fault::Unsupported { what: Unsupported::Method }
            }
            other => other,
        }
    }
}

fn answer(member: ErrorPayload) -> Response {
    Response { id: Id::Number(1), payload: ResponsePayload::Failure(member) }
}

/// What is no JSON becomes a string.
fn json(text: &str) -> Option<Box<RawValue>> {
    if text.is_empty() {
        return None;
    }
    let json = RawValue::from_string(text.to_owned()).ok();
    json.or_else(|| to_raw_value(text).ok())
}
