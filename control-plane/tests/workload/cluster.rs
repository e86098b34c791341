//! An issuer of tokens like those of Kubernetes, which counts who asks for its keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use ah5_testkit::client::Signer;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::{Value, json};

pub const SUBJECT: &str = "system:serviceaccount:shop:buyer";

/// A cluster that signs service-account tokens, and says which keys it does that with.
pub struct Cluster {
    pub issuer: String,
    pub signer: Signer,
    told: Arc<Told>,
}

struct Told {
    issuer: String,
    jwk: Value,
    is_down: AtomicBool,
    asked: AtomicU32,
}

impl Cluster {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let signer = Signer::new().unwrap();
        let mut jwk = signer.public_jwk();
        jwk["kid"] = "k1".into();
        let told = Arc::new(Told {
            issuer: issuer.clone(),
            jwk,
            is_down: AtomicBool::new(false),
            asked: AtomicU32::new(0),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/openid/v1/jwks", get(keys))
            .with_state(told.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        Self {
            issuer,
            signer,
            told,
        }
    }

    pub fn claims(&self, audience: &str) -> Value {
        let now = jiff::Timestamp::now().as_second();
        json!({
            "iss": self.issuer, "sub": SUBJECT, "aud": [audience], "iat": now, "nbf": now,
            "exp": now + 600, "jti": uuid::Uuid::new_v4(),
            "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "buyer"}},
        })
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as("k1", claims)
    }

    pub fn sign_as(&self, kid: &str, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "kid": kid});
        self.signer.sign(&header, claims).unwrap()
    }

    pub fn asked(&self) -> u32 {
        self.told.asked.load(Ordering::Relaxed)
    }

    pub fn go_down(&self) {
        self.told.is_down.store(true, Ordering::Relaxed);
    }
}

async fn discovery(State(told): State<Arc<Told>>) -> Result<String, StatusCode> {
    told.answer(&json!({
        "issuer": told.issuer, "jwks_uri": format!("{}/openid/v1/jwks", told.issuer),
    }))
}

async fn keys(State(told): State<Arc<Told>>) -> Result<String, StatusCode> {
    told.answer(&json!({"keys": [told.jwk]}))
}

impl Told {
    fn answer(&self, body: &Value) -> Result<String, StatusCode> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.is_down.load(Ordering::Relaxed) {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        Ok(body.to_string())
    }
}
