//! A stand-in for the transit engine of HashiCorp Vault, by its HTTP protocol: versions of a key,
//! tokens, sealing. Its ciphertexts are handles; what they stand for never leaves it but by `decrypt`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub const TOKEN: &str = "hvs.planted-vault-token-0123456789";
pub const KEY: &str = "ah5-ring";

/// Stops when it is dropped.
pub struct Transit {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

struct State {
    /// By ciphertext.
    plain: HashMap<String, String>,
    version: u32,
    oldest: u32,
    sealed: bool,
    garbled: bool,
    calls: usize,
}

// === impl Transit ===

impl Transit {
    /// # Errors
    /// There is no port for it.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State {
            plain: HashMap::new(),
            version: 1,
            oldest: 1,
            sealed: false,
            garbled: false,
            calls: 0,
        }));
        let shared = state.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = shared.clone();
                let answer = move |request| answer(state.clone(), request);
                let serving = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(answer));
                tokio::spawn(serving);
            }
        });
        Ok(Self {
            address,
            state,
            server,
        })
    }

    /// The settings of whoever uses it.
    #[must_use]
    pub fn settings(&self) -> Vec<(String, String)> {
        [
            ("KEY_RING_KMS", "vault-transit".to_owned()),
            ("VAULT_ADDR", format!("http://{}", self.address)),
            ("VAULT_TOKEN", TOKEN.to_owned()),
            ("VAULT_TRANSIT_KEY", KEY.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    pub fn seal(&self, sealed: bool) {
        self.state().sealed = sealed;
    }

    /// Answers what nobody can read.
    pub fn garble(&self, garbled: bool) {
        self.state().garbled = garbled;
    }

    /// A new version of the key wraps from now on.
    pub fn rotate(&self) {
        self.state().version += 1;
    }

    /// Versions before the newest open nothing any more.
    pub fn forget_old_versions(&self) {
        let mut state = self.state();
        state.oldest = state.version;
    }

    #[must_use]
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for Transit {
    fn drop(&mut self) {
        self.server.abort();
    }
}

// === impl State ===

impl State {
    fn answer(&mut self, token: &str, target: &str, body: &Value) -> (u16, Value) {
        self.calls += 1;
        if self.sealed {
            return refused(503, "Vault is sealed");
        }
        if token != TOKEN {
            return refused(403, "permission denied");
        }
        let said = |name: &str| body[name].as_str().unwrap_or_default();
        match target
            .strip_prefix("/v1/transit/")
            .and_then(|it| it.split_once('/'))
        {
            Some(("encrypt", KEY)) => self.encrypt(said("plaintext")),
            Some(("decrypt", KEY)) => self.decrypt(said("ciphertext")),
            Some(("decrypt", _)) => refused(400, "encryption key not found"),
            _ => refused(404, "no handler for route"),
        }
    }

    fn encrypt(&mut self, plain: &str) -> (u16, Value) {
        if STANDARD.decode(plain).is_err() {
            return refused(400, "failed to base64-decode plaintext");
        }
        let handle = STANDARD.encode(uuid::Uuid::new_v4());
        let text = format!("vault:v{}:{handle}", self.version);
        self.plain.insert(text.clone(), plain.to_owned());
        let data = json!({"ciphertext": text, "key_version": self.version});
        (200, json!({"request_id": "r", "data": data}))
    }

    fn decrypt(&self, text: &str) -> (u16, Value) {
        let version = text
            .strip_prefix("vault:v")
            .and_then(|rest| rest.split_once(':'))
            .and_then(|(version, _)| version.parse::<u32>().ok());
        let Some(version) = version else {
            return refused(400, "invalid ciphertext: no prefix");
        };
        if version < self.oldest {
            let why = "ciphertext or signature version is disallowed by policy (too old)";
            return refused(400, why);
        }
        match self.plain.get(text) {
            Some(plain) => (
                200,
                json!({"request_id": "r", "data": {"plaintext": plain}}),
            ),
            None => refused(400, "cipher: message authentication failed"),
        }
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|it| it.to_bytes())
        .unwrap_or_default();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let token = head.headers.get("x-vault-token");
    let token = token.and_then(|it| it.to_str().ok()).unwrap_or_default();
    let mut state = lock(&state);
    let (status, said) = match head.method {
        Method::POST | Method::PUT => state.answer(token, head.uri.path(), &body),
        _ => refused(405, "unsupported operation"),
    };
    let text = if state.garbled {
        "<html>".to_owned()
    } else {
        said.to_string()
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status.try_into().unwrap_or_default();
    Ok(response)
}

fn refused(status: u16, why: &str) -> (u16, Value) {
    (status, json!({"errors": [why]}))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
