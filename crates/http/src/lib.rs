#![doc = include_str!("../README.md")]

mod ask;

mod body;

mod departure;

mod failure;

mod link;

mod plain;

mod reply;

mod retry_after;

mod secrets;

mod server;
pub use server::RpcServer;

mod target;
pub use target::{BadUrl, UrlProblem};

mod transport;
pub use transport::HttpTransport;

/// For [`HttpTransport::with_client`].
pub use reqwest;
