//! Answers that response rules can't filter, in the forms that pass them on as they come: refused in words
//! while nothing is out yet.

use ah5_testkit::client::Call;
use http::Method;
use serde_json::{Value, json};

use crate::change;
use crate::support::{self, World, answering};

/// The envelope with `raw` set, for what the provider is told to answer.
fn raw(world: &World, form: &str, kind: &str, body: &str) -> Call {
    let (method, url) = (Method::POST, world.url("/v2/raw"));
    let call = world
        .agent
        .execute_with(&world.connection, &method, &url, &Value::Null);
    let mut envelope: Value = serde_json::from_slice(&call.body).unwrap();
    envelope[form] = true.into();
    let answer = answering(world, kind, body).body;
    envelope["body"] = String::from_utf8(answer.to_vec()).unwrap().into();
    world
        .agent
        .call(Method::POST, "/v1/vault/execute")
        .json(&envelope)
}

async fn ruled(filter: Value) -> World {
    let world = World::closed(support::shared()).await;
    let policy = world.allow(&["GET", "POST"], "/v2/**").await;
    let rules = json!({"request": [], "response": [{"match": {}, "filter": filter}]});
    change(&world, &policy, &json!({"rules": rules})).await;
    world
}

const MAIL: &str = "ann@private.example";

#[tokio::test]
async fn what_cannot_be_filtered_from_its_beginning_is_refused_in_words() {
    let fields = ruled(json!({"denyFields": ["secret"]})).await;
    let words = ruled(json!({"redact": [{"type": "email"}]})).await;
    let binary = format!("\u{1}\u{2}\u{0}{MAIL}");
    let large = format!("{{\"m\": \"{MAIL}\", \"x\": \"{}\"}}", "x".repeat(2 << 20));
    let events = format!("data: {{\"m\": \"{MAIL}\"}}\n\n").repeat(50_000);
    for (world, kind, body) in [
        (&fields, "text/plain", MAIL),
        (&fields, "text/html; charset=utf-8", MAIL),
        (&words, "image/png", &binary),
        (&words, "text/plain", &binary),
        (&words, "application/x-ndjson", &format!("{{{MAIL}\n")),
        (&words, "application/json", &format!("{{\"m\": \"{MAIL}\"")),
        // What has to be held to its end, and is too long for that.
        (&words, "text/plain", &large),
        (&words, "text/event-stream", &events),
    ] {
        let forms = ["download", "stream"].map(|form| raw(world, form, kind, body));
        let proxied = answering(world, kind, body);
        for call in forms.into_iter().chain([proxied]) {
            let answer = world.send(call).await;
            let refusal = answer.expect(403).unwrap();
            let error = refusal["error"].as_str().unwrap();
            assert!(error.contains("cannot be filtered"), "{kind}: {refusal}");
            assert_eq!(answer.header("x-ah5-source"), Some("gateway"), "{kind}");
            assert!(refusal["auditId"].is_string(), "{kind}: {refusal}");
            assert!(!answer.contains(MAIL), "{kind}");
        }
    }
}

/// What was waited for is not lost, nor is what comes after it.
#[tokio::test]
async fn what_can_be_filtered_comes_whole() {
    let world = ruled(json!({"redact": [{"type": "email"}]})).await;
    let text = format!("from {MAIL} {}", "and so on ".repeat(20_000));
    let lines = format!("{{\"m\":\"{MAIL}\"}}\n").repeat(3);
    for (kind, body) in [
        ("text/plain", text.as_str()),
        ("text/plain", ""),
        ("text/plain", "x"),
        ("application/x-ndjson", &lines),
    ] {
        for form in ["download", "stream"] {
            let answer = world.send(raw(&world, form, kind, body)).await;
            assert_eq!(answer.status, 200, "{kind}: {}", answer.text());
            assert_eq!(answer.text(), body.replace(MAIL, "[REDACTED]"), "{kind}");
        }
    }
}
