//! An Ethereum RPC load balancer made of alclad's layers: see the README.

use alclad_gateway::{Config, Gateway};
use alclad_testkit::{ChainSpec, Disruption, Miner, SimChain, SimNode, SimServer};
use anyhow::Result;
use clap::Parser;
use futures::future::OptionFuture;
use std::{path::PathBuf, time::Duration};
use tokio::signal::unix::{SignalKind, signal};
use tokio::{select, signal::ctrl_c};

/// An Ethereum RPC load balancer.
#[derive(Parser)]
struct Arguments {
    /// Whom to ask, and how; without it, three simulated nodes.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The password of the user `admin`.
    #[arg(long, env, hide_env_values = true, default_value = "changeme")]
    admin_password: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let path = arguments.config.as_deref();
    let nodes = OptionFuture::from(path.is_none().then(simulated)).await;
    let read = || match &nodes {
        Some((config, ..)) => Config::parse(config),
        None => Config::load(path.expect("else there are nodes")),
    };
    let (gateway, doors) = Gateway::start(read()?, &arguments.admin_password).await?;
    tracing::info!("calls at http://{}, admin at http://{}", doors.public, doors.admin);
    let (mut reload, mut stop) = (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?);
    loop {
        select! {
            _ = reload.recv() => match read() {
                Ok(config) => gateway.reload(config).await,
                Err(error) => tracing::error!("not reloaded: {error:#}"),
            },
            _ = stop.recv() => break,
            _ = ctrl_c() => break,
        }
    }
    tracing::info!("stopping");
    gateway.stop();
    doors.closed().await;
    Ok(())
}

/// Simulated nodes on loopback for who has no endpoints yet, and their configuration.
async fn simulated() -> (String, Vec<SimServer>, Miner) {
    let chain = SimChain::start(ChainSpec::new(7).with_block_time(Duration::from_secs(2)));
    chain.mine(200);
    let (mut config, mut servers) = (String::new(), Vec::new());
    for index in 0..3 {
        let node = SimNode::new(&chain);
        node.set(Disruption::SlowBy(Duration::from_millis(2 * index)));
        let server = node.serve_http().await;
        config += &format!("[[endpoint]]\nid = \"sim-{index}\"\nurl = \"{}\"\n", server.url());
        servers.push(server);
    }
    (config, servers, chain.mine_on_schedule())
}
