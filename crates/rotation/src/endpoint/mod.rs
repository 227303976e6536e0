#[cfg(feature = "http")]
mod endpoints;
#[cfg(feature = "http")]
pub use endpoints::{BadEndpoints, Endpoints};

mod role;
pub use role::Role;

mod target;
pub(crate) use target::Target;

use alclad_core::{EndpointId, Headroom, UniqueIds, headroom};
use alloy_pubsub::PubSubFrontend;
use alloy_transport::{BoxTransport, Transport};
use std::{any::Any, fmt, num::NonZeroU32, sync::Arc};
use target::Ring;
use tower::{
    Layer,
    layer::util::{Identity, Stack},
};

/// One endpoint of a rotation: a name, a transport, and the layers of its own ring.
///
/// The first added layer is the outermost. The types of the layers are kept until the rotation
/// takes the endpoint.
#[derive(Clone)]
pub struct Endpoint<T, L = Identity> {
    id: EndpointId,
    transport: T,
    layers: L,
    tier: u8,
    role: Role,
    weight: NonZeroU32,
    origin: Option<Arc<str>>,
}

/// What a rotation takes of an endpoint.
pub(crate) struct Parts {
    pub(crate) id: EndpointId,
    pub(crate) tier: u8,
    pub(crate) role: Role,
    pub(crate) weight: u32,
    pub(crate) origin: Option<Arc<str>>,
    pub(crate) target: Box<dyn Target>,
    /// The limiters among its layers, the outermost last.
    pub(crate) limiters: Vec<Arc<dyn Headroom>>,
}

#[cfg(feature = "http")]
impl Endpoint<alclad_http::HttpTransport> {
    /// The endpoint at this URL, through alclad's own HTTP transport; or such a transport, with
    /// headers and bounds of its own.
    ///
    /// The label, and never the URL, names it in errors, logs, metrics and snapshots.
    pub fn http(
        label: impl Into<EndpointId>,
        transport: impl Into<alclad_http::HttpTransport>,
    ) -> Self {
        let (id, transport) = (label.into(), transport.into());
        let origin = Some(transport.origin().into());
        Self { origin, ..Self::new(id.clone(), transport.with_name(id)) }
    }

    /// [`http`](Self::http) for a URL that is still text, as from a configuration.
    ///
    /// # Errors
    ///
    /// [`BadUrl`](alclad_http::BadUrl) if it is not an HTTP URL. The error names the label and
    /// repeats nothing of the text, which may hold a key.
    pub fn parse(label: impl Into<EndpointId>, url: &str) -> Result<Self, alclad_http::BadUrl> {
        let id = label.into();
        Ok(Self::http(id.clone(), alclad_http::HttpTransport::parse(id, url)?))
    }
}

impl<T> Endpoint<T> {
    /// The endpoint behind any alloy transport: HTTP, WebSocket, IPC or one of your own.
    pub fn new(label: impl Into<EndpointId>, transport: T) -> Self {
        Self {
            id: label.into(),
            transport,
            layers: Identity::new(),
            tier: 0,
            role: Role::default(),
            weight: NonZeroU32::MIN,
            origin: None,
        }
    }
}

impl<T, L> Endpoint<T, L> {
    /// Adds a layer below those that are there.
    pub fn layer<M>(self, layer: M) -> Endpoint<T, Stack<M, L>> {
        let Self { id, transport, layers, tier, role, weight, origin } = self;
        Endpoint { id, transport, layers: Stack::new(layer, layers), tier, role, weight, origin }
    }

    /// Puts it into a tier: a higher one is asked only when no endpoint of a lower one can serve.
    /// The default is 0.
    #[must_use]
    pub const fn with_tier(mut self, tier: u8) -> Self {
        self.tier = tier;
        self
    }

    /// What it is asked to do. The default is everything, [`Role::ReadWrite`].
    #[must_use]
    pub const fn with_role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// How much of its tier's calls it gets, as against the others' weights: in
    /// [`WeightedRoundRobin`](crate::WeightedRoundRobin) its turns, in
    /// [`LeastLatency`](crate::LeastLatency) what its burden is divided by. The default is 1.
    #[must_use]
    pub const fn with_weight(mut self, weight: NonZeroU32) -> Self {
        self.weight = weight;
        self
    }

    /// Its name.
    pub const fn id(&self) -> &EndpointId {
        &self.id
    }

    /// What it is asked to do.
    pub const fn role(&self) -> Role {
        self.role
    }
}

impl<T, L> Endpoint<T, L>
where
    T: Transport,
    L: Layer<UniqueIds<T>>,
    L::Service: Transport + Clone,
{
    pub(crate) fn into_parts(self) -> Parts {
        let Self { id, transport, layers, tier, role, weight, origin } = self;
        let floor = UniqueIds::only_if(is_pubsub(&transport), transport);
        let (ring, limiters) = headroom::collect(|| layers.layer(floor));
        let (weight, target) = (weight.get(), Box::new(Ring(ring)));
        Parts { id, tier, role, weight, origin, target, limiters }
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
            .field("role", &self.role)
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alclad_testkit::{SimChain, SimNode};
    use alloy_json_rpc::SerializedRequest;
    use std::time::Duration;
    use tower::layer::layer_fn;

    fn endpoint() -> Endpoint<impl Transport + Clone> {
        Endpoint::new("own", SimNode::new(&SimChain::new(1)).transport())
    }

    #[test]
    fn settings_survive_a_layer() {
        let weight = NonZeroU32::new(7).unwrap();
        let endpoint = endpoint().with_tier(2).with_role(Role::Write).with_weight(weight);
        let endpoint = endpoint.layer(Identity::new());
        assert_eq!((endpoint.id().as_str(), endpoint.role()), ("own", Role::Write));
        let shown = "Endpoint { id: \"own\", tier: 2, role: Write, weight: 7, .. }";
        assert_eq!(format!("{endpoint:?}"), shown);
        let Parts { id, tier, role, weight, limiters, .. } = endpoint.into_parts();
        assert_eq!((id.as_str(), tier, role, weight), ("own", 2, Role::Write, 7));
        assert!(limiters.is_empty());
    }

    #[test]
    fn everything_is_asked_of_an_endpoint_of_weight_1_by_default() {
        let Parts { tier, role, weight, .. } = endpoint().into_parts();
        assert_eq!((tier, role, weight), (0, Role::ReadWrite, 1));
    }

    #[test]
    fn the_limiters_among_its_layers_are_known() {
        let limiter = Arc::new(|_: &[SerializedRequest]| Duration::from_secs(3));
        let limit = layer_fn(move |inner: UniqueIds<_>| {
            assert!(headroom::register(limiter.clone()));
            inner
        });
        let Parts { limiters, .. } = endpoint().layer(limit).into_parts();
        let waits = Vec::from_iter(limiters.iter().map(|limiter| limiter.free_in(&[])));
        assert_eq!(waits, [Duration::from_secs(3)]);
    }
}
