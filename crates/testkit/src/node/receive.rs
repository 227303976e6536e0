//! From the calls of a packet to what leaves the node.

use super::{
    Feeds, SimNode,
    disruption::HttpAnswer,
    lock,
    plan::{Fate, Member, Plan, Twist},
    rule::Call,
};
use crate::{
    ErrorObject,
    rpc::{Answer, Params, View, ok},
};
use std::{
    future::pending,
    sync::{Mutex, atomic::Ordering::Relaxed},
};

/// The page that a broken proxy shows.
pub(crate) const HTML: &str = "<!DOCTYPE html>\n<html><head><title>Bad gateway</title></head>\
    <body><h1>We will be back soon</h1></body></html>\n";

/// What leaves the node; each front says it in its own way.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// The answers, in a 200.
    Answers(Vec<Member>),
    /// Nobody is there.
    Refused,
    /// An HTTP answer in place of the right one.
    Http(HttpAnswer),
    /// [`HTML`] in a 200.
    Html,
    /// The first half of the answers, then a reset.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "only HTTP shows the half"))]
    Cut(Vec<Member>),
    /// The connection closes without a word.
    Lost,
    /// The first half of the answers, as if it were all.
    Truncated(Vec<Member>),
    /// Something that begins like an answer and never ends.
    Endless,
}

impl SimNode {
    /// Takes a packet. `session` holds the subscriptions of a connection that can have some.
    pub(crate) async fn receive(
        &self,
        calls: &[Call<'_>],
        batch: bool,
        session: Option<&Mutex<Feeds>>,
    ) -> Delivery {
        let plan = self.plan(calls);
        if matches!(plan.fate, Fate::Refuse) {
            return Delivery::Refused;
        }
        let _in_flight = self.shared.counters.arrive(calls);
        if let Some(own) = self.throttle(calls.len()) {
            return Delivery::Http(own);
        }
        if !plan.delay.is_zero() {
            tokio::time::sleep(plan.delay).await;
        }
        match plan.fate {
            Fate::Refuse => Delivery::Refused,
            Fate::Hang => pending().await,
            Fate::Http(own) => Delivery::Http(own),
            Fate::Html => Delivery::Html,
            Fate::Endless => Delivery::Endless,
            Fate::Cut => Delivery::Cut(self.execute(calls, batch, session, &plan)),
            Fate::Truncate => Delivery::Truncated(self.execute(calls, batch, session, &plan)),
            Fate::Lose => {
                self.execute(calls, batch, session, &plan);
                Delivery::Lost
            }
            Fate::Answer => {
                let members = self.execute(calls, batch, session, &plan);
                self.shared.counters.answered.fetch_add(members.len() as u64, Relaxed);
                Delivery::Answers(members)
            }
        }
    }

    fn throttle(&self, calls: usize) -> Option<HttpAnswer> {
        let mut allowance = lock(&self.shared.allowance);
        let allowance = allowance.as_mut()?;
        let wait = allowance.take(calls).err()?;
        self.shared.counters.throttled.fetch_add(1, Relaxed);
        Some(allowance.limit.refusal(wait))
    }

    fn execute(
        &self,
        calls: &[Call<'_>],
        batch: bool,
        session: Option<&Mutex<Feeds>>,
        plan: &Plan,
    ) -> Vec<Member> {
        let healthy = Twist::default();
        let answers = calls.iter().enumerate().map(|(index, call)| {
            let twist = plan.twists.get(index).unwrap_or(&healthy);
            Member { call: index, foreign: false, answer: self.answer(call, twist, session) }
        });
        let mut members: Vec<_> = answers.collect();
        for shape in &plan.shapes {
            shape.apply(&mut members, batch, &mut self.schedule().rng);
        }
        members
    }

    fn answer(&self, call: &Call<'_>, twist: &Twist, session: Option<&Mutex<Feeds>>) -> Answer {
        if let Some(error) = &twist.error {
            return Err(error.clone());
        }
        if twist.null {
            return ok(());
        }
        let (chain, sight) = self.sight(twist);
        let feeds = match call.method {
            "eth_newBlockFilter"
            | "eth_newFilter"
            | "eth_getFilterChanges"
            | "eth_uninstallFilter" => &self.shared.filters,
            "eth_subscribe" | "eth_unsubscribe" => {
                session.ok_or_else(|| ErrorObject::server("notifications not supported"))?
            }
            _ => return chain.respond(&sight, call.method, call.params),
        };
        let params = &Params::parse(call.params)?;
        let ledger = chain.ledger();
        let view = View::new(chain.spec(), &ledger, &sight);
        let mut feeds = lock(feeds);
        match call.method {
            "eth_newBlockFilter" => feeds.new_block_filter(view),
            "eth_newFilter" => feeds.new_log_filter(view, params),
            "eth_getFilterChanges" => feeds.changes(view, params),
            "eth_subscribe" => feeds.subscribe(view, params),
            _ => feeds.close(params),
        }
    }
}
