//! The product: database, control plane and one data plane, all started for real, and an owner and
//! agents who set everything up over the wire.

mod setup;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ah5_harness::stack::Stack;
use ah5_testkit::client::{Call, Http};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{Peer, Setting, Via};
use crate::cpu;
use crate::load::request::Shape;
use crate::pin::{self, Cores};
use crate::report::PRODUCT;
use setup::Caller;

/// Stopped on drop.
pub struct Product {
    stack: Stack,
    callers: Vec<Caller>,
}

/// Where the data plane's audit trail stands.
pub struct Trail {
    pub waiting: u64,
    pub dropped: u64,
    pub quarantined: u64,
}

// === impl Product ===

impl Product {
    /// Starts it, the data plane on its own core, and lets so many agents in.
    ///
    /// # Errors
    /// A part is missing or does not come up, or a step was refused.
    pub async fn start(setting: &Setting<'_>, cores: Cores, agents: usize) -> anyhow::Result<Self> {
        let hosts = [setting.upstream.plain, setting.upstream.tls];
        let hosts = hosts.map(|address| format!("localhost:{}", address.port()));
        let stack = Stack::builder()
            .data_planes(1)
            .front_door(false)
            .simulator(false)
            .env("SSRF_ALLOWLIST_HOSTS", &hosts.join(","))
            .env(
                "UPSTREAM_CA_FILE",
                &setting.authority_file()?.display().to_string(),
            )
            .env("RATE_LIMIT_BOOTSTRAP_PER_MINUTE", "100000")
            .env("RATE_LIMIT_TOKEN_PER_MINUTE", "100000")
            .cancel(setting.cancel)
            .progress(|step| eprintln!("{step}"))
            .start()?;
        let callers = setup::callers(&stack, setting.upstream, agents).await?;
        let product = Self { stack, callers };
        product.leave_only_the_data_plane(cores);
        product.wait_until_known().await?;
        Ok(product)
    }

    pub fn peer(&self, via: Via, shape: Shape) -> Arc<Peer> {
        let requests = self.callers.iter().map(|caller| caller.request(via, shape));
        Arc::new(Peer {
            name: PRODUCT,
            address: self.address(),
            requests: requests.collect(),
            root: self.stack.data_plane(0).pid,
            brokers: true,
        })
    }

    /// Path and token of one agent's calls, for peers that are to get the same bytes.
    pub fn sample(&self, via: Via) -> (String, String) {
        let caller = &self.callers[0];
        (caller.path(via), caller.token.clone())
    }

    pub fn postgres(&self) -> Option<u32> {
        self.stack.cluster()?.pid()
    }

    /// Waits until every audit row is in the database.
    ///
    /// # Errors
    /// It takes too long, or a row was lost.
    pub async fn settle(&self) -> anyhow::Result<()> {
        let end = Instant::now() + SETTLE;
        loop {
            let trail = self.trail().await?;
            ensure!(
                trail.dropped == 0 && trail.quarantined == 0,
                "the audit trail lost {} rows and set {} aside",
                trail.dropped,
                trail.quarantined
            );
            if trail.waiting == 0 {
                return Ok(());
            }
            let late = Instant::now() > end;
            ensure!(
                !late,
                "{} audit rows still wait after {SETTLE:?}",
                trail.waiting
            );
            sleep(STEP).await;
        }
    }

    async fn trail(&self) -> anyhow::Result<Trail> {
        let admin = self
            .stack
            .data_plane(0)
            .admin
            .context("an admin listener")?;
        let status = Http::new(format!("http://{admin}"));
        let status = status.send(Call::get("/status")).await?.expect(200)?;
        let number = |pointer| {
            let number = status.pointer(pointer).and_then(Value::as_u64);
            number.with_context(|| format!("/status has no number at {pointer}"))
        };
        Ok(Trail {
            waiting: number("/audit/waitingRows")?,
            dropped: number("/audit/dropped")?,
            quarantined: number("/audit/quarantined")?,
        })
    }

    fn address(&self) -> SocketAddr {
        self.stack.data_plane(0).listen
    }

    // All of it was started on the proxy's core; what Postgres starts later inherits from it.
    fn leave_only_the_data_plane(&self, cores: Cores) {
        let others = [Some(self.stack.control_plane().pid), self.postgres()];
        for process in others.into_iter().flatten().flat_map(cpu::tree) {
            pin::process(process, cores.rest);
        }
    }

    // A replica learns of a new policy within a second.
    async fn wait_until_known(&self) -> anyhow::Result<()> {
        let http = Http::new(format!("http://{}", self.address()));
        let end = Instant::now() + KNOWN;
        for caller in &self.callers {
            for via in [Via::Plain, Via::Tls] {
                let call = || Call::get(caller.path(via)).bearer(&caller.token);
                while http.send(call()).await?.expect(200).is_err() && Instant::now() < end {
                    sleep(STEP).await;
                }
                http.send(call()).await?.expect(200)?;
            }
        }
        Ok(())
    }
}

const STEP: Duration = Duration::from_millis(20);
const KNOWN: Duration = Duration::from_secs(10);
const SETTLE: Duration = Duration::from_secs(60);
