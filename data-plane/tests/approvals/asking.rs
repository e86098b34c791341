//! A workspace whose policy asks before every POST, and what its agent and its people do there.

use ah5_testkit::client::{Answer, Call};
use http::Method;
use serde_json::{Value, json};

use crate::support::{self, World};

/// A world in which every write is asked for.
pub struct Asking {
    pub world: World,
    pub policy: String,
    /// Of an order at the provider, which all tests share: nobody else's.
    pub path: String,
}

impl Asking {
    pub async fn open() -> Self {
        let world = World::closed(support::shared_by(3)).await;
        let policy = world
            .allow(&["GET", "POST", "PUT", "DELETE"], "/v2/**")
            .await;
        let path = format!("/v2/echo/{}", world.agent.id);
        let asking = Self {
            world,
            policy,
            path,
        };
        let rule =
            json!([{"label": "Ask", "match": {"methods": ["POST"]}, "action": "require_approval"}]);
        asking.rules(&rule).await;
        asking
    }

    pub async fn rules(&self, request: &Value) {
        let world = &self.world;
        let body = json!({"rules": {"request": request, "response": []}});
        let path = format!("/v1/policies/{}/rules", self.policy);
        let answer = world.owner.put(&path, &body).await.unwrap();
        answer.expect(200).unwrap();
        self.settled().await;
    }

    /// Waits until every data plane has all changes so far: a connection made after them is unknown
    /// before.
    pub async fn settled(&self) {
        let world = &self.world;
        let base = world.url("/v2");
        let auth = json!({"kind": "bearer"});
        let later = world.owner.connect(&base, &auth, support::SECRET).await;
        let later = later.unwrap();
        for plane in &world.planes {
            let call = world.agent.proxy(&later, Method::GET, "/x");
            plane.send(call).await.unwrap().expect(403).unwrap();
        }
    }

    pub fn post(&self, path: &str, body: &Value) -> Call {
        let url = self.world.url(path);
        let agent = &self.world.agent;
        agent.execute_with(&self.world.connection, &Method::POST, &url, body)
    }

    /// The same by the other form of call.
    pub fn proxied(&self, query: &str) -> Call {
        let target = self.path.strip_prefix("/v2").unwrap();
        let target = format!("{target}{query}");
        let agent = &self.world.agent;
        agent.proxy(&self.world.connection, Method::POST, &target)
    }

    pub async fn ask(&self, path: &str, body: &Value) -> String {
        asked(&self.world.send(self.post(path, body)).await)
    }

    /// With members of the envelope added or changed.
    pub fn again(&self, path: &str, body: &Value, id: &str, changes: &Value) -> Call {
        let call = self.post(path, body);
        let mut envelope: Value = serde_json::from_slice(&call.body).unwrap();
        envelope["approvalId"] = id.into();
        for (name, value) in changes.as_object().unwrap() {
            envelope[name] = value.clone();
        }
        let agent = &self.world.agent;
        agent
            .call(Method::POST, "/v1/vault/execute")
            .json(&envelope)
    }

    pub async fn redeem(&self, path: &str, body: &Value, id: &str) -> Answer {
        let call = self.again(path, body, id, &json!({}));
        self.world.send(call).await
    }

    pub async fn decide(&self, id: &str, verb: &str) {
        let path = format!("/v1/approvals/{id}/{verb}");
        let answer = self.world.owner.post(&path, &json!({})).await.unwrap();
        answer.expect(200).unwrap();
    }

    pub async fn status(&self, id: &str) -> (String, Value) {
        let path = format!("/v1/approvals/{id}");
        let answer = self.world.owner.get(&path).await.unwrap();
        let approval = answer.expect(200).unwrap()["approval"].clone();
        let status = approval["status"].as_str().unwrap().to_owned();
        (status, approval["outcome"].clone())
    }
}

pub fn asked(answer: &Answer) -> String {
    let offer = answer.expect(202).unwrap();
    assert_eq!(offer["approvalRequired"], true, "{offer}");
    offer["approvalRequestId"].as_str().unwrap().to_owned()
}

pub fn error(answer: &Answer) -> (u16, String) {
    let error = answer.json()["error"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (answer.status.as_u16(), error)
}
