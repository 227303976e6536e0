use crate::{Metrics, Report, report::Place, ring::Ring, series::Series};
use alclad_core::{Classify, EndpointId};
use std::{fmt, sync::Arc};
use tower::Layer;

/// Counts calls, times them, and traces them.
///
/// See the [crate's documentation](crate) for what it does and where it stands.
#[derive(Clone)]
pub struct MetricsLayer {
    ring: Ring,
    report: Option<Report>,
    classifier: Option<Arc<dyn Classify>>,
}

/// What the clones of a service share.
pub(crate) struct Settings {
    pub(crate) ring: Ring,
    pub(crate) series: Series,
    /// Its place in the report, if there is one.
    pub(crate) row: Option<Place>,
    pub(crate) classifier: Option<Arc<dyn Classify>>,
}

impl MetricsLayer {
    /// For the client ring: what the application experienced.
    #[expect(clippy::new_without_default, reason = "there is no default ring")]
    pub const fn new() -> Self {
        Self::of(Ring::Client)
    }

    /// For the ring of this endpoint: what went over the wire.
    pub fn for_endpoint(endpoint: impl Into<EndpointId>) -> Self {
        Self::of(Ring::Endpoint(endpoint.into()))
    }

    const fn of(ring: Ring) -> Self {
        Self { ring, report: None, classifier: None }
    }

    /// Writes into this report too. Give both rings the same one: the client ring tells of the
    /// methods, the endpoint ring of the endpoints.
    #[must_use]
    pub fn with_report(mut self, report: &Report) -> Self {
        self.report = Some(report.clone());
        self
    }

    /// Asks this classifier about every fault before alclad's own table.
    #[must_use]
    pub fn with_classifier(mut self, classifier: impl Classify + 'static) -> Self {
        self.classifier = Some(Arc::new(classifier));
        self
    }
}

impl fmt::Debug for MetricsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsLayer").field("ring", &self.ring).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for MetricsLayer {
    type Service = Metrics<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let settings = Settings {
            ring: self.ring.clone(),
            series: Series::new(),
            row: self.report.as_ref().map(|report| report.place(self.ring.endpoint())),
            classifier: self.classifier.clone(),
        };
        Metrics::new(inner, settings)
    }
}

#[cfg(feature = "provider")]
impl<N> alloy_provider::ProviderLayer<alloy_provider::RootProvider<N>, N> for MetricsLayer
where
    N: alloy_network::Network,
{
    type Provider = alloy_provider::RootProvider<N>;

    fn layer(&self, root: alloy_provider::RootProvider<N>) -> Self::Provider {
        alclad_core::wrap_root(root, self)
    }
}
