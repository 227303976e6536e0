use super::{caps::Caps, decoding, object};
use alclad_core::error::RefusedTransaction;
use alloy_json_rpc::SerializedRequest;
use alloy_primitives::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// How a method that sends transactions takes them.
#[derive(Clone, Copy)]
pub(super) enum Send {
    /// The bytes, or an object with them in `tx`.
    Raw,
    /// A list of bytes, in `txs` of an object.
    Bundle,
    /// An object that the node signs.
    Unsigned,
}

impl Send {
    /// Whatever the namespace: vendors and other networks have sends of their own.
    pub(super) fn of(method: &str) -> Option<Self> {
        let (_, verb) = method.split_once('_')?;
        let after = verb.strip_prefix("send")?;
        match after {
            "Transaction" => Some(Self::Unsigned),
            _ if after.starts_with("RawTransaction") => Some(Self::Raw),
            _ if after.ends_with("Bundle") => Some(Self::Bundle),
            "PrivateTransaction" | "PrivateRawTransaction" => Some(Self::Raw),
            _ => None,
        }
    }

    /// Whether all that the request sends may be sent to this chain.
    pub(super) fn check(
        self,
        request: &SerializedRequest,
        caps: &Caps,
        expected: u64,
    ) -> Result<(), RefusedTransaction> {
        let params = request.params().map(|params| serde_json::from_str(params.get()));
        let Some(Ok(params)) = params else { return Err(RefusedTransaction::Unreadable) };
        let params: Vec<&RawValue> = params;
        let first = params.first().ok_or(RefusedTransaction::Unreadable)?.get();
        match self {
            Self::Unsigned => caps.check_unsigned(&object::terms(first)?, expected),
            Self::Raw if first.starts_with('"') => decoding::check(&bytes(first)?, caps, expected),
            Self::Raw => decoding::check(&read::<Private>(first)?.tx, caps, expected),
            Self::Bundle => {
                // Some bundles are of another make, whose transactions only their relay knows.
                let transactions = read::<Bundle>(first)?.txs.unwrap_or_default();
                transactions.iter().try_for_each(|raw| decoding::check(raw, caps, expected))
            }
        }
    }
}

#[derive(Deserialize)]
struct Private {
    tx: Bytes,
}

#[derive(Deserialize)]
struct Bundle {
    txs: Option<Vec<Bytes>>,
}

fn bytes(json: &str) -> Result<Bytes, RefusedTransaction> {
    read(json)
}

fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, RefusedTransaction> {
    serde_json::from_str(json).map_err(|_| RefusedTransaction::Unreadable)
}
