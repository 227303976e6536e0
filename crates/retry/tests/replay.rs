//! What must not happen twice is not asked twice, whatever the policy says.

mod support;

use alclad_retry::{Decision, RetryEvent, RetryLayer};
use alclad_testkit::{MockCall, answer, error, mock};
use std::{io::ErrorKind, time::Duration};
use support::{ask, http, io};
use tower::{Layer, ServiceExt};

/// Ends of an attempt that leave open whether the request was executed.
const IN_DOUBT: [fn(MockCall); 6] = [
    |call| call.fail(io(ErrorKind::ConnectionReset)),
    |call| call.fail(io(ErrorKind::TimedOut)),
    |call| call.fail(http(500)),
    |call| call.fail(http(504)),
    |call| call.answer(answer(9, "0x")),
    |call| call.answer(error(1, -32000, "out of cheese")),
];

/// Ends that prove that it was not.
const NOT_EXECUTED: [fn(MockCall); 6] = [
    |call| call.fail(io(ErrorKind::ConnectionRefused)),
    |call| call.fail(http(401)),
    |call| call.fail(http(402)),
    |call| call.fail(http(403)),
    |call| call.fail(http(429)),
    |call| call.answer(error(1, -32601, "the method does not exist/is not available")),
];

/// How often a method is asked by a policy that always wants three attempts.
async fn attempts(method: &'static str, end: fn(MockCall)) -> u32 {
    let thrice = |event: RetryEvent| match event.attempt {
        1..3 => Decision::RetryAfter(Duration::ZERO),
        _ => Decision::Stop,
    };
    let (transport, mut upstream) = mock();
    let service = RetryLayer::with_policy(thrice).layer(transport);
    let call = tokio::spawn(service.oneshot(ask(method)));
    let mut attempts = 0;
    while let Some(packet) = upstream.next().await {
        end(packet);
        attempts += 1;
    }
    let _ = call.await.expect("no panic");
    attempts
}

#[tokio::test(start_paused = true)]
async fn a_read_is_asked_again_after_anything() {
    for end in IN_DOUBT.into_iter().chain(NOT_EXECUTED) {
        assert_eq!(attempts("eth_call", end).await, 3);
        assert_eq!(attempts("zks_getAllTokens", end).await, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_is_never_asked_again() {
    for method in [
        "eth_sendTransaction",
        "eth_sendRawTransactionSync",
        "eth_sendBundle",
        "eth_sendPrivateTransaction",
        "eth_sign",
        "evm_mine",
        "anvil_setBalance",
        "personal_unlockAccount",
    ] {
        for end in IN_DOUBT.into_iter().chain(NOT_EXECUTED) {
            assert_eq!(attempts(method, end).await, 1, "{method}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_that_nobody_knows_is_asked_again_only_if_it_was_not_executed() {
    for method in ["acme_frobnicate", "eth_getFilterChanges", "eth_newFilter"] {
        for end in IN_DOUBT {
            assert_eq!(attempts(method, end).await, 1, "{method}");
        }
        for end in NOT_EXECUTED {
            assert_eq!(attempts(method, end).await, 3, "{method}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_raw_transaction_is_sent_again_if_its_hash_can_tell() {
    let again: [fn(MockCall); 7] = [
        |call| call.fail(io(ErrorKind::ConnectionReset)),
        |call| call.fail(io(ErrorKind::TimedOut)),
        |call| call.fail(http(500)),
        |call| call.fail(http(504)),
        |call| call.fail(http(401)),
        |call| call.fail(http(402)),
        |call| call.fail(http(429)),
    ];
    for end in again {
        assert_eq!(attempts("eth_sendRawTransaction", end).await, 3);
    }
    let never: [fn(MockCall); 4] = [
        |call| call.answer(answer(9, "0x")),
        |call| call.answer(error(1, -32000, "out of cheese")),
        |call| call.answer(error(1, -32000, "insufficient funds")),
        |call| call.answer(error(1, -32602, "invalid params")),
    ];
    for end in never {
        assert_eq!(attempts("eth_sendRawTransaction", end).await, 1);
    }
}
