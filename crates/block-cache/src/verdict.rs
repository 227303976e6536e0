//! Whether an answer may be kept, and what it belongs to.

use crate::{
    Age,
    chain::{Chain, Moment},
    entry::Bond,
    question::{Question, Topic, text_of},
};
use alclad_core::{EndpointId, SightedBlock, Sighting};
use alloy_json_rpc::Response;
use std::time::Duration;

/// What was answered, by whom, and what was known when it was asked.
pub(crate) struct Answer<'a> {
    pub(crate) response: &'a Response,
    pub(crate) endpoint: Option<&'a EndpointId>,
    pub(crate) asked: Moment,
}

impl Question {
    /// What this answer belongs to, and how old that is; nothing if it must not be kept.
    pub(crate) fn bond(
        &self,
        answer: &Answer<'_>,
        chain: &Chain,
        max_age: Option<Duration>,
    ) -> Option<(Bond, Age)> {
        let text = answer.response.payload.as_success()?.get();
        if text == "null" {
            return None;
        }
        let told = match self.method.shows_block {
            true => Sighting::of_given(self.method.name, self.block, answer.response),
            false => None,
        };
        let told = told.and_then(|sighting| sighting.block);
        // Of a block that has none, the receipts do not tell which it was.
        if self.method.shows_block && told.is_none() && text != "[]" {
            return None;
        }
        match self.topic {
            // Some have no logs of a block that they do not have.
            Topic::Constant => (text != "[]").then_some((Bond::Constant, Age::Final)),
            Topic::Height { to, is_range, .. } => {
                let is_empty = text == "[]";
                bond_at(to, told, answer, chain).filter(|(bond, _)| {
                    !is_empty
                        || matches!(bond, Bond::Final(_))
                        || (is_range && chain.heads.safe() >= Some(to))
                })
            }
            Topic::InBlock if !self.is_about(text) => None,
            Topic::InBlock => bond_at(told?.number, told, answer, chain),
            Topic::Latest(number) => {
                let is_same = chain.heads.latest() == Some(number)
                    && chain.heads.reorgs() == answer.asked.reorgs;
                let until = answer.asked.at.checked_add(max_age?)?;
                let bond = Bond::Latest { number, reorgs: answer.asked.reorgs, until };
                (is_same && text != "[]").then_some((bond, Age::Latest))
            }
        }
    }
}

impl Question {
    /// Whether the transaction that was asked for is in the answer.
    fn is_about(&self, answer: &str) -> bool {
        let hash = text_of(&self.key).and_then(|text| text.rsplit('"').nth(1));
        hash.is_some_and(|hash| answer.contains(hash))
    }
}

fn bond_at(
    number: u64,
    told: Option<SightedBlock>,
    answer: &Answer<'_>,
    chain: &Chain,
) -> Option<(Bond, Age)> {
    let Chain { heads, .. } = chain;
    if answer.asked.final_height >= Some(number) {
        // What an endpoint says of a block that it has not reached, it may say of another one.
        let reached = answer.endpoint.and_then(|endpoint| heads.head_of(endpoint));
        let is_there = told.is_some() || reached.is_none_or(|head| head >= number);
        let is_orphan =
            told.is_some_and(|told| heads.hash_at(number).is_some_and(|hash| hash != told.hash));
        return (is_there && !is_orphan).then_some((Bond::Final(number), Age::Final));
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
