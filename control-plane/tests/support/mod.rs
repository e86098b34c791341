//! Starts the binary and plays its users.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use ah5_harness::postgres::Cluster;
use ah5_security::secret::SecretText;
use ah5_security::token::{KeyKind, SigningKey};
use ah5_store::database::Database;

pub const ORIGIN: &str = "http://localhost:8080";
pub const SECRET: &str = "planted-provider-secret";
pub const PASSWORD: &str = "planted-password";

pub struct Plane {
    process: Child,
    folder: tempfile::TempDir,
    base: String,
    http: Client<HttpConnector, Full<bytes::Bytes>>,
    cluster: Cluster,
}

impl Plane {
    pub async fn start() -> Self {
        let cluster = Cluster::start_temporary().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ring = folder.path().join("ring.json");
        let command = |arguments: &[&str], user: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_control-plane"));
            command
                .args(arguments)
                .env_clear()
                .env("KEY_RING_FILE", &ring);
            command.env("DATABASE_URL", cluster.url_as(user, "postgres"));
            command
        };
        assert!(
            command(&["keyring", ring.to_str().unwrap()], "postgres")
                .status()
                .unwrap()
                .success()
        );
        assert!(
            command(&["migrate"], "postgres")
                .output()
                .unwrap()
                .status
                .success()
        );
        let addresses = folder.path().join("addresses.json");
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = command(&["serve"], "ah5_control_login")
            .envs([("LISTEN_ADDR", "127.0.0.1:0"), ("DRAIN_DELAY_MS", "0")])
            .env("ADDRESS_FILE", &addresses)
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let addresses = wait_for(&addresses).await;
        let base = format!("http://{}", addresses["listen"].as_str().unwrap());
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self {
            process,
            folder,
            base,
            http,
            cluster,
        }
    }

    pub async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        self.call("GET", path, &bearer(token), None).await
    }

    pub async fn post(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        self.call("POST", path, &bearer(token), Some(body)).await
    }

    pub async fn put(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        self.call("PUT", path, &bearer(token), Some(body)).await
    }

    pub async fn with_cookie(&self, path: &str, cookie: &str, origin: &str) -> (u16, Value) {
        self.call(
            "POST",
            path,
            &[("cookie", cookie), ("origin", origin)],
            None,
        )
        .await
    }

    pub async fn owner_sql(&self, sql: &str) {
        let url = SecretText::new(self.cluster.url("postgres"));
        let (client, _driver) = Database::parse(&url).unwrap().connect().await.unwrap();
        client.batch_execute(sql).await.unwrap();
    }

    /// Everything in the database, as text.
    pub fn dump(&self) -> String {
        self.cluster.dump("postgres").unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> (u16, Value) {
        let (status, _, body) = self.exchange(method, path, headers, body).await;
        (status, body)
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> (u16, http::HeaderMap, Value) {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        let response = self
            .http
            .request(request.body(Full::from(body)).unwrap())
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (
            parts.status.as_u16(),
            parts.headers,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub struct Owner {
    pub cookie: String,
    pub token: String,
}

impl Owner {
    pub async fn sign_up(plane: &Plane) -> Self {
        let email = format!("{}@example.com", uuid::Uuid::new_v4());
        let body = json!({"email": email, "password": PASSWORD, "name": "Ann"});
        assert_eq!(
            plane.post("/api/auth/sign-up/email", "", &body).await.0,
            200
        );
        let (status, headers, _) = plane
            .exchange("POST", "/api/auth/sign-in/email", &[], Some(&body))
            .await;
        assert_eq!(status, 200);
        let cookie = headers.get("set-cookie").unwrap().to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let (status, body) = plane.with_cookie("/api/auth/token", &cookie, ORIGIN).await;
        assert_eq!(status, 200, "{body}");
        Self {
            cookie,
            token: body["token"].as_str().unwrap().to_owned(),
        }
    }

    /// Connects the custom service and returns the connection's id.
    pub async fn connect(&self, plane: &Plane) -> String {
        let body = json!({
            "provider": "custom", "service": "custom-http", "label": "Example",
            "baseUrl": "https://api.example.com/v2", "auth": {"kind": "bearer"}, "apiKey": SECRET,
        });
        let (status, body) = plane
            .post("/v1/connections/api-key", &self.token, &body)
            .await;
        assert_eq!(status, 200, "{body}");
        body["connection"]["id"].as_str().unwrap().to_owned()
    }
}

pub struct Agent {
    pub id: String,
    pub bootstrap_secret: String,
    key: SigningKey,
}

impl Agent {
    pub async fn enrol(plane: &Plane, owner: &Owner) -> Self {
        let (status, created) = plane
            .post("/v1/agents", &owner.token, &json!({"name": "bot"}))
            .await;
        assert_eq!(status, 200, "{created}");
        let agent = Self {
            id: created["agent"]["id"].as_str().unwrap().to_owned(),
            bootstrap_secret: created["bootstrapSecret"].as_str().unwrap().to_owned(),
            key: SigningKey::generate(KeyKind::User),
        };
        let body =
            json!({"bootstrapSecret": agent.bootstrap_secret, "publicKey": agent.public_jwk()});
        assert_eq!(plane.post("/v1/agents/bootstrap", "", &body).await.0, 200);
        agent
    }

    pub fn public_jwk(&self) -> Value {
        self.key.public_jwk().clone()
    }

    pub async fn token(&self, plane: &Plane) -> String {
        let jti = uuid::Uuid::new_v4().to_string();
        let (status, body) = plane
            .post("/v1/agents/token", "", &self.request(60, &jti))
            .await;
        assert_eq!(status, 200, "{body}");
        body["access_token"].as_str().unwrap().to_owned()
    }

    /// A token request whose assertion lives for so many seconds from now.
    pub fn request(&self, life: i64, jti: &str) -> Value {
        let now = jiff::Timestamp::now().as_second();
        let claims = json!({"iss": self.id, "sub": self.id, "aud": ORIGIN, "iat": now, "exp": now + life, "jti": jti});
        let key = EncodingKey::from_ec_der(self.key.private().expose());
        let jws = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &key).unwrap();
        json!({
            "grant_type": "client_assertion", "client_assertion": jws,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        })
    }
}

fn bearer(token: &str) -> Vec<(&'static str, &str)> {
    if token.is_empty() {
        return Vec::new();
    }
    // Leaked once a call: a test's process is short.
    vec![("authorization", String::leak(format!("Bearer {token}")))]
}

async fn wait_for(path: &Path) -> Value {
    for _ in 0..600 {
        if let Ok(text) = std::fs::read_to_string(path) {
            return serde_json::from_str(&text).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the control plane did not become ready");
}
