//! A small HTTP client, and the product's users played with it: an owner and an agent. They know
//! nothing that a stranger with the documentation would not know.

mod agent;
mod connector;
mod owner;
mod prover;
mod signer;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

pub use agent::Agent;
pub use connector::Connector;
pub use owner::{NewAgent, Owner};
pub use prover::Prover;
pub use signer::Signer;

/// Talks to one base URL. Clones share connections.
#[derive(Clone)]
pub struct Http {
    base: String,
    client: Client<Connector, Full<Bytes>>,
}

/// One request, relative to the base URL.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    /// Path and query, sent as they are.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// An answer that was read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

// === impl Http ===

impl Http {
    /// For a base URL such as `http://localhost:8080`, without a trailing slash.
    #[must_use]
    pub fn new(base: impl Into<String>) -> Self {
        Self::with(base.into(), Connector::plain())
    }

    /// For an `https://` base URL whose certificate one of these authorities issued.
    ///
    /// # Errors
    /// The text holds no certificate.
    pub fn trusting(base: impl Into<String>, ca_pem: &str) -> anyhow::Result<Self> {
        let authorities = CertificateDer::pem_slice_iter(ca_pem.as_bytes());
        let authorities = authorities.collect::<Result<Vec<_>, _>>()?;
        Ok(Self::with(base.into(), Connector::trusting(authorities)?))
    }

    /// # Errors
    /// As [`Self::trusting`], or the file can't be read.
    pub fn trusting_file(base: impl Into<String>, ca_file: &Path) -> anyhow::Result<Self> {
        let pem = std::fs::read_to_string(ca_file)
            .with_context(|| format!("cannot read {}", ca_file.display()))?;
        Self::trusting(base, &pem)
    }

    fn with(base: String, connector: Connector) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .retry_canceled_requests(false)
            .build(connector);
        Self { base, client }
    }

    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends, and reads the whole answer.
    ///
    /// # Errors
    /// No answer, not all of it within a minute, or more than 64 MiB of it.
    pub async fn send(&self, call: Call) -> anyhow::Result<Answer> {
        let what = format!("{} {}{}", call.method, self.base, call.target);
        let whole = async {
            let (head, body) = self.open(call).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?;
            anyhow::Ok(Answer {
                status: head.status,
                headers: head.headers,
                body: body.to_bytes(),
            })
        };
        tokio::time::timeout(LIMIT, whole)
            .await
            .with_context(|| format!("{what}: no answer in {LIMIT:?}"))?
            .with_context(|| what)
    }

    /// Sends, and leaves the body to the caller: for streams.
    ///
    /// # Errors
    /// No answer.
    pub async fn open(&self, call: Call) -> anyhow::Result<Response<Incoming>> {
        let uri = format!("{}{}", self.base, call.target);
        let mut request = Request::builder().method(call.method).uri(uri);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(call.body))?;
        Ok(self.client.request(request).await?)
    }
}

// === impl Call ===

impl Call {
    #[must_use]
    pub fn new(method: Method, target: impl Into<String>) -> Self {
        Self {
            method,
            target: target.into(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    #[must_use]
    pub fn get(target: impl Into<String>) -> Self {
        Self::new(Method::GET, target)
    }

    #[must_use]
    pub fn post(target: impl Into<String>) -> Self {
        Self::new(Method::POST, target)
    }

    #[must_use]
    pub fn put(target: impl Into<String>) -> Self {
        Self::new(Method::PUT, target)
    }

    #[must_use]
    pub fn delete(target: impl Into<String>) -> Self {
        Self::new(Method::DELETE, target)
    }

    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// The balancer's cookie: whoever sends the same one meets the same replica.
    #[must_use]
    pub fn sticky(self, key: &str) -> Self {
        self.header("cookie", format!("ah5sid={key}"))
    }

    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        let body = Bytes::from(body.to_string());
        self.header("content-type", "application/json").body(body)
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

// === impl Answer ===

impl Answer {
    /// `null` if it is no JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether this text is anywhere in the answer.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(text);
        holds(&self.body) || self.headers.values().any(|value| holds(value.as_bytes()))
    }

    /// The JSON of an answer that has the expected status.
    ///
    /// # Errors
    /// It has another one; the message holds the answer.
    pub fn expect(&self, status: u16) -> anyhow::Result<Value> {
        anyhow::ensure!(
            self.status == status,
            "expected {status}, got {}: {}",
            self.status.as_u16(),
            self.text()
        );
        Ok(self.json())
    }
}

const LIMIT: Duration = Duration::from_secs(60);
const MAX_ANSWER: usize = 64 << 20;
