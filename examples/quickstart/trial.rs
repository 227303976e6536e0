//! One run of calls through one provider, and its score.

use crate::{
    Arguments,
    traffic::{Ask, answers},
};
use alloy::{providers::DynProvider, transports::TransportResult};
use futures::{StreamExt, stream};
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use serde_json::Value;
use std::{pin::pin, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// From one call to the next, so that what befalls the nodes lasts a while.
pub(crate) const PACE: Duration = Duration::from_millis(5);

/// How a call went, and if not well, how the answer looks.
pub(crate) enum Verdict {
    /// The answer is the truth.
    Right,
    /// The answer is not the truth: `null` for what exists, the state of another block.
    Wrong(String),
    /// An error came in place of an answer.
    Failed(String),
}

/// How the calls of a run went, each member of a batch counted by itself.
pub(crate) struct Score {
    pub(crate) name: String,
    pub(crate) right: u64,
    pub(crate) wrong: u64,
    pub(crate) failed: u64,
    /// Calls that arrived at a node, if that is known.
    pub(crate) upstream: Option<u64>,
    /// Retries and failovers, if they are known.
    pub(crate) extra: Option<[u64; 2]>,
    /// What went wrong first.
    pub(crate) first_miss: Option<String>,
    /// Of calls and whole batches, in microseconds.
    pub(crate) latencies: Histogram<u64>,
}

impl Score {
    fn new(name: String) -> Self {
        let latencies = Histogram::new(3).expect("three digits are allowed");
        let (right, wrong, failed) = (0, 0, 0);
        let (upstream, extra, first_miss) = (None, None, None);
        Self { name, right, wrong, failed, upstream, extra, first_miss, latencies }
    }

    pub(crate) const fn calls(&self) -> u64 {
        self.right + self.wrong + self.failed
    }

    fn add(&mut self, verdict: Verdict) {
        let (count, miss) = match verdict {
            Verdict::Right => (&mut self.right, None),
            Verdict::Wrong(answer) => (&mut self.wrong, Some(answer)),
            Verdict::Failed(error) => (&mut self.failed, Some(error)),
        };
        *count += 1;
        self.first_miss = self.first_miss.take().or(miss);
    }
}

/// Asks the provider what `draw` says for each turn, several at a time, and judges every answer.
pub(crate) async fn run(
    arguments: &Arguments,
    provider: &DynProvider,
    bar: ProgressBar,
    mut draw: impl FnMut(u64) -> Vec<Ask>,
    judge: impl Fn(&Ask, TransportResult<Value>) -> Verdict,
) -> Score {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let pace = stream::poll_fn(|cx| pace.poll_tick(cx).map(Some));
    let turns = pace.zip(stream::iter(0..arguments.calls())).map(|(_, turn)| {
        let (provider, asked) = (provider.clone(), draw(turn));
        tokio::spawn(async move {
            let start = Instant::now();
            let answers = answers(&provider, &asked).await;
            (start.elapsed(), asked, answers)
        })
    });
    let mut turns = pin!(turns.buffer_unordered(arguments.concurrency.get()));
    let mut score = Score::new(bar.prefix());
    while let Some(turn) = turns.next().await {
        let (took, asked, answers) = turn.expect("no call panics");
        score.latencies += took.as_micros() as u64;
        asked.iter().zip(answers).for_each(|(ask, answer)| score.add(judge(ask, answer)));
        bar.inc(1);
    }
    bar.finish_with_message("done");
    score
}
