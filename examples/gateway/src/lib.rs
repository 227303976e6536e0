//! The gateway: see the README. It is a library too, for its tests.

#[allow(clippy::result_large_err, reason = "a refusal is an answer too, and made once")]
mod admin;
mod config;
mod page;
mod public;
mod stack;

pub use config::Config;

use alclad::{BlockCache, core::names::RPC_LB};
use alclad::{metrics::install_prometheus, rotation::EndpointSnapshot};
use anyhow::{Context, Result, ensure};
use arc_swap::ArcSwap;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use metrics_exporter_prometheus::PrometheusHandle;
use page::Status;
use public::Port;
use stack::Stack;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio::{net::TcpListener, select, task::JoinSet};
use tokio_io_timeout::TimeoutStream;

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
        let is_safe = config.admin_listen.0.ip().is_loopback() || password != "changeme";
        ensure!(is_safe && !password.is_empty(), "set ADMIN_PASSWORD to a password of your own");
        let origin = config.cors_origin.0.clone();
        let store = BlockCache::new(config.cache_bytes);
        let gateway = Arc::new(Self {
            stack: ArcSwap::from_pointee(Stack::new(config.clone(), &store)),
            store,
            metrics: install_prometheus(&RPC_LB),
            status: Status::default(),
            started: Instant::now(),
            stop: watch::Sender::new(false),
        });
        let bind = async |to: SocketAddr| TcpListener::bind(to).await.with_context(|| to);
        let (public, admin) = (bind(config.listen.0).await?, bind(config.admin_listen.0).await?);
        let mut doors = Doors {
            public: public.local_addr()?,
            admin: admin.local_addr()?,
            answering: JoinSet::new(),
        };
        let clients = public::router(Arc::clone(&gateway), origin.clone());
        let admins = admin::router(Arc::clone(&gateway), password);
        doors.answering.spawn(serve(public, (Arc::clone(&gateway), clients, Some(origin))));
        doors.answering.spawn(serve(admin, (Arc::clone(&gateway), admins, None)));
        tokio::spawn(page::watch(Arc::clone(&gateway)));
        let stack = gateway.stack.load_full();
        tokio::spawn(async move { stack.look().await });
        Ok((gateway, doors))
    }

    /// Calls from now on go by this configuration, and those in flight end by the old one. What is
    /// cached stays. Where it listens and how much it caches is changed by a restart only.
    pub async fn reload(&self, config: Config) {
        let new = Stack::new(config, &self.store);
        new.look().await;
        let old = self.stack.swap(Arc::new(new));
        for EndpointSnapshot { id, .. } in old.rotation.snapshot() {
            if self.stack.load().config.endpoints().all(|new| new.id.0 != id.as_str()) {
                old.rotation.remove(&id);
            }
        }
        tracing::info!("reloaded");
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
async fn serve(listener: TcpListener, port: Port) {
    let gateway = Arc::clone(&port.0);
    let Config { read_timeout_ms, drain_ms, max_connections, .. } = gateway.stack.load().config;
    let (patience, room) =
        (Duration::from_millis(read_timeout_ms), Arc::new(Semaphore::new(max_connections)));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(64 << 10);
    let connections = GracefulShutdown::new();
    loop {
        // When all places are taken, who comes waits until one is free.
        let accept = async { (Arc::clone(&room).acquire_owned().await, listener.accept().await) };
        let (place, accepted) = select! {
            accepted = accept => accepted,
            () = gateway.stopped() => break,
        };
        let Ok((stream, _)) = accepted else {
            // Too many files are open: until some are closed.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Answers are written whole.
        let _ = stream.set_nodelay(true);
        let mut stream = Box::pin(TimeoutStream::new(stream));
        stream.as_mut().set_write_timeout_pinned(Some(patience));
        let port = port.clone();
        let answer = service_fn(move |request| public::answer(port.clone(), request));
        let connection = http.serve_connection(TokioIo::new(stream), answer);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = timeout(Duration::from_millis(drain_ms), connections.shutdown()).await;
}
