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
        let call = Call::get(format!("{}?after={after}", routes::JOURNAL));
        let mut body: Value = self.http.send(call).await?.expect(200)?;
        serde_json::from_value(body["requests"].take()).context("this is no simulator's journal")
    }

    /// # Errors
    /// The simulator doesn't answer.
    pub async fn clear(&self) -> anyhow::Result<()> {
        let answer = self.http.send(Call::delete(routes::JOURNAL)).await?;
        answer.expect(200).map(drop)
    }
}
