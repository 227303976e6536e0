//! Three simulated nodes on loopback, for who has no endpoints yet.

use crate::config::{Config, Upstream};
use alclad_testkit::{ChainSpec, Disruption, Miner, SimChain, SimNode, SimServer};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The nodes, as long as it is held.
#[derive(Debug)]
pub struct Demo {
    _servers: Vec<SimServer>,
    _miner: Miner,
}

/// Adds the nodes to a configuration without endpoints.
pub async fn unless_configured(mut config: Config) -> (Config, Option<Demo>) {
    if config.endpoints().next().is_some() {
        return (config, None);
    }
    const BLOCK_TIME: Duration = Duration::from_secs(2);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let spec = ChainSpec::new(7).with_block_time(BLOCK_TIME).with_genesis_time(now - 400);
    let chain = SimChain::start(spec);
    chain.mine(200);
    let mut servers = Vec::new();
    for (id, delay) in [("sim-a", 2), ("sim-b", 4), ("sim-c", 8)] {
        let node = SimNode::new(&chain);
        node.set(Disruption::SlowBy(Duration::from_millis(delay)));
        let server = node.serve_http().await;
        config = config.with_endpoint(Upstream::new(id, server.url()));
        servers.push(server);
    }
    let demo = Demo { _servers: servers, _miner: chain.mine_on_schedule() };
    (config, Some(demo))
}
