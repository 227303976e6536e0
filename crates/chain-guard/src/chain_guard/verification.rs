use super::{
    gate::{Gate, Pass, Round},
    record::{Failed, Failure},
};
use crate::question::{BLOCK_NUMBER, CHAIN_ID, ask};
use alclad_core::{Ready, Upstream, error::SharedError, names, note};
use alloy_json_rpc::Id;
use alloy_transport::TransportError;
use std::sync::Arc;

/// Waits until the endpoint is verified: by this call, or by the one that asks already.
///
/// A call that is dropped while it asks leaves the question to the next in the queue.
pub(super) async fn admit<S: Upstream>(inner: &mut Ready<S, Arc<Gate>>) -> Result<Pass, Failed> {
    let gate = Arc::clone(inner.state());
    let arrived = gate.arrive()?;
    let _flight = match gate.flight.try_lock() {
        Ok(flight) => flight,
        Err(_) => {
            gate.may_wait()?;
            // Whoever asks may need the very place below that this call was given.
            inner.release();
            gate.flight.lock().await
        }
    };
    if let Some(verdict) = gate.verdict_since(&arrived) {
        return verdict;
    }
    loop {
        // A doubt that came up meanwhile wants another one.
        if let Some(pass) = verify(inner, &gate).await? {
            return Ok(pass);
        }
    }
}

/// The gate's flight is held.
async fn verify<S: Upstream>(
    inner: &mut Ready<S, Arc<Gate>>,
    gate: &Gate,
) -> Result<Option<Pass>, Failed> {
    let round = gate.begin();
    let (answer, notes) = note::capture(ask_for_chain(inner, gate, &round)).await;
    let (outcome, verdict) = match answer {
        Ok(Chain::Expected { head }) => ("match", Ok(gate.verified(&round, head))),
        Ok(Chain::Other { expected, actual }) => {
            ("mismatch", Err(gate.mismatched(expected, actual)))
        }
        Err(error) => {
            let http = notes.of(&Id::None).http();
            let failure = Failure {
                error: SharedError::new(error),
                status: http.status,
                retry_after: http.retry_after,
            };
            ("no_answer", Err(gate.unanswered(failure)))
        }
    };
    report(outcome);
    verdict
}

enum Chain {
    Expected { head: Option<u64> },
    Other { expected: u64, actual: u64 },
}

async fn ask_for_chain<S: Upstream>(
    inner: &mut Ready<S, Arc<Gate>>,
    gate: &Gate,
    round: &Round,
) -> Result<Chain, TransportError> {
    let actual = ask(inner, CHAIN_ID).await?;
    let expected = gate.baseline.learn(actual);
    if actual != expected {
        return Ok(Chain::Other { expected, actual });
    }
    // Behind one URL may be two chains: the answer that showed the jump is then of the other one.
    let head = match round.jumped {
        true => Some(ask(inner, BLOCK_NUMBER).await?),
        false => None,
    };
    Ok(Chain::Expected { head })
}

fn report(outcome: &'static str) {
    let endpoint = note::endpoint().map_or_else(String::new, |endpoint| endpoint.to_string());
    tracing::debug!(endpoint, outcome, "the endpoint was asked for its chain");
    let labels = [(names::ENDPOINT, endpoint), (names::OUTCOME, outcome.to_owned())];
    metrics::counter!(names::CHAIN_VERIFICATIONS, &labels).increment(1);
}
