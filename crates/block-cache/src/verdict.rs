//! Whether an answer may be kept, and what it belongs to.

use crate::{
    Age,
    chain::{Chain, Moment},
    entry::Bond,
    question::{Question, Topic, text_of},
};
use alclad_core::{BlockRef, EndpointId, SightedBlock, Sighting};
use alloy_json_rpc::Response;
use alloy_primitives::{B256, U64};
use serde::Deserialize;
use std::{ops::RangeInclusive, time::Duration};

const BY_PLACE: &str = "eth_getTransactionByBlock";

/// What was answered, by whom, and what was known when it was asked.
pub(crate) struct Answer<'a> {
    pub(crate) response: &'a Response,
    pub(crate) endpoint: Option<&'a EndpointId>,
    pub(crate) asked: Moment,
}

/// What an answer belongs to.
pub(crate) struct Verdict {
    pub(crate) bond: Bond,
    pub(crate) age: Age,
    /// The lowest block that it speaks of, if that is known.
    pub(crate) from: Option<u64>,
}

impl Question {
    /// What this answer belongs to, and how old that is; nothing if it must not be kept.
    pub(crate) fn verdict(
        &self,
        answer: &Answer<'_>,
        chain: &Chain,
        max_age: Option<Duration>,
    ) -> Option<Verdict> {
        let text = answer.response.payload.as_success()?.get();
        if text == "null" || !self.is_about(text, chain) {
            return None;
        }
        let told = self.told(answer.response);
        let is_empty = text == "[]";
        // Of a block that has none, the receipts do not tell which it was.
        if self.method.shows_block && told.is_none() && !is_empty {
            return None;
        }
        let from = told.map(|told| told.number);
        match self.topic {
            // Some have no logs of a block that they do not have.
            Topic::Constant if is_empty => None,
            Topic::Constant => Some(Verdict { bond: Bond::Constant, age: Age::Final, from }),
            Topic::Height { from, to, is_range } => {
                let (bond, age) = bond_at(to, told, answer, chain)?;
                let is_safe = is_range && chain.heads.safe() >= Some(to);
                let may_be_empty = matches!(bond, Bond::Final(_)) || is_safe;
                let is_of_bond = match is_range {
                    true => are_of(text, from..=to, bond.hash()),
                    false => self.is_in(text, bond.hash()),
                };
                let verdict = Verdict { bond, age, from: Some(from) };
                ((!is_empty || may_be_empty) && is_of_bond).then_some(verdict)
            }
            Topic::InBlock => {
                let (bond, age) = bond_at(told?.number, told, answer, chain)?;
                Some(Verdict { bond, age, from })
            }
            Topic::Latest(number) => {
                let reorgs = answer.asked.reorgs;
                let is_same =
                    chain.heads.latest() == Some(number) && chain.heads.reorgs() == reorgs;
                let until = answer.asked.at.checked_add(max_age?)?;
                let bond = Bond::Latest { number, reorgs, until, pipeline: chain.pipeline };
                let verdict = Verdict { bond, age: Age::Latest, from };
                (is_same && !is_empty).then_some(verdict)
            }
        }
    }

    /// The block that the answer tells.
    fn told(&self, response: &Response) -> Option<SightedBlock> {
        if !self.method.shows_block {
            return None;
        }
        Sighting::of_given(self.method.name, self.block, response)?.block
    }

    /// Whether the answer is about what was asked, as far as it tells.
    fn is_about(&self, text: &str, chain: &Chain) -> bool {
        let is_asked = |block: &Place| match self.block {
            BlockRef::Hash(hash) => block.hash == Some(hash),
            BlockRef::Number(number) => block.number.map(|number| number.to()) == Some(number),
            _ => true,
        };
        match (self.method.name, self.topic) {
            ("eth_chainId", _) => read::<U64>(text).map(|id| id.to()) == chain.id(),
            ("eth_getLogs", Topic::Constant) => {
                read::<Vec<Place>>(text).is_some_and(|logs| logs.iter().all(is_asked))
            }
            (name, _) if name.starts_with(BY_PLACE) => {
                read::<Place>(text).is_some_and(|place| is_asked(&place))
            }
            (name, Topic::InBlock) => self.is_about_transaction(name, text),
            _ => true,
        }
    }

    /// Whether a transaction that was asked for by its place lies in this block.
    fn is_in(&self, text: &str, block: Option<B256>) -> bool {
        let Some(block) = block.filter(|_| self.method.name.starts_with(BY_PLACE)) else {
            return true;
        };
        read::<Place>(text).is_none_or(|place| place.hash == Some(block))
    }

    fn is_about_transaction(&self, method: &str, text: &str) -> bool {
        let asked = text_of(&self.key).and_then(|key| key.rsplit('"').nth(1)?.parse().ok());
        let told = read::<Place>(text).and_then(|place| match method {
            "eth_getTransactionReceipt" => place.transaction_hash,
            _ => place.own_hash,
        });
        asked.is_some() && asked == told
    }
}

/// Where something lies, and what it is called.
#[derive(Deserialize)]
struct Place {
    #[serde(rename = "blockNumber")]
    number: Option<U64>,
    #[serde(rename = "blockHash")]
    hash: Option<B256>,
    #[serde(rename = "transactionHash")]
    transaction_hash: Option<B256>,
    #[serde(rename = "hash")]
    own_hash: Option<B256>,
}

/// Whether these logs, if it is logs, lie in these blocks, of which the last has this hash.
fn are_of(text: &str, blocks: RangeInclusive<u64>, last: Option<B256>) -> bool {
    let is_of = |log: &Place| {
        let number = log.number.map(|number| number.to());
        number.is_some_and(|number: u64| {
            let is_last = number == *blocks.end();
            blocks.contains(&number) && (!is_last || last.is_none_or(|last| log.hash == Some(last)))
        })
    };
    // Traces have their blocks as numbers.
    read::<Vec<Place>>(text).is_none_or(|logs| logs.iter().all(is_of))
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    serde_json::from_str(text).ok()
}

fn bond_at(
    number: u64,
    told: Option<SightedBlock>,
    answer: &Answer<'_>,
    chain: &Chain,
) -> Option<(Bond, Age)> {
    let Chain { heads, .. } = chain;
    if told.is_some_and(|told| told.number != number) {
        return None;
    }
    // What was learnt while the answer was on its way counts too, if that was not long.
    let final_height = match answer.asked.at.elapsed() < heads.block_time() {
        true => chain.final_height(),
        false => answer.asked.final_height,
    };
    if final_height >= Some(number) {
        let endpoint = answer.endpoint.filter(|_| !chain.is_alone());
        let is_good = match told {
            Some(told) => !heads.is_disputed(number, told.hash),
            // What an endpoint says of a block that it has not reached, it may say of another one;
            // and it is not known of which branch it speaks if one was left meanwhile.
            None => {
                heads.had(endpoint, number, answer.asked.at)
                    && !heads.is_apart(endpoint)
                    && heads.reorgs() == answer.asked.reorgs
            }
        };
        return is_good.then_some((Bond::Final(number), Age::Final));
    }
    if heads.reorgs() != answer.asked.reorgs {
        return None;
    }
    // Without a hash of its own it belongs to the block that its endpoint had before and after.
    let shown = || match chain.is_alone() {
        true => None,
        false => heads.shown_since(answer.endpoint, number, answer.asked.at),
    };
    let hash = told.map(|told| told.hash).or_else(shown)?;
    heads.canonical_until(number, hash)?;
    let age = if heads.latest() <= Some(number) { Age::Tip } else { Age::Young };
    Some((Bond::Block { number, hash, told: told.is_some() }, age))
}
