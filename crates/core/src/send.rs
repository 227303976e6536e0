//! What a node's answer to `eth_sendRawTransaction` really means.
//!
//! The hash of a transaction is known before it is sent, and it makes the send idempotent: a node
//! that "already knows" the transaction has accepted it, and "nonce too low" may mean that an
//! earlier send of the very same bytes, whose answer was lost, has been mined. Both are decided by
//! the hash, by the retry layer and by the rotation alike.

use crate::{Fault, Member, Outcome, classify};
use alloy_consensus::TxEnvelope;
use alloy_eips::eip2718::Decodable2718;
use alloy_json_rpc::{
    Id, Request, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest,
};
use alloy_primitives::{B256, Bytes};
use alloy_transport::TransportError;
use serde::Deserialize;
use serde_json::value::to_raw_value;

/// The method whose answers are decided by hash.
pub const SEND_RAW_TRANSACTION: &str = "eth_sendRawTransaction";

const LOOK_UP: &str = "eth_getTransactionByHash";

/// The hash of the transaction that this request sends: from its decoded envelope, for EIP-4844
/// without the sidecar.
///
/// `None` if the request sends nothing, or if the bytes are not an Ethereum transaction: the hash
/// of another network's envelope is not guessed.
pub fn transaction_hash(request: &SerializedRequest) -> Option<B256> {
    if request.method() != SEND_RAW_TRANSACTION {
        return None;
    }
    let params: (Bytes,) = serde_json::from_str(request.params()?.get()).ok()?;
    TxEnvelope::decode_2718_exact(&params.0).ok().map(|envelope| *envelope.tx_hash())
}

/// Decides a send by its hash, after an attempt.
///
/// `AlreadyKnown` becomes the hash at once. After `NonceTooLow` the node must first be asked
/// whether it has the transaction: with the look-up that is returned.
#[must_use]
pub fn resolve(member: &mut Member) -> Option<Lookup> {
    let fault = member.open_fault()?;
    if !matches!(fault, Fault::AlreadyKnown | Fault::NonceTooLow) {
        return None;
    }
    let lookup = Lookup::of(member)?;
    if fault == Fault::AlreadyKnown {
        member.answer(accepted(lookup.id, lookup.hash));
        return None;
    }
    Some(lookup)
}

/// The question whether a node has the transaction that a member sends.
#[derive(Debug)]
pub struct Lookup {
    id: Id,
    hash: B256,
}

impl Lookup {
    /// For a member that sends a transaction of which we know the hash.
    pub fn of(member: &Member) -> Option<Self> {
        let hash = member.question().request().and_then(transaction_hash)?;
        Some(Self { id: member.question().id().clone(), hash })
    }

    /// The packet that asks it.
    pub fn packet(&self) -> RequestPacket {
        let params = to_raw_value(&[self.hash]).expect("a hash is JSON");
        let request = Request::new(LOOK_UP, self.id.clone(), params);
        RequestPacket::Single(request.serialize().expect("raw JSON is JSON"))
    }

    /// If the node has it, the member's answer is the hash; if not, its error stands. If the
    /// look-up failed in a way after which the send may be repeated, so did the attempt.
    pub fn settle(self, member: &mut Member, answer: Result<ResponsePacket, TransportError>) {
        match self.outcome(answer) {
            Outcome::Answer => member.answer(accepted(self.id, self.hash)),
            Outcome::Fault(fault) if member.question().method().may_replay(&fault) => {
                member.fail(fault);
            }
            Outcome::Fault(_) | Outcome::Null | Outcome::Empty => {}
        }
    }

    /// If the node has it, the member's answer is the hash; whatever else it says, the member
    /// keeps what it has. Returns whether it has it.
    pub fn confirm(
        &self,
        member: &mut Member,
        answer: Result<ResponsePacket, TransportError>,
    ) -> bool {
        let has_it = self.outcome(answer) == Outcome::Answer;
        if has_it {
            member.answer(accepted(self.id.clone(), self.hash));
        }
        has_it
    }

    /// The transaction's hash.
    pub const fn hash(&self) -> B256 {
        self.hash
    }

    fn outcome(&self, answer: Result<ResponsePacket, TransportError>) -> Outcome {
        match answer {
            Ok(ResponsePacket::Single(answer)) if answer.id == self.id => {
                match classify(LOOK_UP, &answer) {
                    Outcome::Answer if !self.is_of(&answer) => Outcome::Fault(Fault::Malformed),
                    outcome => outcome,
                }
            }
            Ok(_) => Outcome::Fault(Fault::Malformed),
            Err(error) => Outcome::Fault(Fault::of_error(LOOK_UP, &error)),
        }
    }

    /// Whether the answer is this very transaction.
    fn is_of(&self, answer: &Response) -> bool {
        #[derive(Deserialize)]
        struct Transaction {
            hash: B256,
        }
        let transaction = answer.payload.as_success().map(|raw| serde_json::from_str(raw.get()));
        matches!(transaction, Some(Ok(Transaction { hash })) if hash == self.hash)
    }
}

fn accepted(id: Id, hash: B256) -> Response {
    let hash = to_raw_value(&hash).expect("a hash is JSON");
    Response { id, payload: ResponsePayload::Success(hash) }
}
