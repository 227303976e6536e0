//! The stacks that are tried beside each other.

use alclad::{RetryLayer, Rotation};
use alloy::{
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::{client::RpcClient, json_rpc::RequestPacket},
    transports::{
        http::{Http, reqwest},
        layers::{FallbackLayer, RetryBackoffLayer},
    },
};
use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tower::{Layer, ServiceBuilder, util::MapRequestLayer};
use url::Url;

/// Alloy's retries and the milliseconds before each: as many as alclad's, as nearly as it goes.
const RETRIES: u32 = 4;
const BACKOFF: u64 = 100;

/// How alloy's layers are set up.
pub const ALLOY: &str = "FallbackLayer, RetryBackoffLayer::new(4, 100, u64::MAX)";

/// Counts the calls that are sent to endpoints, each member of a batch by itself, also those that
/// nobody is there to receive.
#[derive(Clone, Debug, Default)]
pub struct Sent(Arc<AtomicU64>);

impl Sent {
    /// Counts what passes here; stands right above a transport.
    pub fn layer(
        &self,
    ) -> MapRequestLayer<impl Fn(RequestPacket) -> RequestPacket + Clone + Send + Sync + use<>>
    {
        let Self(count) = self.clone();
        MapRequestLayer::new(move |packet: RequestPacket| {
            count.fetch_add(packet.len() as u64, Relaxed);
            packet
        })
    }

    /// How many so far.
    pub fn calls(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A provider that asks a rotation, and asks it again.
pub fn over_alclad(rotation: Rotation) -> DynProvider {
    let client = RpcClient::builder()
        .layer(RetryLayer::new().with_budget(rotation.budget()))
        .transport(rotation, true);
    ProviderBuilder::new().connect_client(client).erased()
}

/// A provider through alloy's own layers, which asks so many endpoints at once. The timeout of an
/// attempt is the HTTP client's: alloy has no layer for one.
///
/// # Panics
///
/// If no HTTP client can be made.
pub fn over_alloy(
    urls: impl IntoIterator<Item = Url>,
    active: NonZeroUsize,
    attempt: Duration,
    sent: &Sent,
) -> DynProvider {
    let client = reqwest::Client::builder().timeout(attempt).no_proxy().build();
    let client = client.expect("a client can be made");
    let endpoint = |url| sent.layer().layer(Http::with_client(client.clone(), url));
    let fallback = ServiceBuilder::new()
        .layer(FallbackLayer::default().with_active_transport_count(active))
        .service(urls.into_iter().map(endpoint).collect());
    let client = RpcClient::builder()
        .layer(RetryBackoffLayer::new(RETRIES, BACKOFF, u64::MAX))
        .transport(fallback, true);
    ProviderBuilder::new().connect_client(client).erased()
}
