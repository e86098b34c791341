//! What our servers are told: the operator's settings, and over them what the stack decides.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;

use super::home::Home;
use super::plane::ANY_PORT;

pub type Env = BTreeMap<String, String>;

/// Settings of the parts of one stack.
pub struct Environment {
    control: Env,
    data: Env,
    addresses: std::path::PathBuf,
    spool: std::path::PathBuf,
}

// === impl Environment ===

impl Environment {
    pub fn new(given: &Env, home: &Home, port: u16) -> Self {
        let mut common = given.clone();
        common
            .entry("KEY_RING_FILE".into())
            .or_insert_with(|| text(&home.key_ring()));
        // Nothing is in front that would have to notice: nginx is stopped first.
        common
            .entry("DRAIN_DELAY_MS".into())
            .or_insert_with(|| "0".into());
        common.insert("PORT".into(), port.to_string());
        common.insert("ADMIN_ADDR".into(), ANY_PORT.to_string());
        let mut data = common.clone();
        // Secrets of signing people in, which is none of a data plane's business.
        data.retain(|name, _| {
            let prefixes = ["AUTH_", "EMAIL_", "SMTP_"];
            !prefixes.iter().any(|prefix| name.starts_with(prefix))
        });
        let mut control = common;
        control.insert("REFRESH_DIR".into(), text(&home.root().join("refreshes")));
        Self {
            control,
            data,
            addresses: home.root().join("addresses"),
            spool: home.root().join("spool"),
        }
    }

    /// The key ring that both planes use.
    pub fn key_ring(&self) -> &str {
        &self.control["KEY_RING_FILE"]
    }

    /// Both planes' login users in a private cluster.
    pub fn set_databases(&mut self, control: &Path, data: &Path) {
        for name in [
            "DATABASE_URL",
            "DATA_PLANE_DATABASE_URL",
            "LISTEN_DATABASE_URL",
        ] {
            for env in [&mut self.control, &mut self.data] {
                env.remove(name);
                env.remove(&format!("{name}_FILE"));
            }
        }
        self.control
            .insert("DATABASE_URL_FILE".into(), text(control));
        self.data
            .insert("DATA_PLANE_DATABASE_URL_FILE".into(), text(data));
    }

    /// Lets the simulator be reached: exactly its host and port, and its certificate.
    pub fn set_simulator(&mut self, host: &str, ca_file: &Path, home: &Home) -> anyhow::Result<()> {
        let given = self.data.get("UPSTREAM_CA_FILE").cloned();
        let trusted = match given {
            None => text(ca_file),
            Some(given) => {
                let both = std::fs::read_to_string(&given)
                    .with_context(|| format!("UPSTREAM_CA_FILE: cannot read {given}"))?
                    + "\n"
                    + &std::fs::read_to_string(ca_file)?;
                let path = home.root().join("upstream-ca.pem");
                std::fs::write(&path, both)?;
                text(&path)
            }
        };
        for env in [&mut self.control, &mut self.data] {
            let hosts = env.entry("SSRF_ALLOWLIST_HOSTS".into()).or_default();
            if !hosts.trim().is_empty() {
                hosts.push(',');
            }
            hosts.push_str(host);
            env.insert("UPSTREAM_CA_FILE".into(), trusted.clone());
        }
        Ok(())
    }

    /// Sends calls to these hosts to the simulator.
    pub fn play(&mut self, hosts: &[String], simulator: SocketAddr) {
        let entries = hosts.iter().map(|host| format!("{host}:443={simulator}"));
        for env in [&mut self.control, &mut self.data] {
            let given = env.remove("UPSTREAM_RESOLVE").into_iter();
            let all: Vec<String> = given.chain(entries.clone()).collect();
            if !all.is_empty() {
                env.insert("UPSTREAM_RESOLVE".into(), all.join(","));
            }
        }
    }

    /// Of both planes.
    pub fn set(&mut self, name: &str, value: &str) {
        for env in [&mut self.control, &mut self.data] {
            env.insert(name.to_owned(), value.to_owned());
        }
    }

    /// What no call may reach, however generous the operator's own exemptions are.
    pub fn protect(&mut self, listeners: &[SocketAddr]) {
        let protected = self.data.entry("PROTECTED_ADDRS".into()).or_default();
        for listener in listeners {
            if !protected.trim().is_empty() {
                protected.push(',');
            }
            protected.push_str(&listener.to_string());
        }
    }

    pub fn of_control_plane(&self) -> Env {
        self.with_addresses(&self.control, "control-plane", ANY_PORT)
    }

    pub fn of_further_control_plane(&self, number: usize) -> Env {
        self.with_addresses(&self.control, &format!("control-plane-{number}"), ANY_PORT)
    }

    pub fn of_data_plane(&self, number: usize, listen: SocketAddr) -> Env {
        let mut env = self.with_addresses(&self.data, &format!("data-plane-{number}"), listen);
        let spool = self.spool.join(number.to_string());
        env.insert("SPOOL_DIR".into(), text(&spool));
        env
    }

    fn with_addresses(&self, env: &Env, part: &str, listen: SocketAddr) -> Env {
        let mut env = env.clone();
        let file = self.addresses.join(format!("{part}.json"));
        env.insert("ADDRESS_FILE".into(), text(&file));
        env.insert("LISTEN_ADDR".into(), listen.to_string());
        env
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
