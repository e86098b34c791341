//! Starting one of our own servers and learning where it listens.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::binaries::Binaries;
use crate::cancel::Cancel;
use crate::probe;
use crate::process::{Process, Signal, Spec};

pub const ANY_PORT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

/// What our servers write into their `ADDRESS_FILE`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Addresses {
    pub listen: SocketAddr,
    /// `/readyz`, `/status`, `/metrics`; the simulator has none.
    pub admin: Option<SocketAddr>,
    pub pid: u32,
}

pub struct Plane {
    pub process: Process,
    pub addresses: Addresses,
}

/// Starts our servers.
pub struct Launcher {
    pub binaries: Binaries,
    pub logs: PathBuf,
    pub cancel: Cancel,
}

// === impl Launcher ===

impl Launcher {
    pub fn control_plane(&self, env: &BTreeMap<String, String>) -> anyhow::Result<Plane> {
        let plane = self.start("control-plane", "control plane", "control-plane", env)?;
        self.wait_until_ready(plane)
    }

    pub fn further_control_plane(
        &self,
        number: usize,
        env: &BTreeMap<String, String>,
    ) -> anyhow::Result<Plane> {
        let name = format!("control plane {number}");
        let log = format!("control-plane-{number}");
        let plane = self.start("control-plane", &name, &log, env)?;
        self.wait_until_ready(plane)
    }

    pub fn data_plane(
        &self,
        number: usize,
        env: &BTreeMap<String, String>,
    ) -> anyhow::Result<Plane> {
        let log = format!("data-plane-{number}");
        let plane = self.start("data-plane", &format!("data plane {number}"), &log, env)?;
        self.wait_until_ready(plane)
    }

    pub fn simulator(&self, env: &BTreeMap<String, String>) -> anyhow::Result<Plane> {
        let name = "provider-simulator";
        self.start(name, "provider simulator", name, env)
    }

    fn start(
        &self,
        binary: &str,
        name: &str,
        log: &str,
        env: &BTreeMap<String, String>,
    ) -> anyhow::Result<Plane> {
        let file = PathBuf::from(env.get("ADDRESS_FILE").context("an address file")?);
        // One of an earlier start would be believed.
        drop(std::fs::remove_file(&file));
        let mut command = Command::new(self.binaries.find(binary)?);
        if binary != "provider-simulator" {
            command.arg("serve");
        }
        let mut process = Process::start(Spec {
            name: name.to_owned(),
            command,
            env,
            log: self.logs.join(format!("{log}.log")),
            stop: Signal::TERM,
            patience: STOP,
            // Nobody is left to wait for a drain.
            orphan: "KILL",
        })?;
        let read = || read_addresses(&file);
        let addresses = process.wait_for(START, &self.cancel, read)?;
        Ok(Plane { process, addresses })
    }

    fn wait_until_ready(&self, mut plane: Plane) -> anyhow::Result<Plane> {
        let admin = plane.addresses.admin.context("it has an admin listener")?;
        let ready = || Ok((probe::status(admin, "/readyz") == Some(200)).then_some(()));
        plane.process.wait_for(START, &self.cancel, ready)?;
        Ok(plane)
    }
}

/// None as long as they aren't written; half of them is never seen.
fn read_addresses(file: &Path) -> anyhow::Result<Option<Addresses>> {
    let Ok(text) = std::fs::read_to_string(file) else {
        return Ok(None);
    };
    let addresses = serde_json::from_str(&text);
    addresses
        .map(Some)
        .with_context(|| format!("{} holds no addresses", file.display()))
}

const START: Duration = Duration::from_secs(30);
/// A plane itself gives answers under way 35 s.
const STOP: Duration = Duration::from_secs(45);
