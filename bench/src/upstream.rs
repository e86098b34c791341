//! The provider of the bench: answers every request with the same 1 KiB of JSON, plain and over TLS,
//! on a thread of its own. As lean as it can be, so that the core it shares is not what limits.

mod serve;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ah5_testkit::certificates::Authority;
use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::{cpu, pin};

/// Stops on drop.
pub struct Upstream {
    pub plain: SocketAddr,
    pub tls: SocketAddr,
    /// The authority that signed the TLS side's certificate, as PEM.
    pub authority: String,
    seen: Arc<Seen>,
    _stop: oneshot::Sender<()>,
}

/// What arrived, counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrived {
    pub requests: u64,
    /// Requests that carried the provider's credential.
    pub with_secret: u64,
    /// Requests that carried the caller's own token, which a broker must keep to itself.
    pub with_token: u64,
    /// CPU time of the upstream's thread.
    pub cpu: Duration,
}

#[derive(Default)]
struct Seen {
    requests: AtomicU64,
    with_secret: AtomicU64,
    with_token: AtomicU64,
    faults: AtomicU64,
    thread: AtomicU64,
}

// === impl Upstream ===

impl Upstream {
    /// # Errors
    /// Loopback can't be bound.
    pub async fn start(core: Option<usize>) -> anyhow::Result<Self> {
        let authority = Authority::generate()?;
        let leaf = authority.issue(&["localhost"])?;
        let acceptor = TlsAcceptor::from(leaf.server_config(&["http/1.1"])?);
        let seen = Arc::new(Seen::default());
        let (ready, bound) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = serve::Server {
            acceptor,
            seen: Arc::clone(&seen),
        };
        std::thread::Builder::new()
            .name("upstream".to_owned())
            .spawn(move || run(core, server, ready, stopped))?;
        let (plain, tls) = bound.await.context("the upstream did not start")??;
        Ok(Self {
            plain,
            tls,
            authority: authority.pem().to_owned(),
            seen,
            _stop: stop,
        })
    }

    /// # Errors
    /// Something that is no request came in.
    pub fn arrived(&self) -> anyhow::Result<Arrived> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let faults = read(&self.seen.faults);
        anyhow::ensure!(faults == 0, "the upstream got {faults} broken requests");
        Ok(Arrived {
            requests: read(&self.seen.requests),
            with_secret: read(&self.seen.with_secret),
            with_token: read(&self.seen.with_token),
            cpu: cpu::of_own_thread(read(&self.seen.thread)),
        })
    }
}

// === impl Arrived ===

impl Arrived {
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            requests: self.requests - earlier.requests,
            with_secret: self.with_secret - earlier.with_secret,
            with_token: self.with_token - earlier.with_token,
            cpu: self.cpu.saturating_sub(earlier.cpu),
        }
    }
}

type Bound = anyhow::Result<(SocketAddr, SocketAddr)>;

fn run(
    core: Option<usize>,
    server: serve::Server,
    ready: oneshot::Sender<Bound>,
    stopped: oneshot::Receiver<()>,
) {
    pin::this_thread(core);
    server
        .seen
        .thread
        .store(cpu::thread_id(), Ordering::Relaxed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error.into()))),
    };
    runtime.block_on(async {
        match bind().await {
            Ok((plain, tls, addresses)) => {
                let _ = ready.send(Ok(addresses));
                // An error means the sender is gone: the same as being told to stop.
                tokio::select! {
                    () = server.run(plain, tls) => {}
                    _ = stopped => {}
                }
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    });
}

async fn bind() -> anyhow::Result<(TcpListener, TcpListener, (SocketAddr, SocketAddr))> {
    let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let tls = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addresses = (plain.local_addr()?, tls.local_addr()?);
    Ok((plain, tls, addresses))
}

/// The provider's credential, which the product has to add.
pub const SECRET: &str = "bench-provider-secret";
/// How every agent's own token begins, which the product has to keep to itself.
pub const TOKEN_START: &str = "ah5t_";

#[cfg(test)]
mod tests;
