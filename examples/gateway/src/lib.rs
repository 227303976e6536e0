//! The gateway: see the README. It is a library too, for its tests.

#[allow(clippy::result_large_err, reason = "a refusal is an answer too, and made once")]
mod admin;
mod config;
mod page;
mod public;
mod stack;

pub use config::Config;

use alclad::metrics::{Rename, describe, prometheus_builder};
use alclad::{BlockCache, core::names::RPC_LB};
use alloy_json_rpc::{Id, Request, RequestPacket};
use anyhow::{Context, Result, ensure};
use arc_swap::ArcSwap;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::{server::graceful::GracefulShutdown, service::TowerToHyperService};
use metrics_exporter_prometheus::PrometheusHandle;
use page::Status;
use stack::Stack;
use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    select,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower::ServiceExt;

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    stack: ArcSwap<Stack>,
    store: BlockCache,
    metrics: PrometheusHandle,
    status: Status,
    started: Instant,
    stop: watch::Sender<bool>,
}

/// Where a gateway listens, and what answers there.
#[derive(Debug)]
pub struct Doors {
    /// For clients.
    pub public: SocketAddr,
    /// For the administrator.
    pub admin: SocketAddr,
    answering: JoinSet<()>,
}

impl Gateway {
    /// Listens on both ports. All gateways of a process write into the same metrics.
    pub async fn start(config: Config, password: &str) -> Result<(Arc<Self>, Doors)> {
        let is_safe = config.admin_listen.ip().is_loopback() || password != "changeme";
        ensure!(is_safe && !password.is_empty(), "set ADMIN_PASSWORD to a password of your own");
        let origin = config.cors_origin.parse().context("cors_origin")?;
        let store = BlockCache::new(config.cache_bytes);
        let gateway = Arc::new(Self {
            stack: ArcSwap::from_pointee(Stack::new(config.clone(), &store)),
            store,
            metrics: recorder(),
            status: Status::default(),
            started: Instant::now(),
            stop: watch::Sender::new(false),
        });
        let bind = async |to: SocketAddr| TcpListener::bind(to).await.with_context(|| to);
        let (public, admin) = (bind(config.listen).await?, bind(config.admin_listen).await?);
        let mut doors = Doors {
            public: public.local_addr()?,
            admin: admin.local_addr()?,
            answering: JoinSet::new(),
        };
        let clients = public::router(Arc::clone(&gateway), origin);
        let admins = admin::router(Arc::clone(&gateway), password);
        doors.answering.spawn(serve(public, Arc::clone(&gateway), clients));
        doors.answering.spawn(serve(admin, Arc::clone(&gateway), admins));
        tokio::spawn(page::watch(Arc::clone(&gateway)));
        gateway.look();
        Ok((gateway, doors))
    }

    /// Calls from now on go by this configuration, and those in flight end by the old one. What is
    /// cached stays. Where it listens and how much it caches is changed by a restart only.
    pub fn reload(&self, config: Config) {
        self.stack.store(Arc::new(Stack::new(config, &self.store)));
        self.look();
        tracing::info!("reloaded");
    }

    /// Asks the endpoints where they are, so that the first call need not.
    fn look(&self) {
        let question = Request::new("eth_blockNumber", Id::Number(0), ()).serialize();
        let packet = RequestPacket::Single(question.expect("no params are JSON"));
        tokio::spawn(self.stack.load().client.clone().oneshot(packet));
    }

    /// Takes no more connections, and ends what has begun: see [`Doors::closed`].
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let mut stop = self.stop.subscribe();
        async move { drop(stop.wait_for(|stop| *stop).await) }
    }
}

impl Doors {
    /// When all calls have ended after [`Gateway::stop`], or the time for it has.
    pub async fn closed(self) {
        self.answering.join_all().await;
    }
}

/// Answers until the gateway stops, and then ends what has begun.
async fn serve(listener: TcpListener, gateway: Arc<Gateway>, router: Router) {
    let Config { read_timeout_ms: read, drain_ms: drain, .. } = gateway.stack.load().config;
    let answer = TowerToHyperService::new(router);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(read));
    let connections = GracefulShutdown::new();
    loop {
        let accepted = select! {
            accepted = listener.accept() => accepted,
            () = gateway.stopped() => break,
        };
        let Ok((stream, _)) = accepted else {
            // Too many files are open: until some are closed.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Answers are written whole.
        let _ = stream.set_nodelay(true);
        let connection = http.serve_connection(TokioIo::new(stream), answer.clone());
        tokio::spawn(connections.watch(connection));
    }
    drop(listener);
    let _ = timeout(Duration::from_millis(drain), connections.shutdown()).await;
}

fn recorder() -> PrometheusHandle {
    static INSTALLED: LazyLock<PrometheusHandle> = LazyLock::new(|| {
        let recorder = prometheus_builder(&RPC_LB).build_recorder();
        let handle = recorder.handle();
        let _ = metrics::set_global_recorder(Rename::new(recorder, &RPC_LB));
        describe();
        handle
    });
    INSTALLED.clone()
}
