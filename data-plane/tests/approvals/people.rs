//! Who sees an approval and who decides it, and what they are shown.

use std::time::Duration;

use ah5_testkit::client::{Agent, Call, Owner};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::asking::{Asking, error};

#[tokio::test(flavor = "multi_thread")]
async fn only_a_member_who_is_signed_in_decides() {
    let asking = Asking::open().await;
    let world = &asking.world;
    let id = asking.ask(&asking.path, &json!({"n": 1})).await;
    let read = format!("/v1/approvals/{id}");
    let scopes = json!(["approvals:read", "approvals:write", "*"]);
    let made = world
        .owner
        .post("/v1/tokens", &json!({"name": "t", "scopes": scopes}))
        .await;
    let made = made.unwrap().expect(200).unwrap();
    let personal = made["plainToken"].as_str().unwrap();
    let stranger = Owner::sign_up(&world.control, world.stack.origin())
        .await
        .unwrap();
    for verb in ["approve", "deny"] {
        let path = format!("{read}/{verb}");
        let by_agent = world.agent.call(Method::POST, &path);
        assert_eq!(world.control.send(by_agent).await.unwrap().status, 403);
        let by_token = Call::post(&path).bearer(personal);
        assert_eq!(world.control.send(by_token).await.unwrap().status, 403);
        let by_stranger = stranger.post(&path, &json!({})).await.unwrap();
        assert_eq!(
            error(&by_stranger),
            (404, "Approval request not found".into())
        );
    }
    let rule = format!("{read}/rule");
    for path in [&read, &rule] {
        assert_eq!(stranger.get(path).await.unwrap().status, 404);
    }
    let other = json!({"rule": {}, "position": 0});
    let saved = stranger.post(&rule, &other).await.unwrap();
    assert_eq!(saved.status, 404);
    let listed = stranger
        .get("/v1/approvals")
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    assert_eq!(listed["approvals"], json!([]));
    // Another agent of the same workspace sees nothing of it, its own agent no more than its state.
    let other = world.owner.create_agent("other").await.unwrap();
    let other = Agent::ready(&world.control, world.stack.origin(), other)
        .await
        .unwrap();
    let by_other = other.send(other.call(Method::GET, &read)).await.unwrap();
    assert_eq!(by_other.status, 404);
    let own = world.agent.call(Method::GET, &read);
    let own = world.agent.send(own).await.unwrap().expect(200).unwrap();
    assert_eq!(own["approval"]["status"], "pending");
    assert!(own["approval"].get("preview").is_none());
    assert_eq!(asking.status(&id).await.0, "pending");
    let trail = world.owner.audit("action=approval_approved").await.unwrap();
    assert!(trail.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_decisions_at_once_one_stands() {
    let asking = Asking::open().await;
    for n in 0..8 {
        let id = asking.ask(&asking.path, &json!({"n": n})).await;
        let path = |verb: &str| format!("/v1/approvals/{id}/{verb}");
        let (approve, deny) = (path("approve"), path("deny"));
        let nothing = json!({});
        let owner = &asking.world.owner;
        let (approved, denied) =
            tokio::join!(owner.post(&approve, &nothing), owner.post(&deny, &nothing));
        let mut statuses = [approved.unwrap().status, denied.unwrap().status].map(|s| s.as_u16());
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_what_is_sent_and_goes_when_it_is_over() {
    let asking = Asking::open().await;
    let mail = "To: a@x.example\r\nBcc: hidden@evil.example\r\nSubject: Hi\r\n\r\nSee you.";
    let body = json!({"raw": URL_SAFE_NO_PAD.encode(mail), "password": "planted-word-7"});
    let path = &format!("{}?x=1&x=2", asking.path);
    let id = asking.ask(path, &body).await;
    let preview = |answer: Value| answer["approval"]["preview"].clone();
    let read = format!("/v1/approvals/{id}");
    let owner = &asking.world.owner;
    let shown = preview(owner.get(&read).await.unwrap().expect(200).unwrap());
    assert_eq!(shown["method"], "POST");
    assert_eq!(shown["url"], asking.world.url(&asking.path));
    assert_eq!(shown["query"].as_array().unwrap().len(), 2);
    assert_eq!(shown["mails"][0]["recipients"][1], "hidden@evil.example");
    assert!(!shown.to_string().contains("planted-word-7"));
    // At rest it is sealed.
    let dump = asking.world.stack.dump().unwrap();
    assert!(!dump.contains("planted-word-7") && !dump.contains(&URL_SAFE_NO_PAD.encode(mail)));
    asking.decide(&id, "approve").await;
    assert!(preview(owner.get(&read).await.unwrap().json()).is_object());
    assert_eq!(asking.redeem(path, &body, &id).await.status, 200);
    asking
        .world
        .until(|| async { preview(owner.get(&read).await.unwrap().json()).is_null() })
        .await;
    // The agent has other rows, from when the policy was waited for.
    asking
        .world
        .until(|| async {
            let rows = asking.world.audit("execution_completed", 1).await;
            let redeemed = |row: &Value| row["metadata"]["approvalRequestId"] == *id;
            rows.iter().any(redeemed)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_waits_hears_of_the_decision() {
    let asking = Asking::open().await;
    let id = asking.ask(&asking.path, &json!({"n": 1})).await;
    let agent = &asking.world.agent;
    let wait = agent.call(Method::GET, &format!("/v1/approvals/{id}?wait=20"));
    let (answer, ()) = tokio::join!(agent.send(wait), asking.decide(&id, "approve"));
    let answer = answer.unwrap().expect(200).unwrap();
    assert_eq!(answer["approval"]["status"], "approved");
    // Whoever does not want to wait is answered at once.
    let other = asking.ask(&asking.path, &json!({"n": 2})).await;
    let look = agent.call(Method::GET, &format!("/v1/approvals/{other}?wait=0"));
    let begun = Instant::now();
    let answer = timeout(Duration::from_secs(10), agent.send(look))
        .await
        .unwrap();
    assert_eq!(answer.unwrap().json()["approval"]["status"], "pending");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_decides_in_time_expires_and_is_told_of() {
    let asking = Asking::open().await;
    let id = asking.ask(&asking.path, &json!({"n": 1})).await;
    let over = "update ah5.t_approval_requests set expires_at = now() where id";
    asking.world.sql(&format!("{over} = '{id}'")).await;
    assert_eq!(asking.status(&id).await.0, "expired");
    let path = format!("/v1/approvals/{id}/approve");
    let late = asking.world.owner.post(&path, &json!({})).await.unwrap();
    assert_eq!(error(&late), (410, "Approval request has expired".into()));
    let told = asking.world.audit("approval_expired", 1).await;
    assert_eq!(told[0]["metadata"]["approvalRequestId"], *id);
    // The question may be put again.
    assert_ne!(asking.ask(&asking.path, &json!({"n": 1})).await, id);
}
