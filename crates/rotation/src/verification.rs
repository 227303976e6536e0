use crate::{
    Endpoint, Role, Rotation,
    call::{Exchange, PATIENCE},
    freshness::BLOCK_NUMBER,
    polling::question,
    roster::Roster,
    seat::Seat,
    snapshot::{as_milliseconds, as_text},
};
use alclad_core::{CallOptions, EndpointId, Fault, Health, Sighting, UniqueIds};
use alloy_json_rpc::{RequestPacket, Response, ResponsePacket, SerializedRequest};
use alloy_transport::Transport;
use serde::{Serialize, Serializer, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};
use thiserror::Error;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};
use tower::Layer;

/// What every endpoint said when it was asked who it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Verification {
    /// One row for each endpoint, in the rotation's order.
    pub endpoints: Vec<Verified>,
}

/// What one endpoint said.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Verified {
    /// Its name.
    #[serde(serialize_with = "as_text")]
    pub endpoint: EndpointId,
    /// The chain that it serves, or why that is not known.
    #[serde(serialize_with = "as_chain")]
    pub chain_id: Result<u64, Unverified>,
    /// Its newest block.
    pub head: Option<u64>,
    /// Its software, if it tells.
    pub client: Option<String>,
    /// How long it took to name its chain.
    #[serde(rename = "latency_ms", serialize_with = "as_milliseconds")]
    pub latency: Option<Duration>,
}

/// Why it is not known which chain an endpoint serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unverified {
    /// It did not answer: it may come back.
    #[error("did not answer: {0}")]
    NoAnswer(Fault),
    /// It does not accept our credentials, or our plan is used up.
    #[error("key refused: {0}")]
    KeyRefused(Fault),
    /// Its own guard, or its answer, says that it serves another chain.
    #[error("wrong chain")]
    WrongChain,
}

/// The endpoints cannot serve one application.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Disagreement {
    /// They serve different chains.
    #[error("the endpoints serve different chains: {}; take out those of the wrong one", list(.0))]
    Chains(BTreeMap<u64, Vec<EndpointId>>),
    /// None has said which chain it serves.
    #[error("no endpoint has said which chain it serves; the table says why")]
    Silence,
    /// The endpoint's guard has found that it serves another chain.
    #[error("endpoint {0} serves another chain than its guard expects; take it out")]
    WrongChain(EndpointId),
}

/// [`Rotation::verify`] for a plain list of endpoints, before there is a rotation.
pub async fn verify<T, L>(endpoints: impl IntoIterator<Item = Endpoint<T, L>>) -> Verification
where
    T: Transport,
    L: Layer<UniqueIds<T>>,
    L::Service: Transport + Clone,
{
    Rotation::builder().endpoints(endpoints).build().verify().await
}

// === impl Rotation ===

impl Rotation {
    /// Asks every endpoint, also those that are switched off or left alone, for its chain, its
    /// head and its software: to be looked at before the first call.
    ///
    /// Each may take 10 s per question. What was known of heads until now is forgotten, and what
    /// they say is taken for it. An endpoint that is not on the chain that more than half of them
    /// serve is not asked until a later verification finds it there, and somebody else with it; if no
    /// chain has more than half, none is left out. What becomes of an endpoint later, only a chain guard in its ring sees.
    pub async fn verify(&self) -> Verification {
        let roster = self.shared.roster.load_full();
        let mut asking = JoinSet::new();
        for (index, seat) in roster.seats.iter().enumerate() {
            let seat = Arc::clone(seat);
            asking.spawn(async move { (index, who_is(&seat).await) });
        }
        let mut rows = asking.join_all().await;
        rows.sort_by_key(|(index, _)| *index);
        let endpoints: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
        let verification = Verification { endpoints };
        verification.heed(&roster);
        verification
    }
}

// === impl Verification ===

impl Verification {
    /// The chain that all endpoints serve which have answered. Whether those that have not are to
    /// be borne is yours to say: see [`unverified`](Self::unverified).
    ///
    /// # Errors
    ///
    /// If they serve different ones, or if none has answered.
    pub fn chain_id(&self) -> Result<u64, Disagreement> {
        let wrong = |row: &&Verified| row.chain_id == Err(Unverified::WrongChain);
        if let Some(row) = self.endpoints.iter().find(wrong) {
            return Err(Disagreement::WrongChain(row.endpoint.clone()));
        }
        let chains = self.chains();
        match chains.len() {
            0 => Err(Disagreement::Silence),
            1 => chains.into_keys().next().ok_or(Disagreement::Silence),
            _ => Err(Disagreement::Chains(chains)),
        }
    }

    /// The endpoints of which it is not known which chain they serve, and why.
    pub fn unverified(&self) -> impl Iterator<Item = (&EndpointId, Unverified)> {
        self.endpoints.iter().filter_map(|row| Some((&row.endpoint, row.chain_id.err()?)))
    }

    /// Puts away who is on another chain, and takes heads from the others.
    fn heed(&self, roster: &Roster) {
        let rows = || roster.seats.iter().zip(&self.endpoints);
        let mut answered = rows().filter(|(_, row)| row.chain_id.is_ok()).peekable();
        if answered.peek().is_some() {
            roster.shared.freshness.forget();
        }
        // Those that were put away do not come back because nobody else answers.
        let is_put_away = |seat: &Arc<Seat>| seat.is_of_wrong_chain();
        let all_are = roster.seats.iter().all(is_put_away);
        let vouches = |chain| {
            rows().any(|(seat, row)| row.chain_id == Ok(chain) && (all_are || !is_put_away(seat)))
        };
        let majority = self.majority().filter(|chain| vouches(*chain));
        for (seat, row) in answered {
            match majority {
                Some(majority) if row.chain_id != Ok(majority) => {
                    seat.set_wrong_chain(true);
                    seat.fail(Fault::WrongChain, Health::Quarantine, seat.circuit.age());
                    continue;
                }
                Some(_) => {
                    seat.set_wrong_chain(false);
                    seat.circuit.end_quarantine();
                }
                None if is_put_away(seat) => continue,
                None => {}
            }
            seat.lookout.confirm();
            // Who only sends is never asked again where it is.
            if let Some(head) = row.head.filter(|_| seat.role != Role::Write) {
                seat.lookout.saw(&Sighting::block_number(head));
                seat.tell_of_lag();
            }
        }
    }

    fn chains(&self) -> BTreeMap<u64, Vec<EndpointId>> {
        let mut chains = BTreeMap::<u64, Vec<EndpointId>>::new();
        for row in &self.endpoints {
            if let Ok(chain) = row.chain_id {
                chains.entry(chain).or_default().push(row.endpoint.clone());
            }
        }
        chains
    }

    fn majority(&self) -> Option<u64> {
        let chains = self.chains();
        let all: usize = chains.values().map(Vec::len).sum();
        chains.into_iter().find(|(_, endpoints)| 2 * endpoints.len() > all).map(|(chain, _)| chain)
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.endpoints.iter().map(|row| row.endpoint.as_str().len()).max();
        let width = width.unwrap_or_default().max("endpoint".len());
        writeln!(
            f,
            "{:width$}  {:>12}  {:>12}  {:>10}  client",
            "endpoint", "chain", "head", "latency"
        )?;
        for row in &self.endpoints {
            let head = row.head.map_or_else(|| "-".to_owned(), |head| head.to_string());
            let latency =
                row.latency.map_or_else(|| "-".to_owned(), |latency| format!("{latency:.1?}"));
            let (chain, client) = match &row.chain_id {
                Ok(chain) => (chain.to_string(), row.client.clone().unwrap_or_default()),
                Err(problem) => ("-".to_owned(), problem.to_string()),
            };
            let endpoint = row.endpoint.as_str();
            writeln!(f, "{endpoint:width$}  {chain:>12}  {head:>12}  {latency:>10}  {client}")?;
        }
        Ok(())
    }
}

async fn who_is(seat: &Arc<Seat>) -> Verified {
    let begun = Instant::now();
    let mut chain = question("eth_chainId");
    // The endpoint itself, and not what a guard of its ring remembers.
    chain.meta_mut().extensions_mut().insert(CallOptions::new().without_cache());
    let chain_id = ask::<String>(seat, &chain).await.and_then(|id| quantity(&id));
    let latency = chain_id.is_ok().then(|| begun.elapsed());
    let (mut head, mut client) = (None, None);
    if chain_id.is_ok() {
        let number = ask::<String>(seat, &question(BLOCK_NUMBER)).await;
        head = number.and_then(|number| quantity(&number)).ok();
        client = ask(seat, &question("web3_clientVersion")).await.ok();
    }
    Verified { endpoint: seat.id.clone(), chain_id, head, client, latency }
}

async fn ask<T: DeserializeOwned>(
    seat: &Arc<Seat>,
    request: &SerializedRequest,
) -> Result<T, Unverified> {
    let packet = RequestPacket::Single(request.clone());
    let answered = timeout(PATIENCE, Exchange::begin(seat, packet, None)).await;
    match answered.map(|(answer, _)| answer) {
        Ok(Ok(ResponsePacket::Single(answer))) => read(request, &answer),
        Ok(Ok(ResponsePacket::Batch(_))) => Err(Unverified::NoAnswer(Fault::Malformed)),
        Ok(Err(error)) => Err(Unverified::from(Fault::of_error(request.method(), &error))),
        Err(_) => Err(Unverified::NoAnswer(Fault::Timeout)),
    }
}

fn read<T: DeserializeOwned>(
    request: &SerializedRequest,
    answer: &Response,
) -> Result<T, Unverified> {
    match alclad_core::classify(request.method(), answer).fault() {
        Some(fault) => Err(fault.into()),
        None => {
            let result = answer.payload.as_success().map(|raw| serde_json::from_str(raw.get()));
            result.and_then(Result::ok).ok_or(Unverified::NoAnswer(Fault::Malformed))
        }
    }
}

fn quantity(hex: &str) -> Result<u64, Unverified> {
    let digits = hex.strip_prefix("0x").unwrap_or(hex);
    u64::from_str_radix(digits, 16).map_err(|_| Unverified::NoAnswer(Fault::Malformed))
}

impl From<Fault> for Unverified {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unauthorized | Fault::QuotaExhausted => Self::KeyRefused(fault),
            Fault::WrongChain => Self::WrongChain,
            other => Self::NoAnswer(other),
        }
    }
}

fn list(chains: &BTreeMap<u64, Vec<EndpointId>>) -> String {
    let one = |(chain, endpoints): (&u64, &Vec<EndpointId>)| {
        let endpoints: Vec<_> = endpoints.iter().map(EndpointId::as_str).collect();
        format!("{chain} ({})", endpoints.join(", "))
    };
    chains.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn as_chain<S: Serializer>(
    chain_id: &Result<u64, Unverified>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match chain_id {
        Ok(chain) => serializer.serialize_u64(*chain),
        Err(problem) => serializer.collect_str(problem),
    }
}
