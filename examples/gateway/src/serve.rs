//! Connections, from the first to the last.

use crate::config::Server;
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    server::conn::http1,
    service::Service,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use std::{convert::Infallible, error::Error, time::Duration};
use tokio::{
    net::TcpListener,
    select,
    sync::watch,
    time::{sleep, timeout},
};

/// Answers until it is told to stop, and then ends what it has begun.
pub async fn serve<S, B>(
    listener: TcpListener,
    settings: Server,
    service: S,
    mut stop: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    http.header_read_timeout(Duration::from_millis(settings.read_timeout_ms));
    let connections = GracefulShutdown::new();
    loop {
        let accepted = select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok((stream, _)) = accepted else {
            // Too many files are open: until some are closed.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Answers are written whole.
        let _ = stream.set_nodelay(true);
        let connection = http.serve_connection(TokioIo::new(stream), service.clone());
        tokio::spawn(connections.watch(connection));
    }
    drop(listener);
    let _ = timeout(Duration::from_millis(settings.drain_ms), connections.shutdown()).await;
}
