//! nginx and the bare proxy, each once for either kind of upstream.

use std::sync::Arc;

use super::{Peer, Running, Setting, Via, bare_hyper, nginx};
use crate::load::request::Shape;
use crate::report::{BARE_HYPER, NGINX};

/// Idle ones cost nothing; stopped on drop.
pub struct Proxies {
    plain: Pair,
    tls: Pair,
}

struct Pair {
    nginx: Running,
    bare_hyper: Running,
}

// === impl Proxies ===

impl Proxies {
    /// # Errors
    /// One of them does not start.
    pub fn start(setting: &Setting<'_>) -> anyhow::Result<Self> {
        Ok(Self {
            plain: Pair::start(setting, Via::Plain)?,
            tls: Pair::start(setting, Via::Tls)?,
        })
    }

    /// They get the same bytes as the product, which they pass on as they are.
    pub fn peers(&self, via: Via, shape: Shape, path: &str, token: &str) -> Vec<Arc<Peer>> {
        let pair = match via {
            Via::Plain => &self.plain,
            Via::Tls => &self.tls,
        };
        let named = [(NGINX, &pair.nginx), (BARE_HYPER, &pair.bare_hyper)];
        let peers = named.map(|(name, running)| Peer {
            name,
            address: running.address,
            requests: vec![shape.request(path, token)],
            root: running.root,
            brokers: false,
        });
        peers.map(Arc::new).into()
    }
}

// === impl Pair ===

impl Pair {
    fn start(setting: &Setting<'_>, via: Via) -> anyhow::Result<Self> {
        Ok(Self {
            nginx: nginx::start(setting, via)?,
            bare_hyper: bare_hyper::start(setting, via)?,
        })
    }
}
