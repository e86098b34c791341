//! The proxies that are compared, each one process tree on one core.

pub mod bare_hyper;
pub mod nginx;
pub mod product;
pub mod proxies;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ah5_harness::cancel::Cancel;
use ah5_harness::process::{Process, Signal, Spec};
use bytes::Bytes;

use crate::upstream::Upstream;

/// One proxy as the load generator sees it.
pub struct Peer {
    pub name: &'static str,
    pub address: SocketAddr,
    pub requests: Vec<Bytes>,
    /// The process whose CPU time is counted, with all below it.
    pub root: u32,
    /// Whether it swaps the caller's token for the provider's credential, as the product must.
    pub brokers: bool,
}

/// How the upstream is spoken to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Via {
    Plain,
    Tls,
}

/// What it takes to start a proxy that only passes on.
pub struct Setting<'a> {
    pub folder: &'a Path,
    pub upstream: &'a Upstream,
    pub cancel: &'a Cancel,
}

/// A proxy of ours that has started; stopped on drop.
pub struct Running {
    pub address: SocketAddr,
    pub root: u32,
    _process: Process,
}

// === impl Setting ===

impl Setting<'_> {
    pub fn target(&self, via: Via) -> SocketAddr {
        match via {
            Via::Plain => self.upstream.plain,
            Via::Tls => self.upstream.tls,
        }
    }

    /// # Errors
    /// The folder can't be written.
    pub fn authority_file(&self) -> anyhow::Result<PathBuf> {
        let file = self.folder.join("authority.pem");
        std::fs::write(&file, &self.upstream.authority)?;
        Ok(file)
    }
}

// === impl Running ===

impl Running {
    /// Starts it and asks `ready` for its address until there is one. It runs on the core of who
    /// started the first process of all.
    fn start(
        name: &str,
        command: Command,
        setting: &Setting<'_>,
        ready: impl FnMut() -> anyhow::Result<Option<SocketAddr>>,
    ) -> anyhow::Result<Self> {
        let mut process = Process::start(Spec {
            name: name.to_owned(),
            command,
            env: &BTreeMap::new(),
            log: setting.folder.join(format!("{name}.log")),
            stop: Signal::TERM,
            patience: PATIENCE,
            orphan: "TERM",
        })?;
        let address = process.wait_for(PATIENCE, setting.cancel, ready)?;
        Ok(Self {
            address,
            root: process.pid(),
            _process: process,
        })
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
