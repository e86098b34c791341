//! The whole product with an owner, an agent and a connection to the provider simulator.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod sealed;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use ah5_harness::stack::home::DATABASE;
use ah5_harness::stack::{Builder, Stack};
use ah5_security::secret::SecretText;
use ah5_store::database::{Client, Database};
use ah5_testkit::client::{Agent, Answer, Call, Http, Owner};
use ah5_testkit::simulator::{Entry, Remote};
use http::Method;
use serde_json::{Value, json};

pub const SECRET: &str = "planted-provider-secret-0123456789";

/// Two data planes that are called directly; no front door.
pub fn two_planes() -> Builder {
    settings(Stack::builder().front_door(false))
}

/// Test files are one caller to the control plane, and they enrol many agents. They keep idle
/// connections, which a data plane would wait for.
pub fn settings(builder: Builder) -> Builder {
    let builder = builder.env("DRAIN_DEADLINE_MS", "1000");
    ["BOOTSTRAP", "TOKEN", "SIGN_IN"]
        .iter()
        .fold(builder, |builder, name| {
            builder.env(&format!("RATE_LIMIT_{name}_PER_MINUTE"), "10000")
        })
}

/// One stack for all tests that run at the same time, gone with the last of them.
pub fn shared() -> Arc<Stack> {
    shared_by(2)
}

/// The same, with so many data planes.
pub fn shared_by(planes: usize) -> Arc<Stack> {
    static SHARED: Mutex<Weak<Stack>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stack) = shared.upgrade() {
        return stack;
    }
    let stack = Arc::new(two_planes().data_planes(planes).start().unwrap());
    *shared = Arc::downgrade(&stack);
    stack
}

/// A workspace of one test.
pub struct World {
    pub stack: Arc<Stack>,
    pub control: Http,
    pub planes: Vec<Http>,
    pub provider: Remote,
    pub owner: Owner,
    pub agent: Agent,
    pub connection: String,
    /// The journal's number before this test.
    since: u64,
}

// === impl World ===

impl World {
    /// With a policy that allows everything below the base URL.
    pub async fn open() -> Self {
        let world = Self::closed(shared()).await;
        world
            .allow(&["GET", "POST", "PUT", "DELETE", "PATCH"], "/v2/**")
            .await;
        world
    }

    /// Without a policy.
    pub async fn closed(stack: Arc<Stack>) -> Self {
        let simulator = stack.simulator().unwrap();
        let base = format!("https://{}", simulator.host);
        let provider = Remote::new(&base, &simulator.ca_file).unwrap();
        let control = Http::new(format!("http://{}", stack.control_plane().listen));
        let planes = stack
            .data_planes()
            .map(|plane| Http::new(format!("http://{}", plane.listen)));
        let planes = planes.collect();
        let owner = Owner::sign_up(&control, stack.origin()).await.unwrap();
        let agent = owner.create_agent("bot").await.unwrap();
        let agent = Agent::ready(&control, stack.origin(), agent).await.unwrap();
        let connection = owner
            .connect(&format!("{base}/v2"), &json!({"kind": "bearer"}), SECRET)
            .await
            .unwrap();
        let since = provider.last().await.unwrap();
        Self {
            control,
            planes,
            provider,
            owner,
            agent,
            connection,
            since,
            stack,
        }
    }

    /// A URL at the provider.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.stack.simulator().unwrap().host)
    }

    pub fn allowlists(&self, methods: &[&str], pattern: &str) -> Value {
        json!([{"baseUrl": self.url(""), "methods": methods, "pathPatterns": [pattern]}])
    }

    /// A policy, and waits until every replica knows it.
    pub async fn allow(&self, methods: &[&str], pattern: &str) -> String {
        let lists = self.allowlists(methods, pattern);
        let policy = self
            .owner
            .allow(&self.agent.id, &self.connection, &lists)
            .await
            .unwrap();
        for plane in 0..self.planes.len() {
            self.until(|| async { !self.get_at(plane, "/known").await.contains("No policy") })
                .await;
        }
        policy
    }

    /// `GET /v1/proxy` at one of the planes.
    pub async fn get_at(&self, plane: usize, target: &str) -> Answer {
        let call = self.agent.proxy(&self.connection, Method::GET, target);
        self.planes[plane].send(call).await.unwrap()
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.get_at(0, target).await
    }

    pub async fn send(&self, call: Call) -> Answer {
        self.planes[0].send(call).await.unwrap()
    }

    /// What the provider got for this path since the test began.
    pub async fn seen(&self, path: &str) -> Vec<Entry> {
        let mut seen = self.provider.journal(self.since).await.unwrap();
        seen.retain(|entry| entry.path() == path);
        seen
    }

    /// The agent's audit rows, newest first, once there are as many.
    pub async fn audit(&self, action: &str, count: usize) -> Vec<Value> {
        let query = format!(
            "/v1/audit?limit=100&agentId={}&action={action}",
            self.agent.id
        );
        for _ in 0..PATIENCE {
            let answer = self.owner.get(&query).await.unwrap().expect(200).unwrap();
            let events = answer["events"].as_array().unwrap();
            if events.len() >= count {
                return events.clone();
            }
            tokio::time::sleep(STEP).await;
        }
        panic!("there are fewer than {count} rows of {action}");
    }

    /// As the database's own superuser.
    pub async fn database(&self) -> Client {
        let url = SecretText::new(self.stack.cluster().unwrap().url(DATABASE));
        Database::parse(&url).unwrap().connect().await.unwrap().0
    }

    /// For what no route can bring about.
    pub async fn sql(&self, sql: &str) {
        self.database().await.batch_execute(sql).await.unwrap();
    }

    /// What one whole number in the database is.
    pub async fn number(&self, sql: &str) -> i64 {
        let client = self.database().await;
        client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Asks again until it is so.
    pub async fn until<F: Future<Output = bool>>(&self, is_so: impl Fn() -> F) {
        for _ in 0..PATIENCE {
            if is_so().await {
                return;
            }
            tokio::time::sleep(STEP).await;
        }
        panic!("it did not come to that");
    }
}

/// The provider answers exactly so.
pub fn answering(world: &World, kind: &str, body: &str) -> Call {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\netag: \"1\"\r\nconnection: close\r\n\r\n{body}"
    );
    let call = world.agent.proxy(&world.connection, Method::POST, "/raw");
    call.header("content-type", "text/plain").body(text)
}

const STEP: Duration = Duration::from_millis(20);
const PATIENCE: usize = 1000;
