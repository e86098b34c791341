//! A real control plane on a real PostgreSQL, and a person with a workspace who drives it over HTTP
//! as its users do. Every test opens a workspace of its own; all of them share the processes.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::{Arc, Mutex, PoisonError, Weak};

use ah5_harness::stack::home::DATABASE;
use ah5_harness::stack::{Builder, Stack};
use ah5_security::secret::SecretText;
use ah5_store::database::{Client, Database};
use ah5_testkit::client::{Agent, Answer, Call, Http, Owner};
use serde_json::{Value, json};

pub mod servers;

pub const SECRET: &str = "planted-provider-secret-0123456789";
/// Of the connections that [`World::connect`] makes.
pub const BASE_URL: &str = "https://api.example.com/v2";

/// Database and control plane. Tests are one caller to it, and they sign up and enrol a lot. They keep
/// idle connections, which it would wait for.
pub fn control_plane() -> Builder {
    let builder = Stack::builder().data_planes(0).simulator(false);
    let builder = builder.env("DRAIN_DEADLINE_MS", "1000");
    ["BOOTSTRAP", "FAILED_AUTH", "SIGN_IN", "TOKEN"]
        .iter()
        .fold(builder.front_door(false), |builder, name| {
            builder.env(&format!("RATE_LIMIT_{name}_PER_MINUTE"), "100000")
        })
}

/// One stack for all tests that run at the same time, gone with the last of them.
pub fn shared() -> Arc<Stack> {
    static SHARED: Mutex<Weak<Stack>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stack) = shared.upgrade() {
        return stack;
    }
    let stack = Arc::new(control_plane().start().unwrap());
    *shared = Arc::downgrade(&stack);
    stack
}

/// A workspace of one test, and its owner.
pub struct World {
    pub http: Http,
    pub owner: Owner,
    // The last: it must outlive whatever talks to it.
    pub stack: Arc<Stack>,
}

// === impl World ===

impl World {
    pub async fn open() -> Self {
        Self::at(shared()).await
    }

    /// At a stack of the test's own, with settings that others must not see.
    pub async fn at(stack: Arc<Stack>) -> Self {
        let http = Http::new(format!("http://{}", stack.control_plane().listen));
        let owner = Owner::sign_up(&http, stack.origin()).await.unwrap();
        Self { http, owner, stack }
    }

    /// Another person with another workspace at the same installation.
    pub async fn stranger(&self) -> Owner {
        Owner::sign_up(&self.http, self.stack.origin())
            .await
            .unwrap()
    }

    /// Somebody who joins the owner's workspace in this role and is in it now.
    pub async fn member(&self, role: &str) -> Owner {
        let mut person = self.stranger().await;
        self.prove(&person).await;
        let body = json!({"email": person.email, "role": role});
        let invited = self.post("/v1/workspaces/current/invitations", &body).await;
        let invited = invited.expect(201).unwrap();
        let id = invited["invitation"]["id"].as_str().unwrap();
        let path = format!("/v1/invitations/{id}/accept");
        let joined = person.post(&path, &json!({})).await.unwrap();
        let joined = joined.expect(200).unwrap();
        let workspace = joined["workspaceId"].as_str().unwrap();
        person.switch(workspace).await.unwrap();
        person
    }

    /// As if the person had opened the link in the verification mail.
    pub async fn prove(&self, person: &Owner) {
        let email = &person.email;
        let proven = "update ah5.t_users set email_verification = 'proven' where email";
        self.sql(&format!("{proven} = '{email}'")).await;
    }

    /// A new agent of the owner's that is enrolled and holds a token.
    pub async fn agent(&self) -> Agent {
        let made = self.owner.create_agent("bot").await.unwrap();
        Agent::ready(&self.http, self.stack.origin(), made)
            .await
            .unwrap()
    }

    /// Connects the custom service and returns the connection's id.
    pub async fn connect(&self) -> String {
        let bearer = json!({"kind": "bearer"});
        self.owner.connect(BASE_URL, &bearer, SECRET).await.unwrap()
    }

    /// A connection to any service at all, for what does not call it.
    pub async fn connect_to(&self, service: &str, provider: &str, scopes: &[&str]) -> String {
        let id = self.connect().await;
        let scopes = scopes.join(",");
        self.sql(&format!(
            "update ah5.t_connections set service = '{service}', provider = '{provider}',
                    granted_scopes = '{{{scopes}}}' where id = '{id}'"
        ))
        .await;
        id
    }

    /// As the owner.
    pub async fn get(&self, path: &str) -> Answer {
        self.owner.get(path).await.unwrap()
    }

    /// As the owner.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.owner.post(path, body).await.unwrap()
    }

    /// As the owner.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.owner.put(path, body).await.unwrap()
    }

    /// As whoever the call says.
    pub async fn send(&self, call: Call) -> Answer {
        self.http.send(call).await.unwrap()
    }

    /// What this workspace's trail has, newest first.
    pub async fn audit(&self, query: &str) -> Vec<Value> {
        self.owner.audit(query).await.unwrap()
    }

    /// As the database's own superuser: for what no route can bring about.
    pub async fn sql(&self, sql: &str) {
        let client = at_database(&self.stack).await;
        client.batch_execute(sql).await.unwrap();
    }

    /// Everything that the control plane has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.stack.logs().join("control-plane.log")).unwrap()
    }
}

/// The database's own superuser.
pub async fn at_database(stack: &Stack) -> Client {
    let url = SecretText::new(stack.cluster().unwrap().url(DATABASE));
    Database::parse(&url).unwrap().connect().await.unwrap().0
}

/// Status and JSON at once.
pub fn of(answer: &Answer) -> (u16, Value) {
    (answer.status.as_u16(), answer.json())
}

/// The text of `error`; empty if there is none.
pub fn error(answer: &Answer) -> String {
    answer.json()["error"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}
