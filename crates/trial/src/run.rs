//! One run of calls through one provider.

use crate::{Ask, Score, Verdict, answers};
use alloy::{providers::DynProvider, transports::TransportResult};
use futures::{StreamExt, stream};
use indicatif::ProgressBar;
use serde_json::Value;
use std::{num::NonZeroUsize, pin::pin, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How many calls are made, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How many calls and batches.
    pub turns: u64,
    /// How many of them at the same time.
    pub concurrency: NonZeroUsize,
    /// From one to the next; zero is at full speed.
    pub interval: Duration,
}

/// Asks the provider what `draw` says for each turn, several at a time, and judges every answer.
pub async fn run(
    pace: Pace,
    provider: &DynProvider,
    bar: &ProgressBar,
    mut draw: impl FnMut(u64) -> Vec<Ask>,
    judge: impl Fn(&Ask, TransportResult<Value>) -> Verdict,
) -> Score {
    let mut ticks = interval(pace.interval.max(Duration::from_nanos(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let waits = !pace.interval.is_zero();
    let ticks = stream::poll_fn(|cx| match waits {
        true => ticks.poll_tick(cx).map(|_| Some(())),
        false => std::task::Poll::Ready(Some(())),
    });
    let turns = ticks.zip(stream::iter(0..pace.turns)).map(|((), turn)| {
        let (provider, asked) = (provider.clone(), draw(turn));
        tokio::spawn(async move {
            let start = Instant::now();
            let answers = answers(&provider, &asked).await;
            (start.elapsed(), asked, answers)
        })
    });
    let mut turns = pin!(turns.buffer_unordered(pace.concurrency.get()));
    let mut score = Score::default();
    while let Some(turn) = turns.next().await {
        let (took, asked, answers) = turn.expect("no call panics");
        score.took(took);
        asked.iter().zip(answers).for_each(|(ask, answer)| score.add(judge(ask, answer)));
        bar.inc(1);
    }
    score
}
