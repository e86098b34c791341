//! An agent: holds an ES256 key that it made itself, and gets tokens with it.

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::owner::text;
use super::prover::Prover;
use super::signer::Signer;
use super::{Answer, Call, Http, NewAgent};

pub struct Agent {
    pub id: String,
    /// Empty before the first [`Agent::renew`].
    pub token: String,
    pub bootstrap_secret: String,
    http: Http,
    /// Whom its assertions are for: the installation's public origin.
    audience: String,
    key: Signer,
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
            key: Signer::new()?,
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
        self.key.public_jwk()
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

    /// Gets a new token that is bound to the prover's key.
    ///
    /// # Errors
    /// Refused.
    pub async fn renew_bound(&mut self, prover: &mut Prover) -> anyhow::Result<()> {
        let jti = uuid::Uuid::new_v4().to_string();
        let call = Call::post(TOKEN).json(&self.token_request(60, &jti)?);
        let answer = prover.send(&self.http, call, None).await?.expect(200)?;
        anyhow::ensure!(answer["token_type"] == "DPoP", "not bound: {answer}");
        self.token = text(&answer, "/access_token")?;
        Ok(())
    }

    /// # Errors
    /// No answer.
    pub async fn ask_token(&self, request: &Value) -> anyhow::Result<Answer> {
        let call = Call::post(TOKEN).json(request);
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
        let header = json!({"alg": "ES256", "typ": "JWT"});
        let assertion = self.key.sign(&header, &claims)?;
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

const TOKEN: &str = "/v1/agents/token";
