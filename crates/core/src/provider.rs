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
/// ```
/// # use alclad_core::wrap_root;
/// # use alloy_network::Network;
/// # use alloy_provider::{ProviderLayer, RootProvider};
/// # struct MyLayer;
/// # impl<S> tower::Layer<S> for MyLayer {
/// #     type Service = S;
/// #     fn layer(&self, inner: S) -> S { inner }
/// # }
/// impl<N: Network> ProviderLayer<RootProvider<N>, N> for MyLayer {
///     type Provider = RootProvider<N>;
///     fn layer(&self, root: RootProvider<N>) -> RootProvider<N> { wrap_root(root, self) }
/// }
/// ```
///
/// Being implemented for the root alone, it stands innermost, below alloy's own provider layers.
/// The first added layer is the outermost:
///
/// ```
/// # use alclad_core::TransportLayers;
/// # use alloy_provider::{Provider, ProviderBuilder, layers::CacheLayer};
/// # use tower::layer::util::Identity;
/// # fn example(client: alloy_rpc_client::RpcClient) -> impl Provider {
/// # let transport_layer = TransportLayers(Identity::new());
/// ProviderBuilder::new()
///     .layer(CacheLayer::new(100))
///     .layer(transport_layer)
///     .connect_client(client)
/// # }
/// ```
///
/// Above a layer that it would not see the calls of, it does not compile:
///
/// ```compile_fail,E0599
/// # use alclad_core::TransportLayers;
/// # use alloy_provider::{Provider, ProviderBuilder, layers::CacheLayer};
/// # use tower::layer::util::Identity;
/// # fn example(client: alloy_rpc_client::RpcClient) -> impl Provider {
/// # let transport_layer = TransportLayers(Identity::new());
/// ProviderBuilder::new()
///     .layer(transport_layer)
///     .layer(CacheLayer::new(100))
///     .connect_client(client)
/// # }
/// ```
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
