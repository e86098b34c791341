//! A workspace with a key at every provider.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ah5_harness::stack::Stack;
use ah5_testkit::client::{Answer, Call};
use ah5_testkit::simulator::Entry;
use http::Method;
use serde_json::{Value, json};

use crate::support::sealed::{Sealed, insert};
use crate::support::{self, World};

const OPENAI: &str = "api.openai.com";
const ANTHROPIC: &str = "api.anthropic.com";
const GEMINI: &str = "generativelanguage.googleapis.com";
const OPENROUTER: &str = "openrouter.ai";

const PROVIDERS: [(&str, &str); 4] = [
    ("openai", OPENAI),
    ("anthropic-messages", ANTHROPIC),
    ("gemini", GEMINI),
    ("openrouter", OPENROUTER),
];

fn stack() -> Arc<Stack> {
    static SHARED: Mutex<Weak<Stack>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stack) = shared.upgrade() {
        return stack;
    }
    let hosts = PROVIDERS.map(|(_, host)| host);
    let stack = Arc::new(support::two_planes().plays(&hosts).start().unwrap());
    *shared = Arc::downgrade(&stack);
    stack
}

/// A world with a key at every provider. Models of the name "forbidden" are denied, those of the name
/// "risky" need a person.
pub struct Models {
    pub world: World,
    /// The providers' key.
    pub key: String,
    pub ids: HashMap<&'static str, String>,
    pub policies: HashMap<&'static str, String>,
}

// === impl Models ===

impl Models {
    pub async fn open() -> Self {
        Self::with(&json!([])).await
    }

    /// With response rules.
    pub async fn with(response: &Value) -> Self {
        let world = World::closed(stack()).await;
        let key = format!("sk-planted-{}", world.agent.id);
        let (mut ids, mut policies) = (HashMap::new(), HashMap::new());
        for (service, host) in PROVIDERS {
            let new = Sealed {
                service,
                base_url: &format!("https://{host}/"),
                secret: &key,
                ..Sealed::default()
            };
            let id = insert(&world, new).await;
            let policy = Self::allow(&world, &id, host, response).await;
            policies.insert(service, policy);
            ids.insert(service, id);
        }
        let models = Self {
            world,
            key,
            ids,
            policies,
        };
        models.settle().await;
        models
    }

    /// Waits until every replica has what was written last: a connection made after it is unknown to a
    /// snapshot from before.
    pub async fn settle(&self) {
        let world = &self.world;
        let (base, auth) = (world.url("/v2"), json!({"kind": "bearer"}));
        let later = world.owner.connect(&base, &auth, support::SECRET).await;
        let call = world.agent.proxy(&later.unwrap(), Method::GET, "/x");
        for plane in &world.planes {
            let knows = || async { plane.send(call.clone()).await.unwrap().status == 403 };
            world.until(knows).await;
        }
    }

    /// Replaces a part of a provider's policy.
    pub async fn change(&self, service: &str, part: &str, body: &Value) {
        let path = format!("/v1/policies/{}/{part}", self.policies[service]);
        let written = self.world.owner.put(&path, body).await.unwrap();
        written.expect(200).unwrap();
        self.settle().await;
    }

    async fn allow(world: &World, connection: &str, host: &str, response: &Value) -> String {
        let policy = json!({
            "agentId": world.agent.id, "connectionId": connection, "defaultMode": "read_write",
            "stepUpApproval": "never",
            "allowlists": [{
                "baseUrl": format!("https://{host}"), "methods": ["GET", "POST"],
                "pathPatterns": ["/**"],
            }],
            "rules": rules(response),
        });
        let made = world.owner.post("/v1/policies", &policy).await.unwrap();
        let made = made.expect(201).unwrap();
        made["policy"]["id"].as_str().unwrap().to_owned()
    }

    pub fn call(&self, method: Method, rest: &str) -> Call {
        let path = format!("/v1/vault/llm/{rest}");
        self.world.agent.call(method, &path)
    }

    /// Sends it to the first replica.
    pub async fn ask(&self, rest: &str, body: &Value) -> Answer {
        let call = self.call(Method::POST, rest).json(body);
        self.world.send(call).await
    }

    /// What a provider got for this path.
    pub async fn seen(&self, path: &str) -> Vec<Entry> {
        let mut seen = self.world.seen(path).await;
        // Other tests ask the same simulator.
        seen.retain(|entry| entry.contains(&self.key));
        seen
    }

    pub fn base(&self) -> String {
        let plane = self.world.stack.data_planes().next().unwrap();
        format!("http://{}/v1/vault/llm", plane.listen)
    }

    pub async fn usage(&self, service: &str, count: usize) -> Vec<Value> {
        let rows = self.world.audit("execution_completed", count).await;
        let of = |row: &&Value| row["connectionId"] == *self.ids[service];
        let used = rows.iter().filter(of);
        used.filter_map(|row| row["metadata"].get("usage").cloned())
            .collect()
    }
}

/// By the model's name, which is in the body or in the path.
fn rules(response: &Value) -> Value {
    let named = |word: &str, action: &str| {
        let body = json!([{"path": "model", "op": "contains", "value": word}]);
        let path = format!("/models/{word}");
        [
            json!({"label": word, "action": action, "match": {"methods": ["POST"], "body": body}}),
            json!({"label": word, "action": action, "match": {"urlPattern": path}}),
        ]
    };
    let all = [
        named("forbidden", "deny"),
        named("risky", "require_approval"),
    ];
    json!({"request": all.concat(), "response": response})
}
