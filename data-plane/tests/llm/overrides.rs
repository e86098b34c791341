//! Limits of models that are used up: people are asked, and may let each count twice for an hour.

use ah5_testkit::client::{Answer, Call};
use http::Method;
use serde_json::{Value, json};

use crate::models::Models;

const CHAT: &str = "openai/chat/completions";

impl Models {
    async fn limited(limits: &Value) -> Self {
        let models = Self::open().await;
        let body = json!({ "rateLimits": limits });
        models.change("openai", "rate-limits", &body).await;
        models
    }

    async fn decide(&self, id: &str, verb: &str) {
        let path = format!("/v1/approvals/{id}/{verb}");
        let answer = self.world.owner.post(&path, &json!({})).await.unwrap();
        answer.expect(200).unwrap();
    }

    fn executed(&self, body: &Value) -> Call {
        let url = "https://api.openai.com/v1/chat/completions";
        let agent = &self.world.agent;
        agent.execute_with(&self.ids["openai"], &Method::POST, url, body)
    }

    async fn sent(&self) -> usize {
        self.seen("/v1/chat/completions").await.len()
    }
}

fn chat(model: &str) -> Value {
    json!({"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "emit:x "}]})
}

fn question(answer: &Answer) -> Option<String> {
    let id = answer.header("x-agenthifive-approval-request-id");
    id.map(str::to_owned)
}

#[tokio::test]
async fn people_may_let_an_hour_count_twice() {
    let models = Models::limited(&json!({"maxRequestsPerHour": 2})).await;
    let body = chat("m");
    for _ in 0..2 {
        assert_eq!(models.ask(CHAT, &body).await.status, 200);
    }
    // A provider's client is told as the provider would tell it.
    let refused = models.ask(CHAT, &body).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
    assert!(refused.header("retry-after").is_some());
    let id = question(&refused).unwrap();
    let message = refused.json()["error"]["message"].to_string();
    assert!(message.contains(&id), "{message}");
    // Who knows us waits as for any approval, at whatever replica: for the same one.
    let offer = models.world.planes[1].send(models.executed(&body)).await;
    let offer = offer.unwrap().expect(202).unwrap();
    assert_eq!(offer["approvalRequestId"], id);
    assert_eq!(offer["approvalRequired"], true);
    assert_eq!(offer["reason"], "Rate limit exceeded (2/2 per hour)");
    let hint = offer["hint"].as_str().unwrap();
    assert!(hint.starts_with("Rate limit budget exceeded."), "{hint}");
    let path = format!("/v1/approvals/{id}");
    let shown = models.world.owner.get(&path).await.unwrap();
    let shown = shown.expect(200).unwrap()["approval"].clone();
    let details = &shown["requestDetails"];
    assert_eq!(details["type"], "rate_limit_override");
    assert_eq!(details["limitName"], "requests_hour");
    assert_eq!(
        (&details["limit"], &details["currentCount"]),
        (&json!(2), &json!(2))
    );
    let is_told = || async {
        let list = models.world.owner.get("/v1/notifications").await.unwrap();
        list.text().contains("needs budget override")
    };
    models.world.until(is_told).await;
    // An agent lifts nothing itself.
    let call = models
        .world
        .agent
        .call(Method::POST, &format!("{path}/approve"));
    let refused = models.world.agent.send(call.json(&json!({}))).await;
    assert_eq!(refused.unwrap().status, 403);
    assert_eq!(models.sent().await, 2);
    models.decide(&id, "approve").await;
    for _ in 0..2 {
        assert_eq!(models.ask(CHAT, &body).await.status, 200);
    }
    // It counts twice, not without end, and nobody is asked for more meanwhile.
    let refused = models.ask(CHAT, &body).await;
    assert_eq!((refused.status.as_u16(), question(&refused)), (429, None));
    let plain = models.world.send(models.executed(&body)).await;
    assert_eq!(plain.status, 429, "{}", plain.text());
    assert_eq!(models.sent().await, 4);
}

#[tokio::test]
async fn a_limit_is_lifted_as_it_was_shown_and_may_be_taken_back() {
    let models = Models::limited(&json!({"maxRequestsPerHour": 1})).await;
    let body = chat("m");
    assert_eq!(models.ask(CHAT, &body).await.status, 200);
    let id = question(&models.ask(CHAT, &body).await).unwrap();
    models.decide(&id, "approve").await;
    // Another limit needs another word.
    let more = json!({"rateLimits": {"maxRequestsPerHour": 3}});
    models.change("openai", "rate-limits", &more).await;
    for _ in 0..2 {
        assert_eq!(models.ask(CHAT, &body).await.status, 200);
    }
    let other = question(&models.ask(CHAT, &body).await).unwrap();
    assert_ne!(other, id);
    models.decide(&other, "approve").await;
    assert_eq!(models.ask(CHAT, &body).await.status, 200);
    models.decide(&other, "deny").await;
    let refused = models.ask(CHAT, &body).await;
    assert_eq!((refused.status.as_u16(), question(&refused)), (429, None));
    assert_eq!(models.sent().await, 4);
}

#[tokio::test]
async fn after_a_denial_nobody_is_asked_again() {
    let models = Models::limited(&json!({"maxRequestsPerHour": 1})).await;
    let body = chat("m");
    assert_eq!(models.ask(CHAT, &body).await.status, 200);
    let id = question(&models.ask(CHAT, &body).await).unwrap();
    models.decide(&id, "deny").await;
    for _ in 0..3 {
        let refused = models.ask(CHAT, &body).await;
        assert_eq!((refused.status.as_u16(), question(&refused)), (429, None));
    }
    // An hour later.
    let over = format!(
        "update ah5.t_approval_requests set expires_at = now() - interval '1 second' where id = '{id}'"
    );
    models.world.sql(&over).await;
    let next = question(&models.ask(CHAT, &body).await).unwrap();
    assert_ne!(next, id);
    assert_eq!(models.sent().await, 1);
}

#[tokio::test]
async fn no_kind_of_approval_stands_for_another() {
    let models =
        Models::limited(&json!({"maxRequestsPerHour": 1, "maxTokensPerHour": 100_000})).await;
    assert_eq!(models.ask(CHAT, &chat("m")).await.status, 200);
    let lifts = question(&models.ask(CHAT, &chat("m")).await).unwrap();
    models.decide(&lifts, "approve").await;
    // What lifts a limit approves no call.
    let call = models.call(Method::POST, CHAT).json(&chat("risky"));
    let redeemed = models
        .world
        .send(call.clone().header("x-ah5-approval-id", &lifts))
        .await;
    assert_eq!(redeemed.status, 403, "{}", redeemed.text());
    assert!(redeemed.contains("Approval does not match this request"));
    // An approved call lifts no limit: it waits, and is good later.
    let asked = models.world.send(call.clone()).await;
    let approved = question(&asked).unwrap();
    models.decide(&approved, "approve").await;
    assert_eq!(models.ask(CHAT, &chat("m")).await.status, 200);
    let redeem = || {
        models
            .world
            .send(call.clone().header("x-ah5-approval-id", &approved))
    };
    let held = redeem().await;
    assert_eq!(held.status, 429, "{}", held.text());
    // Nor does one limit's approval lift another.
    let limits = json!({"rateLimits": {"maxTokensPerHour": 2_600}});
    models.change("openai", "rate-limits", &limits).await;
    let spent = format!(
        "update ah5.t_budget_spans set used = 2000 where policy_id = '{}'",
        models.policies["openai"]
    );
    models.world.sql(&spent).await;
    let refused = models.ask(CHAT, &chat("m")).await;
    let tokens = question(&refused).unwrap();
    assert_ne!(tokens, lifts);
    assert_eq!(models.sent().await, 2);
    models.decide(&tokens, "approve").await;
    assert_eq!(redeem().await.status, 200);
    assert_eq!(models.sent().await, 3);
}
