//! A connection by OAuth whose token can be had, and who asks for it.

use std::sync::Arc;
use std::time::Duration;

use ah5_harness::stack::Stack;
use ah5_testkit::client::{Agent, Answer};
use http::Method;
use serde_json::{Value, json};

use crate::support::sealed::{Sealed, insert};
use crate::support::{self, World};

pub const TOKEN: &str = "ya29.access-token-0123456789abcdef";
const GMAIL: &str = "https://gmail.googleapis.com/";
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// A world with a connection by OAuth whose token is good for so long.
pub struct Gmail {
    pub world: World,
    pub id: String,
}

// === impl Gmail ===

impl Gmail {
    pub async fn good_for(expires_in: Option<i64>) -> Self {
        Self::at(support::shared(), expires_in).await
    }

    pub async fn at(stack: Arc<Stack>, expires_in: Option<i64>) -> Self {
        let world = World::closed(stack).await;
        let new = Sealed {
            service: "google-gmail",
            base_url: GMAIL,
            secret: TOKEN,
            token_url: Some(TOKEN_URL),
            expires_in,
            ..Sealed::default()
        };
        let id = insert(&world, new).await;
        Self { world, id }
    }

    pub async fn policy(&self, changes: &Value) -> Answer {
        let mut policy = json!({
            "agentId": self.world.agent.id, "connectionId": self.id, "allowedModels": ["A", "B"],
            "defaultMode": "read_write", "stepUpApproval": "never",
            "allowlists": [{
                "baseUrl": "https://gmail.googleapis.com", "pathPatterns": ["/**"],
                "methods": ["GET", "POST", "PUT", "DELETE", "PATCH"],
            }],
        });
        for (name, value) in changes.as_object().unwrap() {
            policy[name] = value.clone();
        }
        let owner = &self.world.owner;
        owner.post("/v1/policies", &policy).await.unwrap()
    }

    /// Turns something on; the replicas learn it in their own time.
    pub async fn allow(&self, what: &Value) {
        let path = "/v1/workspaces/current/vending";
        let answer = self.world.owner.put(path, what).await.unwrap();
        answer.expect(200).unwrap();
    }

    /// Until the replica knows everything that is so now: who comes with the token of an agent that is
    /// new has the workspace read anew.
    pub async fn settled(&self) {
        let world = &self.world;
        let made = world.owner.create_agent("news").await.unwrap();
        let news = Agent::ready(&world.control, world.stack.origin(), made).await;
        let news = news.unwrap();
        let nowhere = uuid::Uuid::new_v4().to_string();
        world
            .until(|| async {
                let call = news.proxy(&nowhere, Method::GET, "/");
                world.send(call).await.status == 404
            })
            .await;
    }

    pub async fn ask(&self) -> Answer {
        let body = json!({"model": "A", "connectionId": self.id});
        let call = self.world.agent.call(Method::POST, "/v1/vault/execute");
        self.world.send(call.json(&body)).await
    }

    /// The one that is given is the one that ends the waiting.
    pub async fn ask_for_one(&self) -> Value {
        for _ in 0..1000 {
            let answer = self.ask().await;
            if answer.status == 200 {
                return answer.json();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("none is given");
    }

    pub async fn ask_until(&self, status: u16) -> Answer {
        self.world
            .until(|| async { self.ask().await.status == status })
            .await;
        self.ask().await
    }
}

pub fn said(answer: &Answer) -> (u16, String, String) {
    let json = answer.json();
    let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), text("error"), text("hint"))
}

pub async fn personal(world: &World, scopes: &[&str]) -> String {
    let body = json!({"name": "t", "scopes": scopes});
    let made = world.owner.post("/v1/tokens", &body).await.unwrap();
    let made = made.expect(200).unwrap();
    made["plainToken"].as_str().unwrap().to_owned()
}
