//! Names to addresses, with a deadline and a short memory.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::guard::split_host_port;

/// `UPSTREAM_RESOLVE`: where the operator says that a host and port are, for use in development.
/// Name checks and TLS stay as they are.
#[derive(Clone, Debug, Default)]
pub struct ResolveOverrides(HashMap<(String, u16), SocketAddr>);

pub(crate) struct Resolver {
    recent: Mutex<HashMap<String, Recent>>,
    lookup: Lookup,
    deadline: Duration,
}

/// Where addresses come from; tests put a name server of their own here.
pub(crate) enum Lookup {
    System,
    #[cfg(test)]
    Scripted(Script),
}

#[cfg(test)]
type Script = Box<dyn Fn(&str) -> Vec<IpAddr> + Send + Sync>;

struct Recent {
    ips: Arc<[IpAddr]>,
    until: Instant,
}

// === impl ResolveOverrides ===

impl ResolveOverrides {
    /// Entries are `host:port=ip:port`.
    ///
    /// # Errors
    /// One sentence for each fault; any entry at all is one if the public origin is not loopback.
    pub fn parse(entries: &[String], loopback_origin: bool) -> Result<Self, Vec<String>> {
        if !entries.is_empty() && !loopback_origin {
            return Err(vec![
                "is only possible while PUBLIC_ORIGIN is on loopback".into(),
            ]);
        }
        let mut overrides = HashMap::new();
        let mut faults = Vec::new();
        for entry in entries {
            match parse_override(entry) {
                Some((from, to)) => drop(overrides.insert(from, to)),
                None => faults.push(format!("{entry}: is not host:port=ip:port")),
            }
        }
        if faults.is_empty() {
            Ok(Self(overrides))
        } else {
            Err(faults)
        }
    }

    pub(crate) fn find(&self, host: &str, port: u16) -> Option<SocketAddr> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&(host.to_owned(), port)).copied()
    }
}

fn parse_override(entry: &str) -> Option<((String, u16), SocketAddr)> {
    let (from, to) = entry.split_once('=')?;
    let (host, port) = split_host_port(from).ok()?;
    Some(((host, port?), to.parse().ok()?))
}

// === impl Resolver ===

impl Resolver {
    pub(crate) fn new(deadline: Duration, lookup: Lookup) -> Self {
        Self {
            recent: Mutex::default(),
            lookup,
            deadline,
        }
    }

    /// Every address of `host`; at least one. `None` if it has none or the answer took too long.
    pub(crate) async fn resolve(&self, host: &str) -> Option<Arc<[IpAddr]>> {
        if let Ok(ip) = host.parse() {
            return Some(Arc::new([ip]));
        }
        let now = Instant::now();
        if let Some(recent) = self.lock().get(host).filter(|recent| recent.until > now) {
            return Some(Arc::clone(&recent.ips));
        }
        let lookup = self.lookup(host);
        let ips = tokio::time::timeout(self.deadline, lookup).await.ok()??;
        let mut recent = self.lock();
        if recent.len() >= MAX_RECENT {
            recent.clear();
        }
        let until = Instant::now() + KEEP;
        let ips: Arc<[IpAddr]> = ips.into();
        recent.insert(
            host.to_owned(),
            Recent {
                ips: Arc::clone(&ips),
                until,
            },
        );
        Some(ips)
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "this is the crate that may resolve names"
    )]
    async fn lookup(&self, host: &str) -> Option<Vec<IpAddr>> {
        let mut ips: Vec<IpAddr> = match &self.lookup {
            Lookup::System => match tokio::net::lookup_host((host, 0)).await {
                Ok(addrs) => addrs.map(|addr| addr.ip()).collect(),
                Err(error) => {
                    tracing::debug!(host, %error, "name did not resolve");
                    return None;
                }
            },
            #[cfg(test)]
            Lookup::Scripted(answer) => answer(host),
        };
        let mut seen = Vec::with_capacity(ips.len());
        ips.retain(|ip| {
            !seen.contains(ip) && {
                seen.push(*ip);
                true
            }
        });
        (!ips.is_empty()).then_some(ips)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Recent>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Long enough to spare the name server a burst, short enough to follow a fail-over.
const KEEP: Duration = Duration::from_secs(5);
const MAX_RECENT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_are_for_development_only() {
        let entries = ["api.test:443=127.0.0.1:9".to_owned()];
        assert!(ResolveOverrides::parse(&entries, false).is_err());
        let overrides = ResolveOverrides::parse(&entries, true).unwrap();
        assert_eq!(
            overrides.find("api.test", 443),
            Some("127.0.0.1:9".parse().unwrap())
        );
        assert_eq!(overrides.find("api.test", 80), None);
        assert!(ResolveOverrides::parse(&["x=y".to_owned()], true).is_err());
    }
}
