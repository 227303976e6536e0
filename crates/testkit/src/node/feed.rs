//! Filters and subscriptions: who has been told of which blocks.

use crate::{
    ErrorObject,
    chain::block::SealedBlock,
    rpc::{Answer, Params, View, matching_logs, ok},
};
use alloy_primitives::{B256, U64};
use alloy_rpc_types_eth::{Filter, Log};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// A reorg deeper than this is told as if all its blocks were new.
const MEMORY: usize = 128;

/// What is reported of new blocks.
#[derive(Debug)]
enum Topic {
    Blocks,
    Logs(Box<Filter>),
}

/// One filter or subscription.
#[derive(Debug)]
struct Feed {
    topic: Topic,
    told: VecDeque<(u64, B256)>,
}

/// The filters of a node, or the subscriptions of a connection.
#[derive(Debug)]
pub(crate) struct Feeds {
    next_id: u64,
    open: BTreeMap<u64, Feed>,
}

impl Feeds {
    pub(crate) const fn new(first_id: u64) -> Self {
        Self { next_id: first_id, open: BTreeMap::new() }
    }

    /// `eth_newBlockFilter`.
    pub(crate) fn new_block_filter(&mut self, view: View<'_>) -> Answer {
        self.open(Topic::Blocks, view)
    }

    /// `eth_newFilter`.
    pub(crate) fn new_log_filter(&mut self, view: View<'_>, params: &Params<'_>) -> Answer {
        self.open(Topic::Logs(Box::new(params.required(0)?)), view)
    }

    /// `eth_subscribe`.
    pub(crate) fn subscribe(&mut self, view: View<'_>, params: &Params<'_>) -> Answer {
        let topic = match params.required::<String>(0)?.as_str() {
            "newHeads" => Topic::Blocks,
            "logs" => Topic::Logs(Box::new(params.optional(1)?.unwrap_or_default())),
            other => {
                let why = format!("no {other:?} subscription in eth namespace");
                return Err(ErrorObject::new(-32601, why));
            }
        };
        self.open(topic, view)
    }

    fn open(&mut self, topic: Topic, view: View<'_>) -> Answer {
        let head = view.at(view.head);
        let told = head.map(|block| (block.number(), block.hash())).into_iter().collect();
        let id = self.next_id;
        self.next_id += 1;
        self.open.insert(id, Feed { topic, told });
        ok(U64::from(id))
    }

    /// `eth_uninstallFilter` and `eth_unsubscribe`.
    pub(crate) fn close(&mut self, params: &Params<'_>) -> Answer {
        ok(self.open.remove(&params.required::<U64>(0)?.to()).is_some())
    }

    /// `eth_getFilterChanges`.
    pub(crate) fn changes(&mut self, view: View<'_>, params: &Params<'_>) -> Answer {
        let id = params.required::<U64>(0)?.to::<u64>();
        let feed = self.open.get_mut(&id).ok_or_else(|| ErrorObject::server("filter not found"))?;
        let blocks = feed.advance(view);
        match &feed.topic {
            Topic::Blocks => ok(blocks.iter().map(|block| block.hash()).collect::<Vec<_>>()),
            Topic::Logs(filter) => ok(logs_of(view, filter, &blocks)),
        }
    }

    /// What subscribers have not been told yet, each with the id of its subscription.
    #[cfg(feature = "ws")]
    pub(crate) fn news(&mut self, view: View<'_>) -> Vec<(u64, Box<serde_json::value::RawValue>)> {
        use crate::rpc::to_json;

        let mut news = Vec::new();
        for (id, feed) in &mut self.open {
            let blocks = feed.advance(view);
            match &feed.topic {
                Topic::Blocks => {
                    news.extend(blocks.iter().map(|block| (*id, to_json(&block.header))));
                }
                Topic::Logs(filter) => {
                    let logs = logs_of(view, filter, &blocks);
                    news.extend(logs.into_iter().map(|log| (*id, to_json(log))));
                }
            }
        }
        news
    }
}

fn logs_of<'a>(view: View<'a>, filter: &Filter, blocks: &[&Arc<SealedBlock>]) -> Vec<&'a Log> {
    let numbers = blocks.iter().map(|block| block.number());
    numbers.flat_map(|number| matching_logs(view, filter, number, number)).collect()
}

impl Feed {
    /// The blocks since the last one that was told and still stands, up to the head.
    fn advance<'a>(&mut self, view: View<'a>) -> Vec<&'a Arc<SealedBlock>> {
        let stands = |(number, hash): &(u64, B256)| {
            view.ledger.block(*number).is_some_and(|block| block.hash() == *hash)
        };
        let oldest = self.told.front().map_or(0, |(number, _)| *number);
        while self.told.back().is_some_and(|last| !stands(last)) {
            self.told.pop_back();
        }
        let from = self.told.back().map_or(oldest, |(number, _)| number + 1);
        let blocks: Vec<_> = (from..=view.head).filter_map(|number| view.at(number)).collect();
        self.told.extend(blocks.iter().map(|block| (block.number(), block.hash())));
        let excess = self.told.len().saturating_sub(MEMORY);
        self.told.drain(..excess);
        blocks
    }
}
