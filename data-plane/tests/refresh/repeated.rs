//! A provider that does what it is asked and then refuses the token: how often it is asked.

use ah5_testkit::client::{Answer, Call};
use http::Method;
use serde_json::{Value, json};

use crate::fixture::{Fixture, GMAIL, until};

impl Fixture {
    fn asked(&self, path: &str) -> usize {
        let journal = self.provider.journal();
        journal.iter().filter(|entry| entry.path() == path).count()
    }

    /// From now on a person is asked before every call to this account.
    async fn ask_always(&self, connection: &str) {
        let listed = self.owner.get("/v1/policies").await.unwrap();
        let listed = listed.expect(200).unwrap();
        let mut policies = listed["policies"].as_array().unwrap().iter();
        let of = |policy: &&Value| policy["connectionId"] == *connection;
        let id = policies.find(of).unwrap()["id"].as_str().unwrap();
        let path = format!("/v1/policies/{id}");
        let body = json!({"stepUpApproval": "always"});
        let changed = self.owner.put(&path, &body).await.unwrap();
        changed.expect(200).unwrap();
        self.settled().await;
    }

    async fn send(&self, call: Call) -> Answer {
        self.planes[0].send(call).await.unwrap()
    }

    /// The call, as the request itself and in an envelope, where its body is held.
    fn forms(&self, connection: &str, method: &Method, path: &str) -> [Call; 2] {
        let body = if *method == Method::GET {
            Value::Null
        } else {
            json!({"n": 1})
        };
        let mut proxied = self.call(connection, method.clone(), path);
        if !body.is_null() {
            proxied = proxied.json(&body);
        }
        let url = format!("https://{GMAIL}{path}");
        let wrapped = self.agent.execute_with(connection, method, &url, &body);
        [proxied, wrapped]
    }
}

#[tokio::test]
async fn only_what_may_be_done_twice_and_is_held_is_sent_twice() {
    let fixture = Fixture::open(1).await;
    for (method, times) in [
        (Method::GET, [2, 2]),
        (Method::PUT, [1, 2]),
        (Method::DELETE, [1, 2]),
        (Method::POST, [1, 1]),
    ] {
        for (form, times) in times.into_iter().enumerate() {
            let account = fixture.account(3600).await;
            let path = format!("/gmail/{method}/{form}");
            fixture.endpoint.end_access();
            let [proxied, wrapped] = fixture.forms(&account.id, &method, &path);
            fixture
                .send(if form == 0 { proxied } else { wrapped })
                .await;
            assert_eq!(fixture.asked(&path), times, "{method} {form}");
        }
    }
}

#[tokio::test]
async fn what_a_person_approved_is_sent_once_whatever_it_is() {
    let fixture = Fixture::open(1).await;
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::POST] {
        for form in 0..2 {
            let account = fixture.account(3600).await;
            fixture.ask_always(&account.id).await;
            let path = format!("/gmail/approved/{method}/{form}");
            let forms = fixture.forms(&account.id, &method, &path);
            let offer = fixture.send(forms[form].clone()).await.expect(202).unwrap();
            let id = offer["approvalRequestId"].as_str().unwrap();
            let approve = format!("/v1/approvals/{id}/approve");
            let decided = fixture.owner.post(&approve, &json!({})).await.unwrap();
            decided.expect(200).unwrap();
            fixture.endpoint.end_access();
            let redeeming = redeeming(&forms[form], id);
            let refused = fixture.send(redeeming.clone()).await;
            // What the provider said, in the form that was asked for.
            let said = match form {
                0 => refused.status.as_u16().into(),
                _ => refused.json()["status"].clone(),
            };
            assert_eq!(said, 401, "{method}: {}", refused.text());
            assert_eq!(fixture.asked(&path), 1, "{method} {form}");
            assert_eq!(fixture.send(redeeming).await.status, 409);
            assert_eq!(fixture.asked(&path), 1, "{method} {form}");
            // What became of it is told a moment later.
            until(|| async {
                let read = fixture.owner.get(&format!("/v1/approvals/{id}")).await;
                let approval = read.unwrap().json()["approval"].clone();
                (&approval["status"], &approval["outcome"])
                    == (&json!("consumed"), &json!("executed"))
            })
            .await;
        }
    }
}

fn redeeming(call: &Call, id: &str) -> Call {
    if call.target != "/v1/vault/execute" {
        return call.clone().header("x-ah5-approval-id", id);
    }
    let mut envelope: Value = serde_json::from_slice(&call.body).unwrap();
    envelope["approvalId"] = id.into();
    call.clone().body(envelope.to_string())
}
