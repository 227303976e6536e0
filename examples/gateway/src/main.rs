//! An Ethereum RPC load balancer made of alclad's layers. See the README.

use alclad_gateway::{Gateway, config::Config, demo};
use anyhow::Result;
use clap::Parser;
use std::path::PathBuf;
use tokio::{
    select,
    signal::unix::{SignalKind, signal},
};

/// An Ethereum RPC load balancer. The admin's password is the variable ADMIN_PASSWORD.
#[derive(Parser)]
struct Arguments {
    /// What to ask and how; without endpoints in it, three simulated nodes.
    #[arg(long)]
    config: Option<PathBuf>,
}

impl Arguments {
    fn config(&self) -> Result<Config> {
        self.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let (config, _nodes) = demo::unless_configured(arguments.config()?).await;
    let (gateway, doors) = Gateway::start(config, std::env::var("ADMIN_PASSWORD").ok()).await?;
    tracing::info!("calls at http://{}, admin at http://{}", doors.public, doors.admin);
    let (mut hangup, mut term) = (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?);
    loop {
        select! {
            _ = hangup.recv() => match arguments.config() {
                Ok(config) if config.endpoints().next().is_some() => gateway.reload(config),
                Ok(_) => tracing::error!("not reloaded: there is no endpoint"),
                Err(error) => tracing::error!("not reloaded: {error:#}"),
            },
            _ = term.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    tracing::info!("stopping");
    gateway.stop();
    doors.closed().await;
    Ok(())
}
