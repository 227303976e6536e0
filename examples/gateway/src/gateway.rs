use crate::{
    admin,
    config::{Cache, Config, Server},
    public::Public,
    serve::serve,
    stack::Stack,
    status::{self, Status},
};
use alclad::{
    BlockCache,
    core::names,
    metrics::{Rename, describe},
};
use alloy_json_rpc::{Id, Request, RequestPacket};
use anyhow::{Context, Result, bail};
use arc_swap::ArcSwap;
use axum::http::HeaderValue;
use hyper::service::service_fn;
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::Instant};
use tower::ServiceExt;

/// The password of who does not set one.
const DEFAULT_PASSWORD: &str = "changeme";

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// What a reload replaces.
    pub stack: ArcSwap<Stack>,
    /// The answers that are kept, also over a reload.
    pub store: BlockCache,
    /// What Prometheus scrapes.
    pub metrics: PrometheusHandle,
    /// What the page shows.
    pub status: Status,
    /// When it started.
    pub started: Instant,
    stop: watch::Sender<bool>,
}

/// The sockets of a gateway, and what answers on them until it has stopped.
#[derive(Debug)]
pub struct Doors {
    /// Where clients come in.
    pub public: SocketAddr,
    /// Where the administrator comes in.
    pub admin: SocketAddr,
    tasks: JoinSet<()>,
}

impl Gateway {
    /// Listens on both ports. Each gateway of a process writes into the same metrics.
    pub async fn start(config: Config, password: Option<String>) -> Result<(Arc<Self>, Doors)> {
        let settings = config.server.clone();
        let password = password.unwrap_or_else(|| DEFAULT_PASSWORD.to_owned());
        if password.is_empty()
            || !settings.admin_listen.ip().is_loopback() && password == DEFAULT_PASSWORD
        {
            bail!(
                "the admin port is not on loopback: set ADMIN_PASSWORD to a password of your own"
            );
        }
        let origin = HeaderValue::from_str(&settings.cors_origin).context("cors_origin")?;
        let metrics = recorder()?;
        let store = BlockCache::new(config.cache.max_bytes);
        let gateway = Arc::new(Self {
            stack: ArcSwap::from_pointee(Stack::new(config, &store)),
            store,
            metrics,
            status: Status::default(),
            started: Instant::now(),
            stop: watch::Sender::new(false),
        });
        let (public, admin) = (bind(settings.listen).await?, bind(settings.admin_listen).await?);
        let addresses = (public.local_addr()?, admin.local_addr()?);
        let answering = Public::new(Arc::clone(&gateway), origin);
        let answering = service_fn(move |request| answering.clone().answer(request));
        let administering =
            TowerToHyperService::new(admin::router(Arc::clone(&gateway), &password));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(public, settings.clone(), answering, gateway.stop.subscribe()));
        tasks.spawn(serve(admin, settings, administering, gateway.stop.subscribe()));
        tokio::spawn(status::watch(Arc::clone(&gateway)));
        gateway.look();
        Ok((gateway, Doors { public: addresses.0, admin: addresses.1, tasks }))
    }

    /// Calls that come from now on go through this configuration; those in flight end in the old.
    /// The answers that are kept stay.
    pub fn reload(&self, config: Config) {
        let old = self.stack.load();
        let same = |one: &Config| -> (Server, Cache) { (one.server.clone(), one.cache.clone()) };
        if same(&old.config) != same(&config) {
            tracing::warn!("[server] and [cache] change with a restart only");
        }
        self.stack.store(Arc::new(Stack::new(config, &self.store)));
        self.look();
        tracing::info!("configuration reloaded");
    }

    /// Asks all endpoints where they are, as the first call would.
    fn look(&self) {
        let question = Request::new("eth_blockNumber", Id::Number(0), ()).serialize();
        let client = self.stack.load().client.clone();
        let question = question.expect("no params are JSON");
        tokio::spawn(client.oneshot(RequestPacket::Single(question)));
    }

    /// No further connections; calls in flight go on to their end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let mut stop = self.stop.subscribe();
        async move { drop(stop.wait_for(|stop| *stop).await) }
    }
}

impl Doors {
    /// Waits until all calls have ended, after [`Gateway::stop`].
    pub async fn closed(self) {
        self.tasks.join_all().await;
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{address}"))
}

fn recorder() -> Result<PrometheusHandle> {
    static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = INSTALLED.get() {
        return Ok(handle.clone());
    }
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &names::SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &names::MEMBERS)?
        .build_recorder();
    let handle = INSTALLED.get_or_init(|| recorder.handle());
    if metrics::set_global_recorder(Rename::new(recorder, &names::RPC_LB)).is_ok() {
        describe();
    }
    Ok(handle.clone())
}
