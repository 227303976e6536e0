//! An Ethereum RPC load balancer made of alclad's layers: see the README.

use alclad_gateway::{Config, Gateway};
use alclad_testkit::{ChainSpec, Disruption, Miner, SimChain, SimNode, SimServer};
use anyhow::Result;
use clap::Parser;
use std::{path::PathBuf, time::Duration};
use tokio::{
    select,
    signal::{
        ctrl_c,
        unix::{SignalKind, signal},
    },
};

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
    let nodes = Nodes::start(if arguments.config.is_some() { 0 } else { 3 }).await;
    let read = || match &arguments.config {
        Some(path) => Config::load(path),
        None => Config::parse(&nodes.config()),
    };
    let (gateway, doors) = Gateway::start(read()?, &arguments.admin_password).await?;
    tracing::info!("calls at http://{}, admin at http://{}", doors.public, doors.admin);
    let (mut reload, mut stop) = (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?);
    loop {
        select! {
            _ = reload.recv() => match read() {
                Ok(config) => gateway.reload(config),
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

/// Simulated nodes on loopback, for who has no endpoints yet.
struct Nodes(Vec<SimServer>, #[expect(dead_code, reason = "it mines until it is dropped")] Miner);

impl Nodes {
    async fn start(count: u64) -> Self {
        let chain = SimChain::start(ChainSpec::new(7).with_block_time(Duration::from_secs(2)));
        chain.mine(200);
        let mut servers = Vec::new();
        for index in 0..count {
            let node = SimNode::new(&chain);
            if index > 0 {
                node.set(Disruption::SlowBy(Duration::from_millis(2 * index)));
            }
            servers.push(node.serve_http().await);
        }
        Self(servers, chain.mine_on_schedule())
    }

    fn config(&self) -> String {
        let endpoint = |(index, server): (usize, &SimServer)| {
            format!("[[endpoint]]\nid = \"sim-{index}\"\nurl = \"{}\"\n", server.url())
        };
        self.0.iter().enumerate().map(endpoint).collect()
    }
}
