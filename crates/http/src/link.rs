//! The client under a transport: made on its first call, or given.

use reqwest::{Client, redirect::Policy};
use std::{sync::OnceLock, time::Duration};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Load balancers close idle connections after 60 seconds and more; a request that meets the
/// closing is lost, so ours are closed before.
const POOL_IDLE: Duration = Duration::from_secs(50);
/// All calls share one HTTP/2 connection, and a timeout does not close it: without pings a
/// black-holed one would swallow every further call.
const PING_INTERVAL: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) enum Link {
    Own { connect_timeout: Duration, client: OnceLock<Result<Client, String>> },
    Given(Client),
}

impl Default for Link {
    fn default() -> Self {
        Self::Own { connect_timeout: CONNECT_TIMEOUT, client: OnceLock::new() }
    }
}

impl Link {
    pub(crate) fn set_connect_timeout(&mut self, timeout: Duration) {
        if let Self::Own { .. } = self {
            *self = Self::Own { connect_timeout: timeout, client: OnceLock::new() };
        }
    }

    pub(crate) const fn is_own(&self) -> bool {
        matches!(self, Self::Own { .. })
    }

    /// The client, or why there is none.
    pub(crate) fn client(&self, tls: bool) -> Result<&Client, &str> {
        match self {
            Self::Given(client) => Ok(client),
            Self::Own { connect_timeout, client } => {
                client.get_or_init(|| build(*connect_timeout, tls)).as_ref().map_err(String::as_str)
            }
        }
    }
}

fn build(connect_timeout: Duration, tls: bool) -> Result<Client, String> {
    let builder = Client::builder()
        .user_agent(concat!("alclad/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .tcp_nodelay(true)
        .pool_idle_timeout(POOL_IDLE)
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .http2_keep_alive_while_idle(true);
    #[cfg(feature = "rustls")]
    let builder = match tls {
        true => builder.tls_backend_rustls(),
        // Plain HTTP must also work where no root certificates are installed.
        false => builder.tls_backend_rustls().tls_certs_only([]),
    };
    #[cfg(not(feature = "rustls"))]
    let _ = tls;
    builder.build().map_err(|error| crate::failure::innermost(&error.without_url()).to_string())
}
