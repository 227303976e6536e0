//! A node behind a real socket on loopback.

mod connection;
#[cfg(feature = "http")]
mod http;
mod request;
#[cfg(feature = "ws")]
mod ws;

use crate::SimNode;
use connection::Connection;
use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use url::Url;

/// A socket on which a [`SimNode`] is served; dropping it closes the socket and all connections.
///
/// While the node is [`Dead`](crate::Disruption::Dead) nobody listens, but the port stays
/// reserved, and the node comes back on it.
#[derive(Debug)]
pub struct SimServer {
    url: Url,
    address: SocketAddr,
    accepted: Arc<AtomicU64>,
    alive: watch::Receiver<bool>,
    listening: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl SimNode {
    /// Serves the node over HTTP/1.1 on a free port of loopback.
    ///
    /// # Panics
    ///
    /// If loopback has no free port, or outside a tokio runtime.
    #[cfg(feature = "http")]
    pub async fn serve_http(&self) -> SimServer {
        SimServer::start(self, "http", http::serve).await
    }

    /// Serves the node over WebSocket on a free port of loopback, with `eth_subscribe`.
    ///
    /// # Panics
    ///
    /// If loopback has no free port, or outside a tokio runtime.
    #[cfg(feature = "ws")]
    pub async fn serve_ws(&self) -> SimServer {
        SimServer::start(self, "ws", ws::serve).await
    }
}

impl SimServer {
    async fn start<S, F>(node: &SimNode, scheme: &str, serve: S) -> Self
    where
        S: Fn(SimNode, Connection) -> F + Copy + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let socket = reserve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        let url = Url::parse(&format!("{scheme}://{address}/")).expect("an address makes a URL");
        let accepted = Arc::new(AtomicU64::new(0));
        let (alive, (up, listening)) = (node.alive(), watch::channel(false));
        let door = Door { node: node.clone(), address, accepted: Arc::clone(&accepted), up };
        let task = tokio::spawn(door.run(socket, serve));
        let server = Self { url, address, accepted, alive, listening, task };
        server.settled().await;
        server
    }

    /// Where the node is served, as `connect_http` or `WsConnect` take it.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// The loopback address of the socket.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Waits until the socket listens if the node is alive, and does not if it is dead.
    pub async fn settled(&self) {
        let mut listening = self.listening.clone();
        let agrees = |listening: &bool| *listening == *self.alive.borrow();
        // An error means that the server is gone, and with it the socket.
        let _ = listening.wait_for(agrees).await;
    }

    /// Closes everything and waits until it is closed.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The listening side of a server.
struct Door {
    node: SimNode,
    address: SocketAddr,
    accepted: Arc<AtomicU64>,
    up: watch::Sender<bool>,
}

impl Door {
    /// Listens while the node is alive.
    async fn run<S, F>(self, mut socket: TcpSocket, serve: S)
    where
        S: Fn(SimNode, Connection) -> F + Copy,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut alive = self.node.alive();
        while alive.wait_for(|alive| *alive).await.is_ok() {
            let Ok(listener) = socket.listen(1_024) else { return };
            self.up.send_replace(true);
            let mut connections = JoinSet::new();
            tokio::select! {
                _ = alive.wait_for(|alive| !alive) => {}
                () = self.accept(&listener, &mut connections, serve) => {}
            }
            drop(listener);
            // A bound socket that does not listen keeps the port and refuses connections.
            let Ok(reserved) = reserve(self.address) else { return };
            socket = reserved;
            connections.shutdown().await;
            self.up.send_replace(false);
        }
    }

    async fn accept<S, F>(&self, listener: &TcpListener, connections: &mut JoinSet<()>, serve: S)
    where
        S: Fn(SimNode, Connection) -> F + Copy,
        F: Future<Output = ()> + Send + 'static,
    {
        loop {
            tokio::select! {
                Ok((stream, _)) = listener.accept() => {
                    self.accepted.fetch_add(1, Relaxed);
                    connections.spawn(serve(self.node.clone(), Connection::new(stream)));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
