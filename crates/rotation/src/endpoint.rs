use crate::target::{Ring, Target};
use alclad_core::{EndpointId, UniqueIds};
use alloy_pubsub::PubSubFrontend;
use alloy_transport::{BoxTransport, Transport};
use std::{any::Any, fmt};
use tower::{
    Layer,
    layer::util::{Identity, Stack},
};

/// One endpoint of a rotation: a name, a transport, and the layers of its own ring.
///
/// The first added layer is the outermost. The types of the layers are kept until the rotation
/// takes the endpoint.
pub struct Endpoint<T, L = Identity> {
    id: EndpointId,
    transport: T,
    layers: L,
    tier: u8,
}

#[cfg(feature = "http")]
impl Endpoint<alclad_http::HttpTransport> {
    /// The endpoint at this URL, through alclad's own HTTP transport.
    ///
    /// The label, and never the URL, names it in errors, logs, metrics and snapshots.
    pub fn http(label: impl Into<EndpointId>, url: url::Url) -> Self {
        let id = label.into();
        let transport = alclad_http::HttpTransport::named(id.clone(), url);
        Self::new(id, transport)
    }

    /// [`http`](Self::http) for a URL that is still text, as from a configuration.
    ///
    /// # Errors
    ///
    /// [`BadUrl`](alclad_http::BadUrl) if it is not an HTTP URL. The error names the label and
    /// repeats nothing of the text, which may hold a key.
    pub fn parse(label: impl Into<EndpointId>, url: &str) -> Result<Self, alclad_http::BadUrl> {
        let id = label.into();
        Ok(Self::new(id.clone(), alclad_http::HttpTransport::parse(id, url)?))
    }
}

impl<T> Endpoint<T> {
    /// The endpoint behind any alloy transport: HTTP, WebSocket, IPC or one of your own.
    pub fn new(label: impl Into<EndpointId>, transport: T) -> Self {
        Self { id: label.into(), transport, layers: Identity::new(), tier: 0 }
    }
}

impl<T, L> Endpoint<T, L> {
    /// Adds a layer below those that are there.
    pub fn layer<M>(self, layer: M) -> Endpoint<T, Stack<M, L>> {
        let Self { id, transport, layers, tier } = self;
        Endpoint { id, transport, layers: Stack::new(layer, layers), tier }
    }

    /// Puts it into a tier: a higher one is asked only when no endpoint of a lower one can serve.
    /// The default is 0.
    #[must_use]
    pub const fn with_tier(mut self, tier: u8) -> Self {
        self.tier = tier;
        self
    }
}

impl<T, L> Endpoint<T, L>
where
    T: Transport,
    L: Layer<UniqueIds<T>>,
    L::Service: Transport + Clone,
{
    pub(crate) fn into_parts(self) -> (EndpointId, u8, Box<dyn Target>) {
        let Self { id, transport, layers, tier } = self;
        let floor = UniqueIds::only_if(is_pubsub(&transport), transport);
        (id, tier, Box::new(Ring(layers.layer(floor))))
    }
}

fn is_pubsub(transport: &dyn Any) -> bool {
    transport.is::<PubSubFrontend>()
        || transport
            .downcast_ref::<BoxTransport>()
            .is_some_and(|boxed| boxed.as_any().is::<PubSubFrontend>())
}

impl<T, L> fmt::Debug for Endpoint<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("id", &self.id)
            .field("tier", &self.tier)
            .finish_non_exhaustive()
    }
}
