use alloy::{
    network::EthereumWallet,
    node_bindings::{Anvil, AnvilInstance},
    primitives::Address,
    providers::{Provider, ProviderBuilder},
    transports::ws::WsConnect,
};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::net::SocketAddr;
use url::Url;

/// A real node: an anvil process of its own on a free port of loopback, stopped when dropped.
#[derive(Debug)]
pub struct Node {
    anvil: AnvilInstance,
}

impl Node {
    /// A node that mines a block for every transaction.
    ///
    /// # Panics
    ///
    /// If there is no anvil, or if it does not start.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A node with these arguments of anvil's.
    ///
    /// # Panics
    ///
    /// If there is no anvil, or if it does not start.
    pub fn start_with(arguments: &[&str]) -> Self {
        let Some(program) = xtask::anvil::find() else {
            panic!("this test needs a real node, and there is no anvil: run `cargo xtask test`");
        };
        let anvil = Anvil::at(program).host("127.0.0.1").args(arguments).try_spawn();
        Self { anvil: anvil.expect("anvil starts") }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.anvil.port()))
    }

    /// Its URL for HTTP.
    pub fn url(&self) -> Url {
        self.anvil.endpoint_url()
    }

    /// Its URL for WebSocket.
    pub fn ws(&self) -> WsConnect {
        WsConnect::new(self.anvil.ws_endpoint())
    }

    /// The keys of its rich accounts.
    pub fn wallet(&self) -> EthereumWallet {
        self.anvil.wallet().expect("anvil starts with accounts")
    }

    /// The first of its rich accounts.
    pub fn account(&self) -> Address {
        self.anvil.addresses()[0]
    }

    /// Straight to the node through nothing but alloy: for the truth.
    pub fn direct(&self) -> impl Provider + use<> {
        ProviderBuilder::new().disable_recommended_fillers().connect_http(self.url())
    }

    /// Ends the process at once: its connections are reset, and its port refuses new ones.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Stops the process where it is: the kernel goes on accepting connections, and nobody answers.
    ///
    /// # Panics
    ///
    /// If it cannot be waited for.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        // A signal is only sent: until it has arrived, the process may answer once more.
        let pid = Pid::from_child(self.anvil.child());
        waitpid(Some(pid), WaitOptions::UNTRACED).expect("the process is our child");
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        // The pid is not taken by another process before `anvil` is dropped, which waits for it.
        let sent = kill_process(Pid::from_child(self.anvil.child()), signal);
        sent.expect("the process is ours");
    }
}

impl Drop for Node {
    /// What alloy does when it drops an instance is polite, and takes ten seconds if it is frozen.
    fn drop(&mut self) {
        self.kill();
    }
}
