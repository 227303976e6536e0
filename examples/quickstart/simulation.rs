//! The script, played at the same time to alclad and to alloy's own layers.

use crate::{
    Arguments, INTERVAL,
    mischief::turn,
    report::{self, Column, bar},
};
use alclad::{Endpoint, HttpTransport, Rotation, TimeoutLayer};
use alclad_testkit::SimNode;
use alclad_trial::{ALLOY, Score, Sent, Stage, over_alclad, over_alloy};
use alloy::providers::DynProvider;
use futures::FutureExt;
use indicatif::{MultiProgress, ProgressBar};
use metrics_util::debugging::Snapshotter;
use std::{num::NonZeroUsize, time::Duration};
use tokio::time::sleep;

/// How long an attempt may take.
const ATTEMPT: Duration = Duration::from_millis(300);
/// So many endpoints alloy asks at once, by default and at the least.
const ACTIVE: [NonZeroUsize; 2] = [NonZeroUsize::new(3).unwrap(), NonZeroUsize::MIN];

/// Tells whether alclad gave nothing but right answers.
pub(crate) async fn run(arguments: &Arguments, metrics: Snapshotter) -> bool {
    let [ours, three, one] = [Stage::new, Stage::new, Stage::new].map(|new| new(arguments.seed));
    let (ours, three, one) = futures::join!(ours, three, one);
    let rotation = rotation(ours.endpoints(), ATTEMPT);
    let bars = MultiProgress::new();
    let bar = |name| bar(&bars, name, arguments.calls());
    let alloy = |stage: &Stage, active| over_alloy(stage.urls(), active, ATTEMPT, &Sent::default());
    let (three_active, one_active) = (alloy(&three, ACTIVE[0]), alloy(&one, ACTIVE[1]));
    // If all asked at the same instants, each would wait for the one before it.
    let late = |thirds| sleep(INTERVAL * thirds / 3);
    let names = ["alclad", "alloy, 3 active", "alloy, 1 active"];
    let scores: [Score; 3] = futures::join!(
        play(arguments, &ours, over_alclad(rotation.clone()), bar(names[0])),
        late(1).then(|()| play(arguments, &three, three_active, bar(names[1]))),
        late(2).then(|()| play(arguments, &one, one_active, bar(names[2]))),
    )
    .into();
    let all_right = scores[0].first_miss.is_none();
    let mut extra = Some(report::extra(&metrics));
    let stages = names.into_iter().zip([&ours, &three, &one]);
    let columns = stages.zip(scores).map(|((name, stage), score)| {
        let upstream = Some(arrived(stage));
        Column { name, score, upstream, extra: extra.take() }
    });
    report::show(&columns.collect::<Vec<_>>(), &rotation.snapshot(), &ours.nodes);
    println!("alloy: {ALLOY}");
    all_right
}

/// Plays the script to one provider.
pub(crate) async fn play(
    arguments: &Arguments,
    stage: &Stage,
    provider: DynProvider,
    bar: ProgressBar,
) -> Score {
    let draw = |index| turn(stage, index, arguments, &bar);
    let judge = |ask: &_, answer| stage.judge(ask, answer);
    let score = alclad_trial::run(arguments.pace(), &provider, &bar, draw, judge).await;
    bar.finish_with_message("done");
    score
}

/// How many calls arrived at the nodes.
pub(crate) fn arrived(stage: &Stage) -> u64 {
    stage.nodes.iter().map(SimNode::total_calls).sum()
}

/// A rotation each attempt of which has so much time.
pub(crate) fn rotation(
    endpoints: impl IntoIterator<Item = Endpoint<HttpTransport>>,
    attempt: Duration,
) -> Rotation {
    let endpoints = endpoints.into_iter();
    let endpoints = endpoints.map(|endpoint| endpoint.layer(TimeoutLayer::new(attempt)));
    Rotation::builder().endpoints(endpoints).build()
}
