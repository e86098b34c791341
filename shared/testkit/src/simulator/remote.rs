//! The journal of a simulator in another process, over the wire.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::journal::Entry;
use super::routes;
use crate::client::{Call, Http};

pub struct Remote {
    http: Http,
}

// === impl Remote ===

impl Remote {
    /// `base` is the simulator's own base URL: `https://localhost:PORT`.
    ///
    /// # Errors
    /// The file holds no certificate.
    pub fn new(base: &str, ca_file: &Path) -> anyhow::Result<Self> {
        let http = Http::trusting_file(base, ca_file)?;
        Ok(Self { http })
    }

    /// What came after number `after`; all of it for 0.
    ///
    /// # Errors
    /// The simulator doesn't answer.
    pub async fn journal(&self, after: u64) -> anyhow::Result<Vec<Entry>> {
        let mut body = self.read(after).await?;
        serde_json::from_value(body["requests"].take()).context(NO_JOURNAL)
    }

    /// The number of the newest request: what comes from now on has a higher one.
    ///
    /// # Errors
    /// The simulator doesn't answer.
    pub async fn last(&self) -> anyhow::Result<u64> {
        let body = self.read(u64::MAX).await?;
        body["last"].as_u64().context(NO_JOURNAL)
    }

    /// # Errors
    /// The simulator doesn't answer.
    pub async fn clear(&self) -> anyhow::Result<()> {
        let answer = self.http.send(Call::delete(routes::JOURNAL)).await?;
        answer.expect(200).map(drop)
    }

    async fn read(&self, after: u64) -> anyhow::Result<Value> {
        let call = Call::get(format!("{}?after={after}", routes::JOURNAL));
        self.http.send(call).await?.expect(200)
    }
}

const NO_JOURNAL: &str = "this is no simulator's journal";
