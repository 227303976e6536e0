//! What a pipeline's cache knows and decides.

use crate::{
    Age, BlockCache, Keep, Lifetime, Subject,
    chain::{Chain, Moment},
    entry::Entry,
    flight::{Content, Flights, Wish},
    question::{Key, Question, Topic, at_height, is_for_cache, on_chain, raw, with_chain},
    verdict::Answer,
};
use alclad_core::{AnswerNote, CallOptions, Ready, Upstream};
use alloy_json_rpc::{Response, ResponsePayload, SerializedRequest};
use futures::future::{Either, select};
use serde_json::value::RawValue;
use std::{future::Future, pin::pin, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// An answer waits at most this long for what has to be known to keep it, and not longer than the
/// caller for the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What all clones of one pipeline's service share.
pub(crate) struct State {
    pub(crate) store: BlockCache,
    pub(crate) chain: Chain,
    lifetime: Arc<dyn Lifetime>,
    max_age: Option<Duration>,
    pub(crate) flights: Flights,
}

/// What is to be done with a request.
#[expect(clippy::large_enum_variant, reason = "it is moved once, and a box costs more")]
pub(crate) enum Reading {
    /// It passes.
    Pass,
    Hit(Box<RawValue>),
    Miss(Question),
}

impl State {
    pub(crate) fn new(
        store: BlockCache,
        chain: Chain,
        lifetime: Arc<dyn Lifetime>,
        max_age: Option<Duration>,
    ) -> Self {
        Self { store, chain, lifetime, max_age, flights: Flights::default() }
    }

    pub(crate) fn wish(&self, request: &SerializedRequest) -> Wish {
        let deadline = CallOptions::of(request).and_then(|options| options.deadline);
        Wish { deadline, clears: self.store.clears() }
    }

    pub(crate) fn read(&self, request: &SerializedRequest) -> Reading {
        if !is_for_cache(request) {
            return Reading::Pass;
        }
        let chain_id = self.chain.id();
        let written = chain_id.zip(raw(request)).map(|(id, text)| with_chain(id, text));
        if let Some(answer) = written.as_ref().and_then(|key| self.find(key)) {
            return Reading::Hit(answer);
        }
        let question = Question::of(request, chain_id, self.latest());
        let Some(question) = question else { return Reading::Pass };
        if chain_id.is_some()
            && written.as_ref() != Some(&question.key)
            && let Some(answer) = self.find(&question.key)
        {
            return Reading::Hit(answer);
        }
        Reading::Miss(question)
    }

    /// What stands under this key, if it is true.
    pub(crate) fn find(&self, key: &[u8]) -> Option<Box<RawValue>> {
        self.store.find(key, &self.chain)
    }

    /// The height that `latest` is read as, if it is.
    pub(crate) fn latest(&self) -> Option<u64> {
        let max_age = self.max_age?;
        self.chain.heads.latest_age().filter(|age| *age <= max_age)?;
        self.chain.heads.latest()
    }

    /// A request for `latest` becomes one for the height that it is read as.
    pub(crate) fn rewritten(
        &self,
        request: SerializedRequest,
        question: &Question,
    ) -> SerializedRequest {
        match question.topic {
            Topic::Latest(height) => at_height(request, question.method, height),
            _ => request,
        }
    }

    /// Waits for an answer, and meanwhile for what has to be known to keep it.
    pub(crate) async fn with_own_questions<S: Upstream, T>(
        &self,
        mut topics: impl Iterator<Item = Topic>,
        inner: &Ready<S, Self>,
        deadline: Option<Instant>,
        answer: impl Future<Output = T>,
    ) -> T {
        let must_look = topics.any(|topic| self.chain.must_look(topic));
        if self.chain.id().is_some() && !must_look {
            return answer.await;
        }
        let id = self.chain.learn_id(inner.fresh());
        let look = async {
            if must_look {
                self.chain.look_for_final(inner.fresh()).await;
            }
        };
        let own = async { tokio::join!(id, look) };
        match select(pin!(answer), pin!(own)).await {
            Either::Left((answer, own)) => {
                let patience = Instant::now() + PATIENCE;
                let _ = timeout_at(deadline.map_or(patience, |it| it.min(patience)), own).await;
                answer
            }
            Either::Right((_, answer)) => answer.await,
        }
    }

    /// Keeps the answer, if it may be kept.
    pub(crate) fn keep(
        &self,
        question: Question,
        key: &Key,
        response: Response,
        note: &AnswerNote,
        (asked, clears): (Moment, u64),
    ) -> Content {
        self.chain.saw(question.method, question.block, &response);
        let reorgs = self.chain.heads.reorgs();
        let answer = Answer { response: &response, endpoint: note.endpoint.as_ref(), asked };
        let verdict = question.verdict(&answer, &self.chain, self.max_age);
        let kept = verdict.zip(self.chain.id()).filter(|_| self.store.clears() == clears);
        let Some((verdict, chain_id)) = kept else { return Content::Loose(response.payload) };
        let head = self.chain.heads.latest();
        let number = verdict.bond.number();
        let depth = number.zip(head).map(|(number, head)| head.saturating_sub(number));
        let bytes = response.payload.as_success().map_or(0, |answer| answer.get().len());
        let subject = Subject { method: question.method, age: verdict.age, depth, bytes };
        let now = self.lifetime.of(&subject);
        let lifetimes = match verdict.age {
            Age::Final | Age::Latest => [now; 2],
            Age::Young | Age::Tip => {
                [now, self.lifetime.of(&Subject { age: Age::Final, ..subject })]
            }
        };
        let payload = match response.payload {
            ResponsePayload::Success(answer) if lifetimes[0] != Keep::Never => answer,
            payload => return Content::Loose(payload),
        };
        let endpoint = note.endpoint.clone();
        let key = on_chain(key, chain_id);
        let entry = Entry::new(key, payload, question.method, verdict, lifetimes, endpoint);
        let kept = self.store.insert(entry, head);
        // What was cleared or orphaned while it was put there did not find it there.
        if self.store.clears() != clears || self.chain.heads.reorgs() != reorgs {
            self.store.take_back(&kept);
        }
        Content::Kept(kept)
    }
}
