//! An installation for which the providers of the catalogue are a simulator. It takes a credential
//! by what is in it, wherever it stands in the request.

use std::path::Path;
use std::sync::Arc;

use ah5_harness::stack::Builder;
use ah5_testkit::client::Answer;
use ah5_testkit::simulator::{Body, Options, Received, Simulator};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Response;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{World, control_plane};

/// What providers take; a suffix may follow.
pub const GOOD: &str = "planted-good-key-0123456789";
pub const WRONG: &str = "planted-wrong-key-0123456789";
/// With these in it a provider is busy, or down.
pub const BUSY: &str = "planted-busy-key-0123456789";
pub const DOWN: &str = "planted-down-key-0123456789";
/// A provider waits with its answer until the test lets it go on.
pub const SLOW: &str = "planted-slow-key-0123456789";
pub const TELEGRAM: &str = "12345678:planted-good-key-0123456789";
pub const SLACK: &str = "xoxb-planted-good-key-0123456789";
pub const SITE: &str = "acme.atlassian.net";
pub const PERSON: &str = "ann@acme.example";

pub const HOSTS: [&str; 13] = [
    "api.airtable.com",
    "api.anthropic.com",
    "api.github.com",
    "api.notion.com",
    "api.openai.com",
    "api.stripe.com",
    "api.telegram.org",
    "api.trello.com",
    "generativelanguage.googleapis.com",
    "openrouter.ai",
    "people.googleapis.com",
    "slack.com",
    SITE,
];

pub struct Fixture {
    pub world: World,
    pub provider: Simulator,
    /// One permit lets one slow answer go.
    pub gate: Arc<Semaphore>,
}

// === impl Fixture ===

impl Fixture {
    pub async fn open() -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let provider = provider(&gate).await;
        let builder = towards(&provider, &provider.ca_file(), &[]);
        let world = World::at(Arc::new(builder.start().unwrap())).await;
        Self {
            world,
            provider,
            gate,
        }
    }

    pub async fn key(&self, service: &str, key: &str) -> Answer {
        self.connect("api-key", &body(service, key)).await
    }

    pub async fn connect(&self, kind: &str, body: &Value) -> Answer {
        let path = format!("/v1/connections/{kind}");
        self.world.post(&path, body).await
    }

    /// Connects and gives the connection's id.
    pub async fn made(&self, service: &str, key: &str) -> String {
        id(&self.key(service, key).await)
    }

    pub async fn test(&self, id: &str) -> Answer {
        let path = format!("/v1/connections/{id}/test");
        self.world.post(&path, &json!({})).await
    }

    /// As the owner sees it.
    pub async fn shown(&self, id: &str) -> Value {
        shown(&self.world, id).await
    }

    /// Until so many requests have come that a provider sits on.
    pub async fn until_held(&self, number: usize) {
        let held = |all: &[ah5_testkit::simulator::Entry]| {
            let slow = all.iter().filter(|it| {
                let mut headers = it.headers.iter();
                headers.any(|(_, value)| value.contains("planted-slow"))
            });
            slow.count() >= number
        };
        let patience = std::time::Duration::from_secs(60);
        self.provider.wait_for(patience, held).await.unwrap();
    }
}

/// Null for one that is not listed.
pub async fn shown(world: &World, id: &str) -> Value {
    let listed = world.get("/v1/connections").await.expect(200).unwrap();
    let listed = listed["connections"].as_array().unwrap().clone();
    let found = listed.into_iter().find(|it| it["id"] == id);
    found.unwrap_or_default()
}

pub fn id(answer: &Answer) -> String {
    let made = answer.expect(200).unwrap();
    made["connection"]["id"].as_str().unwrap().to_owned()
}

/// What the service's form sends.
pub fn body(service: &str, key: &str) -> Value {
    let mut body = json!({"service": service, "apiKey": key});
    match service {
        "jira" => {
            body["email"] = PERSON.into();
            body["siteUrl"] = SITE.into();
        }
        "trello" => body["appKey"] = "planted-app-key-0123456789".into(),
        _ => {}
    }
    body
}

/// With further entries of `UPSTREAM_RESOLVE`.
pub fn towards(provider: &Simulator, ca_file: &Path, more: &[String]) -> Builder {
    let hosts = HOSTS.map(|host| format!("{host}:443={}", provider.address()));
    let resolve: Vec<String> = hosts.into_iter().chain(more.iter().cloned()).collect();
    control_plane()
        .env("UPSTREAM_RESOLVE", &resolve.join(","))
        .env("UPSTREAM_CA_FILE", ca_file.to_str().unwrap())
}

pub async fn provider(gate: &Arc<Semaphore>) -> Simulator {
    let options = Options {
        names: HOSTS.map(str::to_owned).to_vec(),
        ..Options::default()
    };
    let provider = Simulator::start_with(options).await.unwrap();
    let play = |path: &str, refusal: u16, said: Value| {
        let gate = Arc::clone(gate);
        provider.on(path, move |received| {
            let (gate, said) = (Arc::clone(&gate), said.clone());
            async move { answer(&received, &gate, refusal, &said).await }
        });
    };
    play("/v1/messages", 401, json!({"type": "message"}));
    play("/v1/models", 401, json!({"data": []}));
    play("/v1beta/models", 400, json!({"models": []}));
    play("/api/v1/key", 401, json!({"data": {}}));
    play("/v1/balance", 401, json!({"object": "balance"}));
    play("/v0/meta/whoami", 401, json!({"id": "usr1"}));
    play("/user", 401, json!({"login": "octo-ann"}));
    let person = json!({"names": [{"displayName": "Ann"}]});
    play("/v1/people/me", 401, person);
    let notion = json!({"name": "Filer", "bot": {"owner": {"user": {"id": "u-1"}}}});
    play("/v1/users/me", 401, notion);
    let trello = json!({"fullName": "Ann B", "username": "annb"});
    play("/1/members/me", 401, trello);
    play(
        "/rest/api/3/myself",
        401,
        json!({"displayName": "Ann of Acme"}),
    );
    let me = json!({"ok": true, "result": {"id": 12_345_678, "username": "ah5_bot"}});
    play("/bot*", 401, me);
    let team = json!({"ok": true, "team": "Acme", "team_id": "T1", "bot_id": "B1"});
    play("/api/auth.test", 200, team);
    provider
}

async fn answer(
    received: &Received,
    gate: &Semaphore,
    refusal: u16,
    said: &Value,
) -> Response<Body> {
    let shown = shown_to(received);
    let no = json!({"ok": false, "error": "invalid_auth", "description": "Unauthorized"});
    if shown.contains("planted-slow") {
        gate.acquire().await.unwrap().forget();
    }
    match () {
        () if shown.contains("planted-busy") => with_status(429, &json!({})),
        () if shown.contains("planted-down") => with_status(503, &json!({})),
        () if shown.contains("wrong") => with_status(refusal, &no),
        () if shown.contains("planted-good") || shown.contains("planted-slow") => {
            with_status(200, said)
        }
        () => with_status(refusal, &no),
    }
}

/// Wherever a credential may stand.
fn shown_to(received: &Received) -> String {
    let headers = received.headers.values();
    let mut shown: Vec<String> = headers
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    let pair = shown.iter().find_map(|value| value.strip_prefix("Basic "));
    let pair = pair.and_then(|pair| STANDARD.decode(pair).ok());
    shown.extend(pair.and_then(|pair| String::from_utf8(pair).ok()));
    shown.push(received.target.clone());
    shown.join(" ")
}

pub fn with_status(status: u16, body: &Value) -> Response<Body> {
    let mut answer = Response::new(Body::from(body.to_string()));
    *answer.status_mut() = status.try_into().unwrap();
    answer
}

/// Neither the log nor the database has any of it in clear.
pub fn nothing_leaked(world: &World, secrets: &[&str]) {
    let (log, dump) = (world.log(), world.stack.dump().unwrap());
    for secret in secrets {
        assert!(!log.contains(secret), "in the log: {secret}");
        assert!(!dump.contains(secret), "in the database: {secret}");
    }
}
