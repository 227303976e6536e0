//! A call, and what it may be answered.

use crate::{record::Tag, world::World};
use alclad::CallOptions;
use alclad_testkit::{batch, request_with_id, single};
use alloy::{
    primitives::B256,
    rpc::json_rpc::{Id, RequestPacket},
};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// What is asked, and how its answer is judged.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) method: &'static str,
    pub(crate) params: Value,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The newest block, or its number.
    Head,
    /// Whatever else is read.
    Read,
    /// A transaction; one that is signed for another chain must not leave.
    Send { hash: B256, foreign: bool },
    /// A write that no node knows.
    Write,
    /// Of a filter: what is new, or a new one.
    Filter,
}

/// A result, or code and text of an error.
pub(crate) type Truth = Result<Value, (i64, String)>;

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) question: Question,
    /// All that nodes could have said to it since it was asked, also those that lag.
    pub(crate) truths: Vec<Truth>,
    /// What a node at the chain's head could have said.
    pub(crate) best: Vec<Truth>,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) index: usize,
    pub(crate) begun: Duration,
    pub(crate) members: Vec<Member>,
    pub(crate) is_batch: bool,
    pub(crate) options: CallOptions,
    pub(crate) deadline: Option<Duration>,
    /// The first of the members' ids, which are those of other calls too.
    pub(crate) first_id: u64,
    /// The newest head that the client had been given when it began.
    pub(crate) floor: u64,
    /// The lowest head of a node since it began.
    pub(crate) lowest: u64,
    /// How long a block takes, as the cache knows it.
    pub(crate) block_time: Duration,
}

impl Member {
    pub(crate) const fn new(question: Question) -> Self {
        Self { question, truths: Vec::new(), best: Vec::new() }
    }
}

impl Call {
    pub(crate) fn packet(&self) -> RequestPacket {
        let requests = self.members.iter().enumerate().map(|(member, asked)| {
            let Question { method, params, .. } = &asked.question;
            let mut request = request_with_id(self.id(member), *method, params.clone());
            let extensions = request.meta_mut().extensions_mut();
            extensions.insert(Tag { call: self.index, member });
            if self.options != CallOptions::default() {
                extensions.insert(self.options.clone());
            }
            request
        });
        let mut requests: Vec<_> = requests.collect();
        match self.is_batch {
            true => batch(requests),
            false => single(requests.remove(0)),
        }
    }

    pub(crate) fn id(&self, member: usize) -> Id {
        match self.first_id % 3 {
            0 => Id::String(format!("call {}", self.first_id + member as u64)),
            _ => Id::Number(self.first_id + member as u64),
        }
    }

    /// Adds what nodes as far as these could say now.
    pub(crate) fn see_truths(&mut self, world: &World) {
        let (head, heads) = (world.chain.block_number(), world.heads());
        self.lowest = self.lowest.min(heads[0]);
        for member in &mut self.members {
            let Question { method, params, kind } = &member.question;
            if !matches!(kind, Kind::Read | Kind::Write) {
                continue;
            }
            for seen in &heads {
                let truth = world.chain.answer_at(*seen, method, params.clone());
                let truth = truth.map_err(|error| (error.code, error.message.to_string()));
                if *seen == head && !member.best.contains(&truth) {
                    member.best.push(truth.clone());
                }
                if !member.truths.contains(&truth) {
                    member.truths.push(truth);
                }
            }
        }
    }

    /// Whether it goes its own way: to one endpoint, without a second try.
    pub(crate) const fn is_peculiar(&self) -> bool {
        let CallOptions { no_retry, ignore_errors, endpoint, .. } = &self.options;
        *no_retry || *ignore_errors || endpoint.is_some()
    }
}

/// The deadline of a call's options, as time since the start.
pub(crate) fn deadline(options: &CallOptions, now: Duration) -> Option<Duration> {
    options.deadline.map(|deadline| now + deadline.saturating_duration_since(Instant::now()))
}
