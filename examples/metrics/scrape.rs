use axum::{Router, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use std::{io, net::SocketAddr};
use tokio::{net::TcpListener, task::JoinHandle};

/// What Prometheus scrapes, on a free port of loopback, until it is dropped.
pub(crate) struct Exporter {
    address: SocketAddr,
    serving: JoinHandle<io::Result<()>>,
}

impl Exporter {
    pub(crate) async fn serve(metrics: PrometheusHandle) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let render = move || std::future::ready(metrics.render());
        let router = Router::new().route("/metrics", get(render));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, serving })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
