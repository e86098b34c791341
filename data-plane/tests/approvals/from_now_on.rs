//! "Allow this from now on": a rule made of an approval.

use ah5_testkit::client::Answer;
use http::Method;
use serde_json::{Value, json};

use crate::asking::{Asking, error};

fn message(to: &str, text: &str) -> Value {
    json!({"to": to, "text": text})
}

impl Asking {
    async fn proposal(&self, id: &str) -> Answer {
        let path = format!("/v1/approvals/{id}/rule");
        self.world.owner.get(&path).await.unwrap()
    }

    async fn accept(&self, id: &str, proposal: &Value) -> Answer {
        let path = format!("/v1/approvals/{id}/rule");
        self.world.owner.post(&path, proposal).await.unwrap()
    }

    /// The same at every data plane.
    async fn expect(&self, status: u16, path: &str, body: &Value) {
        for plane in &self.world.planes {
            let answer = plane.send(self.post(path, body)).await.unwrap();
            assert_eq!(answer.status, status, "{path} {body}: {}", answer.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_like_the_one_that_was_shown_passes_and_another_is_still_asked_about() {
    let asking = Asking::open().await;
    let id = asking.ask(&asking.path, &message("ann", "Hi")).await;
    let shown = asking.proposal(&id).await.expect(200).unwrap();
    assert_eq!(shown["open"], json!(["/text"]));
    assert_eq!(
        (&shown["position"], &shown["policyId"]),
        (&json!(0), &json!(asking.policy))
    );
    // Nobody has saved it.
    let path = &asking.path;
    asking.expect(202, path, &message("ann", "Yo")).await;
    let saved = asking.accept(&id, &shown).await.expect(200).unwrap();
    let rules = &saved["policy"]["rules"]["request"];
    assert_eq!(
        (&rules[0], &rules[1]["label"]),
        (&shown["rule"], &json!("Ask"))
    );
    asking.settled().await;
    asking.expect(200, path, &message("ann", "More")).await;
    let mut more = message("ann", "Hi");
    more["bcc"] = "eve".into();
    for other in [message("eve", "Hi"), more, json!({"text": "Hi"})] {
        asking.expect(202, path, &other).await;
    }
    let elsewhere = format!("{}/x", asking.path);
    asking.expect(202, &elsewhere, &message("ann", "Hi")).await;
    // The approval itself is for a person yet.
    assert_eq!(asking.status(&id).await.0, "pending");
    let trail = asking
        .world
        .owner
        .audit("action=policy_updated")
        .await
        .unwrap();
    assert!(
        trail
            .iter()
            .any(|row| row["metadata"]["changed"] == json!(["rules"]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_shown_is_saved_and_only_by_an_admin() {
    let asking = Asking::open().await;
    let id = asking.ask(&asking.path, &message("ann", "Hi")).await;
    let shown = asking.proposal(&id).await.expect(200).unwrap();
    let mut wider = shown.clone();
    wider["rule"]["match"]["urlPattern"] = ".*".into();
    let mut elsewhere = shown.clone();
    elsewhere["position"] = json!(1);
    for other in [wider, elsewhere] {
        let refused = asking.accept(&id, &other).await;
        let text = "This is not the rule that would be made now";
        assert_eq!(error(&refused), (409, text.into()));
    }
    let world = &asking.world;
    let path = format!("/v1/approvals/{id}/rule");
    for method in [Method::GET, Method::POST] {
        let by_agent = world.agent.call(method, &path).json(&shown);
        assert_eq!(world.control.send(by_agent).await.unwrap().status, 403);
    }
    // A rule that was made first stands first: the proposal is another one then.
    asking.accept(&id, &shown).await.expect(200).unwrap();
    let again = asking.accept(&id, &shown).await;
    let text = "No rule of this policy asks about such a call now";
    assert_eq!(error(&again), (409, text.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_rule_would_say_too_much_there_is_none() {
    let asking = Asking::open().await;
    let secret = json!({"to": "ann", "password": "hunter2-hunter2"});
    let id = asking.ask(&asking.path, &secret).await;
    let refused = asking.proposal(&id).await;
    assert_eq!(
        error(&refused),
        (409, "A secret in it would stand in the rule".into())
    );
    let id = asking.ask(&asking.path, &message("ann", "Hi")).await;
    asking.decide(&id, "deny").await;
    let refused = asking.proposal(&id).await;
    assert_eq!(error(&refused), (409, "This approval is over".into()));
}
