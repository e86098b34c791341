//! A provider of the test's own: a real HTTP/1.1 server over TLS that writes down every request
//! and answers as the path asks it to (`routes.rs` lists how). Tests hold it in their process; the
//! stack and the demo run it as `provider-simulator` and read its journal over the wire.

mod body;
mod connection;
mod echo;
mod journal;
mod leak;
mod llm;
mod odd;
mod query;
mod remote;
mod routes;
mod stream;
mod tokens;
mod wire;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use http::Response;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::certificates::Authority;

pub use body::Body;
pub use connection::Received;
pub use journal::{Entry, Journal, Outcome};
pub use remote::Remote;
pub use tokens::{Counts, Gate, TokenEndpoint, Tokens, Trouble};

/// Names that the certificate always has, besides those asked for.
pub const NAMES: [&str; 6] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "example.test",
    "api.example.test",
    "*.provider.test",
];

/// Stops on drop, cutting what is under way.
pub struct Simulator {
    shared: Arc<Shared>,
    authority: Authority,
    folder: tempfile::TempDir,
    tls: SocketAddr,
    plain: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub listen: SocketAddr,
    /// Further names for the certificate: those of the provider that is played.
    pub names: Vec<String>,
    /// Listens without TLS too, on a port of its own.
    pub plain: bool,
}

/// What all connections have in common.
pub(crate) struct Shared {
    journal: Journal,
    handlers: Mutex<HashMap<String, Handler>>,
    connections: AtomicU64,
    counts: Mutex<HashMap<String, u64>>,
}

type Handler =
    Arc<dyn Fn(Received) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> + Send + Sync>;

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            names: Vec::new(),
            plain: false,
        }
    }
}

// === impl Simulator ===

impl Simulator {
    /// On a free port of the loopback address.
    ///
    /// # Errors
    /// It can't listen.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(Options::default()).await
    }

    /// # Errors
    /// It can't listen, or a name is none.
    pub async fn start_with(options: Options) -> anyhow::Result<Self> {
        let authority = Authority::generate()?;
        let names = options.names.iter().map(String::as_str);
        let names: Vec<&str> = NAMES.into_iter().chain(names).collect();
        let config = authority.issue(&names)?.server_config(&["http/1.1"])?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join(CA_FILE), authority.pem())?;

        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared::default());
        let tls = bind(options.listen).await?;
        let plain = match options.plain {
            true => Some(bind(SocketAddr::new(options.listen.ip(), 0)).await?),
            false => None,
        };
        let addresses = (
            tls.local_addr()?,
            plain.as_ref().map(TcpListener::local_addr).transpose()?,
        );
        let acceptor = TlsAcceptor::from(config);
        let listen = |listener, acceptor| {
            let (shared, stopped) = (Arc::clone(&shared), stopped.clone());
            tokio::spawn(connection::listen(listener, acceptor, shared, stopped))
        };
        let mut listeners = vec![listen(tls, Some(acceptor))];
        listeners.extend(plain.map(|plain| listen(plain, None)));
        Ok(Self {
            shared,
            authority,
            folder,
            tls: addresses.0,
            plain: addresses.1,
            stop,
            listeners,
        })
    }

    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.tls
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.tls.port()
    }

    /// Where there is no TLS, if asked for.
    #[must_use]
    pub fn plain_port(&self) -> Option<u16> {
        self.plain.map(|address| address.port())
    }

    /// `https://HOST:PORT`.
    #[must_use]
    pub fn base_url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.port())
    }

    /// The authority that clients must trust; gone with the simulator.
    #[must_use]
    pub fn ca_file(&self) -> std::path::PathBuf {
        self.folder.path().join(CA_FILE)
    }

    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    #[must_use]
    pub fn journal(&self) -> Vec<Entry> {
        self.shared.journal.entries(0)
    }

    /// Waits until the journal is as wanted, at most so long.
    ///
    /// # Errors
    /// It did not come to that; the journal is in the message.
    pub async fn wait_for(
        &self,
        limit: Duration,
        wanted: impl Fn(&[Entry]) -> bool,
    ) -> anyhow::Result<Vec<Entry>> {
        self.shared.journal.wait_for(limit, wanted).await
    }

    pub fn clear(&self) {
        self.shared.journal.clear();
        lock(&self.shared.counts).clear();
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared
            .connections
            .load(std::sync::atomic::Ordering::Relaxed)
    }

    /// From now on `handler` answers this path; with `/*` at its end, everything below it too.
    pub fn on<F, A>(&self, path: &str, handler: F)
    where
        F: Fn(Received) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |received| Box::pin(handler(received)));
        lock(&self.shared.handlers).insert(path.to_owned(), handler);
    }

    /// Writes the authority's certificate where another process finds it.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write_ca(&self, path: &Path) -> anyhow::Result<()> {
        let partial = path.with_extension("partial");
        std::fs::write(&partial, self.authority.pem())
            .and_then(|()| std::fs::rename(&partial, path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Finishes what is under way, at most so long, then stops.
    pub async fn stop(mut self, limit: Duration) {
        self.stop.send_replace(true);
        let all = futures_util::future::join_all(self.listeners.iter_mut());
        let _ = tokio::time::timeout(limit, all).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // A listener's connections are tasks of its own and end with it.
        for listener in &self.listeners {
            listener.abort();
        }
    }
}

// === impl Shared ===

impl Default for Shared {
    fn default() -> Self {
        Self {
            journal: Journal::default(),
            handlers: Mutex::default(),
            connections: AtomicU64::new(0),
            counts: Mutex::default(),
        }
    }
}

impl Shared {
    fn handler(&self, path: &str) -> Option<Handler> {
        let handlers = lock(&self.handlers);
        let below = || {
            let mut found = handlers.iter().filter(|(pattern, _)| {
                pattern
                    .strip_suffix('*')
                    .is_some_and(|stem| path.starts_with(stem))
            });
            // The longest stem is the most precise one.
            found
                .by_ref()
                .max_by_key(|(pattern, _)| pattern.len())
                .map(|(_, handler)| handler)
        };
        handlers.get(path).or_else(below).cloned()
    }

    /// The new count under this name.
    fn count(&self, name: &str) -> u64 {
        let mut counts = lock(&self.counts);
        if counts.len() >= MAX_COUNTS && !counts.contains_key(name) {
            return 0;
        }
        let count = counts.entry(name.to_owned()).or_insert(0);
        *count += 1;
        *count
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

/// A panic elsewhere leaves these maps whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const CA_FILE: &str = "ca.pem";
const MAX_COUNTS: usize = 10_000;
