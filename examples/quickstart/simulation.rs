//! The script, played at the same time to alclad and to alloy's own layers.

use crate::{
    Arguments,
    mischief::Stage,
    report::{self, bar},
    trial::{self, PACE, Score},
};
use alclad::{Endpoint, HttpTransport, RetryLayer, Rotation, TimeoutLayer};
use alclad_testkit::SimNode;
use alloy::{
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::client::RpcClient,
    transports::{
        http::{Http, reqwest},
        layers::{FallbackLayer, RetryBackoffLayer},
    },
};
use futures::FutureExt;
use indicatif::{MultiProgress, ProgressBar};
use metrics_util::debugging::Snapshotter;
use std::{num::NonZeroUsize, time::Duration};
use tokio::time::sleep;
use tower::ServiceBuilder;

/// How long an attempt may take.
const ATTEMPT: Duration = Duration::from_millis(300);
/// So many endpoints alloy asks at once, by default and at the least.
const ACTIVE: [NonZeroUsize; 2] = [NonZeroUsize::new(3).unwrap(), NonZeroUsize::MIN];

/// Alloy's retries and the milliseconds before each: as many as alclad's, as nearly as it goes.
const RETRIES: u32 = 4;
const BACKOFF: u64 = 100;

/// Tells whether alclad gave nothing but right answers.
pub(crate) async fn run(arguments: &Arguments, metrics: Snapshotter) -> bool {
    let [ours, three, one] = [Stage::new, Stage::new, Stage::new].map(|new| new(arguments.seed));
    let (ours, three, one) = futures::join!(ours, three, one);
    let (provider, rotation) = over_alclad(ours.endpoints(), ATTEMPT);
    let bars = MultiProgress::new();
    let bar = |name| bar(&bars, name, arguments.calls());
    let (three_active, one_active) = (over_alloy(&three, ACTIVE[0]), over_alloy(&one, ACTIVE[1]));
    // If all asked at the same instants, each would wait for the one before it.
    let late = |thirds| sleep(PACE * thirds / 3);
    let scores = futures::join!(
        play(arguments, &ours, provider, bar("alclad")),
        late(1).then(|()| play(arguments, &three, three_active, bar("alloy, 3 active"))),
        late(2).then(|()| play(arguments, &one, one_active, bar("alloy, 1 active"))),
    );
    let mut scores: [Score; 3] = scores.into();
    scores[0].extra = Some(report::extra(&metrics));
    report::show(&scores, &rotation.snapshot(), &ours.nodes);
    println!("alloy: FallbackLayer, RetryBackoffLayer::new({RETRIES}, {BACKOFF}, u64::MAX)");
    scores[0].first_miss.is_none()
}

/// Plays the script to one provider.
pub(crate) async fn play(
    arguments: &Arguments,
    stage: &Stage,
    provider: DynProvider,
    bar: ProgressBar,
) -> Score {
    let draw = |turn| stage.draw(turn, arguments, &bar);
    let judge = |ask: &_, answer| stage.judge(ask, answer);
    let mut score = trial::run(arguments, &provider, bar.clone(), draw, judge).await;
    score.upstream = Some(stage.nodes.iter().map(SimNode::total_calls).sum());
    score
}

/// A provider over a rotation, each attempt of which has so much time.
pub(crate) fn over_alclad(
    endpoints: impl IntoIterator<Item = Endpoint<HttpTransport>>,
    attempt: Duration,
) -> (DynProvider, Rotation) {
    let rotation = endpoints.into_iter().fold(Rotation::builder(), |rotation, endpoint| {
        rotation.endpoint(endpoint.layer(TimeoutLayer::new(attempt)))
    });
    let rotation = rotation.build();
    let client = RpcClient::builder()
        .layer(RetryLayer::new().with_budget(rotation.budget()))
        .transport(rotation.clone(), true);
    (ProviderBuilder::new().connect_client(client).erased(), rotation)
}

/// A provider through alloy's own layers. The timeout is the HTTP client's: alloy has no layer for
/// one.
fn over_alloy(stage: &Stage, active: NonZeroUsize) -> DynProvider {
    let client = reqwest::Client::builder().timeout(ATTEMPT).no_proxy().build();
    let client = client.expect("a client can be made");
    let endpoints: Vec<_> =
        stage.urls().map(|url| Http::with_client(client.clone(), url)).collect();
    let fallback = ServiceBuilder::new()
        .layer(FallbackLayer::default().with_active_transport_count(active))
        .service(endpoints);
    let client = RpcClient::builder()
        .layer(RetryBackoffLayer::new(RETRIES, BACKOFF, u64::MAX))
        .transport(fallback, true);
    ProviderBuilder::new().connect_client(client).erased()
}
