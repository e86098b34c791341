//! Where the database is and how to reach it: single connections for LISTEN, polls and loads, a
//! bounded pool for the rest. Every connection notices a dead peer within seconds.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio::task::JoinHandle;
pub use tokio_postgres::Client;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use ah5_security::secret::SecretText;

use crate::StoreError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(2);
const POOL_WAIT: Duration = Duration::from_secs(2);

/// A server and a database on it. Holds the password; shows it to nobody.
#[derive(Clone)]
pub struct Database {
    config: Config,
    tls: Option<Arc<rustls::ClientConfig>>,
}

#[derive(Debug, thiserror::Error)]
#[error("not a PostgreSQL connection string: {0}")]
pub struct BadUrl(String);

// === impl Database ===

impl Database {
    /// Takes a `postgres://` URL or a keyword string, with `sslmode` as libpq has it.
    ///
    /// # Errors
    /// The text is malformed, or TLS is asked for and this machine has no roots of trust.
    pub fn parse(url: &SecretText) -> Result<Self, BadUrl> {
        // The parser's message names the option, never the value.
        let mut config: Config = url
            .expose()
            .parse()
            .map_err(|e: tokio_postgres::Error| BadUrl(e.to_string()))?;
        config
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(TCP_USER_TIMEOUT)
            .keepalives_idle(Duration::from_secs(5))
            .application_name("agenthifive");
        let socket = config
            .get_hosts()
            .iter()
            .all(|host| matches!(host, Host::Unix(_)));
        let tls = if socket || config.get_ssl_mode() == SslMode::Disable {
            None
        } else {
            let tls = rustls::ClientConfig::with_platform_verifier()
                .map_err(|error| BadUrl(error.to_string()))?;
            Some(Arc::new(tls))
        };
        Ok(Self { config, tls })
    }

    /// One connection, driven by the returned task until the client is dropped.
    ///
    /// # Errors
    /// The server can't be reached or refuses.
    pub async fn connect(&self) -> Result<(Client, JoinHandle<()>), StoreError> {
        // A failing connection shows as an error of the client's next call.
        match self.connector() {
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                Ok((client, tokio::spawn(async move { drop(connection.await) })))
            }
            Some(tls) => {
                let (client, connection) = self.config.connect(tls).await?;
                Ok((client, tokio::spawn(async move { drop(connection.await) })))
            }
        }
    }

    /// # Panics
    /// Never: the builder only fails without a runtime for its time limits, and it has one.
    #[must_use]
    pub fn pool(&self, size: usize) -> Pool {
        let mut config = self.config.clone();
        config.options("-c statement_timeout=10s -c idle_in_transaction_session_timeout=15s");
        let recycle = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = match self.connector() {
            None => Manager::from_config(config, NoTls, recycle),
            Some(tls) => Manager::from_config(config, tls, recycle),
        };
        Pool::builder(manager)
            .max_size(size)
            .wait_timeout(Some(POOL_WAIT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a runtime is set")
    }

    /// Where the server is, as far as that is written down in numbers.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let hosts = self.config.get_hosts().iter().zip(self.ports());
        let named = hosts.filter_map(|(host, port)| match host {
            Host::Tcp(name) if name == "localhost" => Some((Ipv4Addr::LOCALHOST.into(), port)),
            Host::Tcp(name) => Some((name.parse::<IpAddr>().ok()?, port)),
            Host::Unix(_) => None,
        });
        let numbered = self
            .config
            .get_hostaddrs()
            .iter()
            .copied()
            .zip(self.ports());
        named.chain(numbered).map(SocketAddr::from)
    }

    /// One port is for all hosts.
    fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        let given = self.config.get_ports();
        let rest = given
            .first()
            .copied()
            .filter(|_| given.len() <= 1)
            .or(Some(5432));
        given
            .iter()
            .copied()
            .chain(std::iter::repeat_n(rest.unwrap_or(5432), 64))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn connector(&self) -> Option<MakeRustlsConnect> {
        self.tls
            .as_ref()
            .map(|tls| MakeRustlsConnect::new(rustls::ClientConfig::clone(tls)))
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Database({:?}, {:?})",
            self.config.get_hosts(),
            self.config.get_dbname()
        )
    }
}
