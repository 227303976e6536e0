//! A typed error is found again, and means the same, however deep it lies.

use alclad_core::{
    EndpointId, Fault, Limiter,
    error::{
        AllParked, AttemptTimeout, BadAnswer, ChainMismatch, DeadlineExceeded, DuplicateId,
        EndpointFailure, Misfit, NoEndpoint, OverLimit, RefusedTransaction, SharedError,
        TypedError, UnverifiedAnswer, cause,
    },
};
use alloy_json_rpc::{ErrorPayload, Id};
use alloy_transport::{TransportError, TransportErrorKind};
use std::{error::Error, fmt, time::Duration};

/// Some foreign layer's error around another.
#[derive(Debug)]
struct Wrapped(TransportError);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rate limit exceeded, connection refused, execution reverted")
    }
}

impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn is_found<E: TypedError>(make: impl Fn() -> E, fault: Fault, in_vain: bool) {
    assert_eq!(make().fault(), fault);
    let error = make().into_transport_error();
    assert_eq!(error.as_transport_err().unwrap().is_non_retryable(), in_vain);
    for error in [
        make().into_transport_error(),
        TransportErrorKind::custom(Wrapped(make().into_transport_error())),
        TransportErrorKind::non_retryable(Wrapped(make().into_transport_error())),
        TransportErrorKind::custom(make().into_transport_error()),
        TransportError::local_usage(make()),
    ] {
        assert_eq!(Fault::of_error("eth_sendRawTransaction", &error), fault, "{error:?}");
        if error.is_transport_error() {
            assert_eq!(cause::<E>(&error).expect("it is in there").fault(), fault, "{error:?}");
        }
    }
}

#[test]
fn every_typed_error_is_found_and_judged_in_the_depth() {
    let at = || EndpointId::new("a");
    let second = Duration::from_secs(1);
    let limited = Fault::RateLimited { retry_after: Some(second), by: Limiter::Local };
    let failure = || EndpointFailure::new(at(), Fault::Unauthorized, "no key".to_owned());
    is_found(|| AttemptTimeout::new(Some(second)), Fault::Timeout, false);
    is_found(|| DeadlineExceeded::new(2, Some(Fault::ServerError)), Fault::Timeout, false);
    is_found(failure, Fault::Unauthorized, false);
    is_found(|| BadAnswer::new(Misfit::Foreign, Some(at())), Fault::Malformed, false);
    is_found(|| DuplicateId::new(Id::Number(1)), Fault::InvalidRequest, true);
    is_found(|| NoEndpoint::Empty, Fault::InvalidRequest, true);
    is_found(|| NoEndpoint::Unknown(at()), Fault::InvalidRequest, true);
    is_found(|| AllParked::new(second), limited, false);
    is_found(|| OverLimit::new(second), limited, false);
    is_found(|| ChainMismatch::new(1, 5), Fault::WrongChain, false);
    let lost = Fault::Connection { maybe_sent: true };
    is_found(|| UnverifiedAnswer::new(Some(Fault::Timeout)), lost, false);
    is_found(|| RefusedTransaction::Unprotected, Fault::TxRejected, true);
    is_found(|| RefusedTransaction::Unreadable, Fault::InvalidRequest, true);
}

#[test]
fn a_shared_error_is_the_same_for_everyone() {
    let text = "<html>".to_owned();
    let unread = serde_json::from_str::<u64>(&text).unwrap_err();
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    let payload = || ErrorPayload { code: -32005, message: "slow down".into(), data: None };
    for error in [
        TransportErrorKind::http_error(503, "later".to_owned()),
        TransportErrorKind::http_error_with_retry_after(429, String::new(), Some(Duration::MAX)),
        TransportErrorKind::backend_gone(),
        TransportErrorKind::pubsub_unavailable(),
        TransportErrorKind::missing_batch_response(Id::Number(7)),
        TransportErrorKind::custom(refused),
        TransportErrorKind::non_retryable(ChainMismatch::new(1, 5)),
        AttemptTimeout::new(None).into_transport_error(),
        TransportError::local_usage(DuplicateId::new(Id::Number(1))),
        TransportError::deser_err(unread, text),
        TransportError::ErrorResp(payload()),
        TransportError::NullResp,
        TransportError::UnsupportedFeature("blobs"),
    ] {
        let (fault, shown) = (Fault::of_error("eth_call", &error), error.to_string());
        let shared = SharedError::new(error);
        for copy in [shared.to_error(), SharedError::new(shared.to_error()).to_error()] {
            assert_eq!(Fault::of_error("eth_call", &copy), fault, "{copy:?}");
            assert_eq!(copy.to_string(), shown);
        }
    }
    let shared = SharedError::new(AttemptTimeout::new(None).into_transport_error());
    assert!(cause::<AttemptTimeout>(&shared.to_error()).is_some());
}

#[test]
fn what_is_not_there_is_not_found() {
    for error in [
        TransportErrorKind::backend_gone(),
        TransportErrorKind::custom_str("no answer within 5s"),
        TransportErrorKind::http_error(504, String::new()),
        TransportError::NullResp,
    ] {
        assert!(cause::<AttemptTimeout>(&error).is_none());
    }
}

#[test]
fn their_words_say_what_happened_and_what_to_do() {
    let failed = DeadlineExceeded::new(2, Some(Fault::ServerError));
    assert_eq!(
        failed.to_string(),
        "no answer before the call's deadline, after 2 attempt(s) (the last ended in ServerError); \
         give the call more time"
    );
    let foreign = BadAnswer::new(Misfit::Foreign, Some(EndpointId::new("a")));
    assert_eq!(
        foreign.to_string(),
        "endpoint a: the answer has another id than the question; \
         the endpoint, or a proxy before it, mixes up answers"
    );
}
