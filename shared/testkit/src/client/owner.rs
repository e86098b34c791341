//! A person with a workspace: signs up, connects accounts, writes policies, reads the trail.

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};

use super::{Answer, Call, Http};

pub struct Owner {
    pub email: String,
    pub password: String,
    /// `NAME=VALUE` of the session's cookie.
    pub cookie: String,
    /// The user token; it lives for five minutes: see [`Owner::renew`].
    pub token: String,
    http: Http,
    origin: String,
}

/// An agent that its owner has just made.
#[derive(Clone, Debug)]
pub struct NewAgent {
    pub id: String,
    pub bootstrap_secret: String,
}

// === impl Owner ===

impl Owner {
    /// A new person under a fresh address, signed in. `origin` is the installation's public one,
    /// which need not be where `http` connects to.
    ///
    /// # Errors
    /// A step was refused.
    pub async fn sign_up(http: &Http, origin: &str) -> anyhow::Result<Self> {
        let email = format!("{}@example.com", uuid::Uuid::new_v4());
        let password = uuid::Uuid::new_v4().to_string();
        let body = json!({"email": email, "password": password, "name": "Ann"});
        let call = Call::post("/api/auth/sign-up/email").header("origin", origin);
        http.send(call.json(&body)).await?.expect(200)?;
        Self::sign_in(http, origin, &email, &password).await
    }

    /// # Errors
    /// A step was refused.
    pub async fn sign_in(
        http: &Http,
        origin: &str,
        email: &str,
        password: &str,
    ) -> anyhow::Result<Self> {
        let body = json!({"email": email, "password": password});
        let call = Call::post("/api/auth/sign-in/email").header("origin", origin);
        let answer = http.send(call.json(&body)).await?;
        answer.expect(200)?;
        let mut owner = Self {
            email: email.to_owned(),
            password: password.to_owned(),
            cookie: session_cookie(&answer).context("signing in set no session cookie")?,
            token: String::new(),
            http: http.clone(),
            origin: origin.to_owned(),
        };
        owner.renew().await?;
        Ok(owner)
    }

    /// Exchanges the session for a new user token.
    ///
    /// # Errors
    /// The session has ended.
    pub async fn renew(&mut self) -> anyhow::Result<()> {
        let body = self
            .with_cookie("/api/auth/token")
            .await?
            .expect(200)
            .context("the session gave no token")?;
        self.token = text(&body, "/token")?;
        Ok(())
    }

    /// Switches to another workspace that the person belongs to.
    ///
    /// # Errors
    /// The person has no place in it.
    pub async fn switch(&mut self, workspace: &str) -> anyhow::Result<()> {
        let call = Call::post("/api/auth/token").header("cookie", &self.cookie);
        let call = call.header("origin", &self.origin);
        let call = call.json(&json!({"workspaceId": workspace}));
        self.token = text(&self.http.send(call).await?.expect(200)?, "/token")?;
        Ok(())
    }

    /// POST as a browser does that holds the session.
    ///
    /// # Errors
    /// No answer.
    pub async fn with_cookie(&self, path: &str) -> anyhow::Result<Answer> {
        let call = Call::post(path).header("cookie", &self.cookie);
        self.http.send(call.header("origin", &self.origin)).await
    }

    /// # Errors
    /// No answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.http.send(Call::get(path).bearer(&self.token)).await
    }

    /// # Errors
    /// No answer.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.change(Method::POST, path, body).await
    }

    /// # Errors
    /// No answer.
    pub async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.change(Method::PUT, path, body).await
    }

    /// # Errors
    /// No answer.
    pub async fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.http.send(Call::delete(path).bearer(&self.token)).await
    }

    /// # Errors
    /// Refused.
    pub async fn create_agent(&self, name: &str) -> anyhow::Result<NewAgent> {
        let made = self.post("/v1/agents", &json!({"name": name})).await?;
        let made = made.expect(200)?;
        Ok(NewAgent {
            id: text(&made, "/agent/id")?,
            bootstrap_secret: text(&made, "/bootstrapSecret")?,
        })
    }

    /// Connects the custom HTTP service and returns the connection's id. `auth` is
    /// `{"kind": "bearer"}` or another slot for the secret.
    ///
    /// # Errors
    /// Refused.
    pub async fn connect(
        &self,
        base_url: &str,
        auth: &Value,
        secret: &str,
    ) -> anyhow::Result<String> {
        let body = json!({
            "provider": "custom", "service": "custom-http", "label": "Custom service",
            "baseUrl": base_url, "auth": auth, "apiKey": secret,
        });
        let made = self.post("/v1/connections/api-key", &body).await?;
        text(&made.expect(200)?, "/connection/id")
    }

    /// A policy that lets the agent do what `allowlists` names, without approvals, and returns its
    /// id.
    ///
    /// # Errors
    /// Refused.
    pub async fn allow(
        &self,
        agent: &str,
        connection: &str,
        allowlists: &Value,
    ) -> anyhow::Result<String> {
        let body = json!({
            "agentId": agent, "connectionId": connection, "defaultMode": "read_write",
            "stepUpApproval": "never", "allowlists": allowlists,
        });
        let made = self.post("/v1/policies", &body).await?;
        text(&made.expect(201)?, "/policy/id")
    }

    /// # Errors
    /// Refused.
    pub async fn set_allowlists(&self, policy: &str, allowlists: &Value) -> anyhow::Result<()> {
        let path = format!("/v1/policies/{policy}/allowlists");
        let answer = self.put(&path, &json!({"allowlists": allowlists})).await?;
        answer.expect(200).map(drop)
    }

    /// # Errors
    /// Refused.
    pub async fn disable(&self, agent: &str) -> anyhow::Result<()> {
        let path = format!("/v1/agents/{agent}/disable");
        self.post(&path, &json!({})).await?.expect(200).map(drop)
    }

    /// # Errors
    /// Refused.
    pub async fn enable(&self, agent: &str) -> anyhow::Result<()> {
        let path = format!("/v1/agents/{agent}/enable");
        self.post(&path, &json!({})).await?.expect(200).map(drop)
    }

    /// # Errors
    /// Refused.
    pub async fn revoke(&self, connection: &str) -> anyhow::Result<()> {
        let path = format!("/v1/connections/{connection}/revoke");
        self.post(&path, &json!({})).await?.expect(200).map(drop)
    }

    /// The lines of the trail, newest first, whatever their number; `query` may narrow them
    /// (`action=…`).
    ///
    /// # Errors
    /// Refused.
    pub async fn audit(&self, query: &str) -> anyhow::Result<Vec<Value>> {
        let mut events = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/audit?limit=200&{query}{cursor}");
            let mut page = self.get(&path).await?.expect(200)?;
            match page["events"].take() {
                Value::Array(more) => events.extend(more),
                other => anyhow::bail!("the trail is no list: {other}"),
            }
            let Some(next) = page["nextCursor"].as_str() else {
                return Ok(events);
            };
            cursor = format!("&cursor={next}");
        }
    }

    async fn change(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let call = Call::new(method, path).bearer(&self.token);
        self.http.send(call.json(body)).await
    }
}

fn session_cookie(answer: &Answer) -> Option<String> {
    let cookies = answer.headers.get_all("set-cookie").iter();
    let mut cookies = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
    let session = cookies.find(|pair| pair.contains("session_token="))?;
    Some(session.to_owned())
}

/// The text at this JSON pointer.
pub(super) fn text(body: &Value, pointer: &str) -> anyhow::Result<String> {
    let found = body.pointer(pointer).and_then(Value::as_str);
    found
        .map(str::to_owned)
        .with_context(|| format!("the answer has no text at {pointer}"))
}
