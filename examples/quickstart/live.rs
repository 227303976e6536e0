//! The same reads from real endpoints.

use crate::{Arguments, report, simulation::rotation};
use alclad::{Endpoint, EndpointId, HttpTransport, http::BadUrl};
use alclad_trial::{Miss, Verdict, over_alclad, run as run_calls};
use alloy::{
    providers::Provider,
    transports::{RpcError, TransportErrorKind},
};
use fastrand::Rng;
use indicatif::MultiProgress;
use metrics_util::debugging::Snapshotter;
use std::{error::Error, time::Duration};
use url::Url;

/// How long an attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Every endpoint has blocks that are so far below the head.
const DEPTHS: [u64; 4] = [16, 32, 48, 64];

/// Reads from the endpoints of the command line; tells whether all calls were answered.
pub(crate) async fn run(
    arguments: &Arguments,
    metrics: Snapshotter,
) -> Result<bool, Box<dyn Error>> {
    let endpoints = arguments.rpc.iter().enumerate().map(|(index, text)| endpoint(index, text));
    let endpoints = endpoints.collect::<Result<Vec<_>, _>>()?;
    let rotation = rotation(endpoints, ATTEMPT);
    let provider = over_alclad(rotation.clone());
    let head = provider.get_block_number().await?;
    let mut blocks = Vec::new();
    for depth in DEPTHS {
        let number = head.saturating_sub(depth).into();
        let block = provider.get_block_by_number(number).full().await?;
        blocks.push(block.ok_or(RpcError::<TransportErrorKind>::NullResp)?);
    }
    let draw = |turn| {
        let mut rng = Rng::with_seed(arguments.seed.wrapping_add(turn));
        let block = &blocks[rng.usize(..blocks.len())];
        alclad_trial::draw(&mut rng, block, block)
    };
    let judge = |_: &_, answer| match answer {
        Ok(_) => Verdict::Right,
        Err(error) => Verdict::Missed(Miss::Failed, format!("{error}")),
    };
    let bar = report::bar(&MultiProgress::new(), "alclad", arguments.calls());
    let score = run_calls(arguments.pace(), &provider, &bar, draw, judge).await;
    bar.finish_with_message("done");
    let all_right = score.first_miss.is_none();
    let extra = Some(report::extra(&metrics));
    let column = report::Column { name: "alclad", score, upstream: None, extra };
    report::show(&[column], &rotation.snapshot(), &[]);
    println!("there is no truth to compare with: what is answered counts as right");
    Ok(all_right)
}

/// The endpoint at the URL in this text, nothing of which is in the error.
fn endpoint(index: usize, text: &str) -> Result<Endpoint<HttpTransport>, BadUrl> {
    let numbered = || EndpointId::from(format!("#{}", index + 1));
    let id = Url::parse(text).map_or_else(|_| numbered(), |url| EndpointId::of_url(&url));
    Endpoint::parse(id, text)
}
