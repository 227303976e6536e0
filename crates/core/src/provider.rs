//! The door through which a transport layer enters alloy's `ProviderBuilder`.

use crate::{TransportLayers, UniqueIds};
use alloy_network::Network;
use alloy_provider::{Provider, ProviderLayer, RootProvider};
use alloy_pubsub::PubSubFrontend;
use alloy_rpc_client::RpcClient;
use alloy_transport::{BoxTransport, IntoBoxTransport};
use tower::{Layer, layer::layer_fn};

/// Wraps the transport of a root provider into a layer.
///
/// The poll interval, `is_local` and the pubsub frontend are kept, so subscriptions go on to
/// work. A layer crate needs four lines to become a layer of alloy's `ProviderBuilder`:
///
/// ```ignore
/// impl<N: Network> ProviderLayer<RootProvider<N>, N> for RetryLayer {
///     type Provider = RootProvider<N>;
///     fn layer(&self, root: RootProvider<N>) -> RootProvider<N> { wrap_root(root, self) }
/// }
/// ```
///
/// Being implemented for the root alone, it cannot stand above a layer that it would not see the
/// calls of: that does not compile.
pub fn wrap_root<N, L>(root: RootProvider<N>, layer: &L) -> RootProvider<N>
where
    N: Network,
    L: Layer<BoxTransport, Service: IntoBoxTransport>,
{
    let client = root.client();
    let wrapped = layer.layer(floor(client.transport())).into_box_transport();
    let rebuilt = match client.pubsub_frontend() {
        // A client keeps a frontend only if it is built with it as the main transport.
        Some(frontend) => RpcClient::builder()
            .layer(layer_fn(move |_| wrapped.clone()))
            .transport(frontend.clone(), client.is_local()),
        None => RpcClient::new(wrapped, client.is_local()),
    };
    RootProvider::new(rebuilt.with_poll_interval(client.poll_interval()))
}

/// The transport to stand on: a bare pubsub frontend gets ids that no other client uses.
fn floor(transport: &BoxTransport) -> BoxTransport {
    match transport.as_any().downcast_ref::<PubSubFrontend>() {
        Some(frontend) => UniqueIds::new(frontend.clone()).into_box_transport(),
        None => transport.clone(),
    }
}

impl<N, L> ProviderLayer<RootProvider<N>, N> for TransportLayers<L>
where
    N: Network,
    Self: Layer<BoxTransport, Service: IntoBoxTransport>,
{
    type Provider = RootProvider<N>;

    fn layer(&self, root: RootProvider<N>) -> RootProvider<N> {
        wrap_root(root, self)
    }
}
