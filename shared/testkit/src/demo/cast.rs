//! Who plays: an owner, his agent, and the provider that both talk about.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use http::Method;
use serde_json::{Value, json};

use super::run_file::RunFile;
use crate::client::{Agent, Answer, Call, Owner};
use crate::simulator::{Entry, Remote};

pub(super) struct Cast {
    pub owner: Owner,
    pub agent: Agent,
    pub connection: String,
    pub provider: Provider,
}

/// The simulator, as its customer knows it.
pub(super) struct Provider {
    /// Scheme, host and port.
    pub origin: String,
    /// What its customer must not tell the agent.
    pub secret: String,
    remote: Remote,
    /// What came up to here is of earlier times.
    since: u64,
}

// === impl Provider ===

impl Provider {
    pub(super) async fn new(run: &RunFile) -> anyhow::Result<Self> {
        let known = run.provider()?;
        let origin = format!("https://localhost:{}", known.listen.port());
        let remote = Remote::new(&origin, &known.ca_file)?;
        let since = remote.last().await;
        let since = since.context("the provider simulator does not answer; restart `make run`")?;
        Ok(Self {
            origin,
            secret: format!("demo-{}", uuid::Uuid::new_v4().simple()),
            remote,
            since,
        })
    }

    pub(super) fn base_url(&self) -> String {
        format!("{}/v2", self.origin)
    }

    /// A policy's list: these methods on everything below the base URL.
    pub(super) fn allowlists(&self, methods: &[&str]) -> Value {
        json!([{"baseUrl": self.origin, "methods": methods, "pathPatterns": ["/v2/**"]}])
    }

    /// What it was sent since the demo began.
    pub(super) async fn journal(&self) -> anyhow::Result<Vec<Entry>> {
        self.remote.journal(self.since).await
    }

    /// That the one request for this path carried the secret.
    pub(super) async fn prove_injected(&self, path: &str) -> anyhow::Result<()> {
        let mut entries = self.journal().await?;
        entries.retain(|entry| entry.path() == path);
        ensure!(
            entries.len() == 1,
            "the provider saw {path} {} times",
            entries.len()
        );
        let sent = entries[0].header("authorization");
        ensure!(
            sent == Some(&format!("Bearer {}", self.secret)),
            "the provider saw {path} without the secret"
        );
        Ok(())
    }
}

// === impl Cast ===

impl Cast {
    /// Sends a call of the agent's, to the replica that this cookie leads to, and looks for the
    /// secret in the answer.
    pub(super) async fn call(&self, call: Call, sticky: &str) -> anyhow::Result<Answer> {
        let answer = self.agent.send(call.sticky(sticky)).await?;
        ensure!(
            !answer.contains(&self.provider.secret),
            "the agent's answer holds the provider's secret"
        );
        Ok(answer)
    }

    pub(super) fn execute(&self, method: Method, path: &str) -> Call {
        let url = format!("{}{path}", self.provider.base_url());
        self.agent.execute(&self.connection, &method, &url)
    }

    pub(super) fn execute_with(&self, method: Method, path: &str, body: &Value) -> Call {
        let url = format!("{}{path}", self.provider.base_url());
        self.agent
            .execute_with(&self.connection, &method, &url, body)
    }

    pub(super) fn proxy(&self, method: Method, path: &str) -> Call {
        self.agent.proxy(&self.connection, method, path)
    }

    /// Repeats a call until it is answered with 200: replicas learn of a change within a second.
    pub(super) async fn until_allowed(
        &self,
        call: impl Fn() -> Call,
        sticky: &str,
    ) -> anyhow::Result<(Answer, Duration)> {
        let begun = Instant::now();
        loop {
            let answer = self.call(call(), sticky).await?;
            if answer.status == 200 {
                return Ok((answer, begun.elapsed()));
            }
            if begun.elapsed() > LEARNING {
                bail!("still {}: {}", answer.status, answer.text());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// A cookie of the balancer's that nobody had before.
pub(super) fn sticky() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

const LEARNING: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);
