//! From a host and port to a stream: resolve, judge, connect to what was judged, TLS.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::client::Failure;
use crate::guard::{CheckedAddr, Guard, Target};
use crate::io::{Link, Stream};
use crate::resolve::{ResolveOverrides, Resolver};
use crate::tls::{Speaks, Tls};

pub(crate) struct Connector {
    pub(crate) guard: Guard,
    pub(crate) overrides: ResolveOverrides,
    pub(crate) resolver: Resolver,
    pub(crate) timeout: Duration,
    pub(crate) tls: Tls,
}

// === impl Connector ===

impl Connector {
    pub(crate) async fn connect(&self, target: Target<'_>) -> Result<Stream, Failure> {
        let deadline = Instant::now() + self.timeout;
        let tcp = self.tcp(target, deadline).await?;
        if target.plain {
            return Ok(Stream::new(Link::Plain(tcp)));
        }
        self.secure(target.host, tcp, deadline, Speaks::Http).await
    }

    /// To an address that was judged.
    pub(crate) async fn tcp(
        &self,
        target: Target<'_>,
        deadline: Instant,
    ) -> Result<TcpStream, Failure> {
        let addrs = self.judge(target).await?;
        self.dial(&addrs, deadline).await
    }

    pub(crate) async fn secure(
        &self,
        host: &str,
        tcp: TcpStream,
        deadline: Instant,
        speaks: Speaks,
    ) -> Result<Stream, Failure> {
        let handshake = self.tls.connect(host, tcp, speaks);
        match tokio::time::timeout_at(deadline, handshake).await {
            Ok(Ok(tls)) => Ok(Stream::new(Link::Tls(Box::new(tls)))),
            Ok(Err(error)) => {
                tracing::info!(host, %error, "TLS handshake with provider failed");
                Err(Failure::Tls)
            }
            Err(_) => Err(Failure::Timeout),
        }
    }

    async fn judge(&self, target: Target<'_>) -> Result<Vec<CheckedAddr>, Failure> {
        let Target { host, port, .. } = target;
        let exempt = self.guard.exemptions.covers(target.workspace, host, port);
        if target.plain && !exempt {
            let why = format!("Blocked: {host} may only be called by https");
            return Err(Failure::Blocked(why));
        }
        self.guard
            .check_target(host, port)
            .map_err(Failure::Blocked)?;
        if let Some(addr) = self.overrides.find(host, port) {
            if self.guard.is_own(addr) {
                return Err(Failure::Blocked(format!(
                    "Blocked: {addr} is this service itself"
                )));
            }
            return Ok(vec![CheckedAddr::by_operator(addr)]);
        }
        let Some(ips) = self.resolver.resolve(host).await else {
            let why = if exempt {
                format!("Failed to resolve allowlisted hostname: {host}")
            } else {
                format!("Failed to resolve hostname: {host}")
            };
            return Err(Failure::Resolve(why));
        };
        self.guard.check(target, &ips).map_err(Failure::Blocked)
    }

    /// The first of the addresses that answers. None of them gets all of the time, so that one dead
    /// address does not hide a good one.
    async fn dial(&self, addrs: &[CheckedAddr], deadline: Instant) -> Result<TcpStream, Failure> {
        let mut failure = Failure::Connect;
        for (i, addr) in addrs.iter().take(MAX_ATTEMPTS).enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let others = addrs.len().min(MAX_ATTEMPTS) - i;
            let share = left / u32::try_from(others).unwrap_or(1);
            match tokio::time::timeout(share, dial_one(*addr)).await {
                Ok(Ok(tcp)) => return Ok(tcp),
                Ok(Err(error)) => {
                    tracing::debug!(addr = %addr.get(), %error, "could not connect");
                    failure = Failure::Connect;
                }
                Err(_) => failure = Failure::Timeout,
            }
        }
        Err(failure)
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "this is the crate that may open outbound sockets"
)]
async fn dial_one(addr: CheckedAddr) -> std::io::Result<TcpStream> {
    let tcp = TcpStream::connect(addr.get()).await?;
    if tcp.peer_addr()? != addr.get() {
        return Err(std::io::Error::other(
            "connected to another address than the one judged",
        ));
    }
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

const MAX_ATTEMPTS: usize = 4;
