//! An agent: holds an ES256 key that it made itself, and gets tokens with it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

use super::owner::text;
use super::{Answer, Call, Http, NewAgent};

pub struct Agent {
    pub id: String,
    /// Empty before the first [`Agent::renew`].
    pub token: String,
    pub bootstrap_secret: String,
    http: Http,
    /// Whom its assertions are for: the installation's public origin.
    audience: String,
    key: KeyPair,
}

// === impl Agent ===

impl Agent {
    /// With a key of its own that nobody knows yet.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn new(http: &Http, origin: &str, made: NewAgent) -> anyhow::Result<Self> {
        Ok(Self {
            id: made.id,
            token: String::new(),
            bootstrap_secret: made.bootstrap_secret,
            http: http.clone(),
            audience: origin.to_owned(),
            key: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
        })
    }

    /// A new agent that is enrolled and holds a token.
    ///
    /// # Errors
    /// A step was refused.
    pub async fn ready(http: &Http, origin: &str, made: NewAgent) -> anyhow::Result<Self> {
        let mut agent = Self::new(http, origin, made)?;
        agent.enrol().await?.expect(200)?;
        agent.renew().await?;
        Ok(agent)
    }

    /// The public half of its key (RFC 7517).
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        // An uncompressed point: 4, then the two coordinates of 32 bytes each (SEC 1 §2.3.3).
        let point = self.key.public_key_raw();
        let coordinate = |range: std::ops::Range<usize>| {
            URL_SAFE_NO_PAD.encode(point.get(range).unwrap_or_default())
        };
        json!({"kty": "EC", "crv": "P-256", "x": coordinate(1..33), "y": coordinate(33..65)})
    }

    /// Trades the bootstrap secret for its key's registration.
    ///
    /// # Errors
    /// No answer.
    pub async fn enrol(&self) -> anyhow::Result<Answer> {
        let body =
            json!({"bootstrapSecret": self.bootstrap_secret, "publicKey": self.public_jwk()});
        let call = Call::post("/v1/agents/bootstrap").json(&body);
        self.http.send(call).await
    }

    /// Gets a new token.
    ///
    /// # Errors
    /// Refused.
    pub async fn renew(&mut self) -> anyhow::Result<()> {
        let jti = uuid::Uuid::new_v4().to_string();
        let answer = self.ask_token(&self.token_request(60, &jti)?).await?;
        self.token = text(&answer.expect(200)?, "/access_token")?;
        Ok(())
    }

    /// # Errors
    /// No answer.
    pub async fn ask_token(&self, request: &Value) -> anyhow::Result<Answer> {
        let call = Call::post("/v1/agents/token").json(request);
        self.http.send(call).await
    }

    /// A token request whose assertion lives for so many seconds from now.
    ///
    /// # Errors
    /// The key can't sign.
    pub fn token_request(&self, life: i64, jti: &str) -> anyhow::Result<Value> {
        let now = Timestamp::now().as_second();
        let claims = json!({
            "iss": self.id, "sub": self.id, "aud": self.audience,
            "iat": now, "exp": now + life, "jti": jti,
        });
        let key = EncodingKey::from_ec_der(self.key.serialized_der());
        let assertion = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &key)?;
        Ok(json!({
            "grant_type": "client_assertion", "client_assertion": assertion,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        }))
    }

    /// `POST /v1/vault/execute` with a body that says what the provider is to be asked.
    #[must_use]
    pub fn execute(&self, connection: &str, method: &Method, url: &str) -> Call {
        self.execute_with(connection, method, url, &Value::Null)
    }

    /// With a body for the provider; none for `null`.
    #[must_use]
    pub fn execute_with(&self, connection: &str, method: &Method, url: &str, body: &Value) -> Call {
        let mut envelope = json!({
            "model": "B", "connectionId": connection, "method": method.as_str(), "url": url,
        });
        if !body.is_null() {
            envelope["body"] = body.clone();
        }
        self.call(Method::POST, "/v1/vault/execute").json(&envelope)
    }

    /// The provider's request as the request itself; `target` is path and query below the
    /// connection's base URL, with a leading slash.
    #[must_use]
    pub fn proxy(&self, connection: &str, method: Method, target: &str) -> Call {
        self.call(method, &format!("/v1/proxy/{connection}{target}"))
    }

    /// Any call with its token.
    #[must_use]
    pub fn call(&self, method: Method, target: &str) -> Call {
        Call::new(method, target).bearer(&self.token)
    }

    /// # Errors
    /// No answer.
    pub async fn send(&self, call: Call) -> anyhow::Result<Answer> {
        self.http.send(call).await
    }
}
