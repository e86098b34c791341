//! Policies with rules at a running data plane: what is judged by its body, what is replaced in it,
//! and what is taken out of the answer.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use ah5_testkit::client::Call;
use http::Method;
use serde_json::{Value, json};
use support::{World, answering};

/// A world whose one policy has these rules, known to the first data plane.
async fn ruled(request: Value, response: Value) -> World {
    let world = World::closed(support::shared()).await;
    let policy = world.allow(&["GET", "POST", "PATCH"], "/v2/**").await;
    let rules = json!({"request": request, "response": response});
    change(&world, &policy, "rules", &json!({"rules": rules})).await;
    world
}

/// Waits until the first data plane has the change: the policy's version is in every row.
async fn change(world: &World, policy: &str, part: &str, body: &Value) {
    let path = format!("/v1/policies/{policy}/{part}");
    world
        .owner
        .put(&path, body)
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    // A connection made after the change is unknown to a snapshot from before it.
    let base = world.url("/v2");
    let auth = json!({"kind": "bearer"});
    let later = world
        .owner
        .connect(&base, &auth, support::SECRET)
        .await
        .unwrap();
    let call = world.agent.proxy(&later, Method::GET, "/x");
    world.send(call).await.expect(403).unwrap();
}

#[tokio::test]
async fn a_rule_that_reads_bodies_judges_every_form_of_call() {
    let deny = json!([{
        "label": "no external mail", "action": "deny",
        "match": {"methods": ["POST"], "body": [{"path": "to", "op": "contains", "value": "@evil"}]},
    }]);
    let world = ruled(deny, json!([])).await;
    let url = world.url("/v2/echo/mail");
    let (good, bad) = (json!({"to": "a@good.test"}), json!({"to": "a@evil.test"}));
    let execute = |body: &Value| {
        world
            .agent
            .execute_with(&world.connection, &Method::POST, &url, body)
    };
    assert_eq!(world.send(execute(&good)).await.status, 200);
    let refused = world.send(execute(&bad)).await.expect(403).unwrap();
    assert!(
        refused.to_string().contains("no external mail"),
        "{refused}"
    );
    let proxy = |kind: &str, body: &str| {
        let call = world
            .agent
            .proxy(&world.connection, Method::POST, "/echo/mail");
        call.header("content-type", kind).body(body.to_owned())
    };
    let json = "application/json";
    assert_eq!(world.send(proxy(json, &good.to_string())).await.status, 200);
    for (kind, body) in [
        (json, bad.to_string()),
        (
            json,
            r#"{"to":"a@good.test","to":"a@evil.test"}"#.to_owned(),
        ),
        (json, r#"{"to":"a@\u0065vil.test"}"#.to_owned()),
        (json, "{\"to\":".to_owned()),
        (
            "application/x-www-form-urlencoded",
            "to=a%40evil.test".to_owned(),
        ),
        ("application/octet-stream", bad.to_string()),
        ("text/plain", bad.to_string()),
    ] {
        let answer = world.send(proxy(kind, &body)).await;
        assert_eq!(answer.status, 403, "{kind} {body}: {}", answer.text());
    }
    let seen = world.seen("/v2/echo/mail").await;
    assert_eq!(seen.len(), 2);
    assert!(!seen.iter().any(|entry| entry.contains("evil")));
}

#[tokio::test]
async fn personal_data_is_replaced_before_it_is_sent() {
    let redact = json!([{
        "label": "no card numbers", "action": "redact", "match": {"methods": ["POST"]},
        "redactConfig": {"fields": ["text"], "types": [{"type": "credit_card"}]},
    }]);
    let world = ruled(redact, json!([])).await;
    let url = world.url("/v2/echo/card");
    let body = json!({"text": "pay with 4111 1111 1111 1111 now", "n": 1});
    let call = world
        .agent
        .execute_with(&world.connection, &Method::POST, &url, &body);
    let answer = world.send(call).await.expect(200).unwrap();
    assert_eq!(answer["piiRedacted"], true);
    assert_eq!(answer["redactions"][0]["count"], 1);
    let proxied = world
        .agent
        .proxy(&world.connection, Method::POST, "/echo/card");
    assert_eq!(world.send(proxied.json(&body)).await.status, 200);
    let seen = world.seen("/v2/echo/card").await;
    assert_eq!(seen.len(), 2);
    for entry in seen {
        assert!(!entry.contains("4111") && entry.contains("[PII_REDACTED:credit_card]"));
        let length = entry
            .header("content-length")
            .unwrap()
            .parse::<u64>()
            .unwrap();
        assert_eq!(length, entry.body_length);
    }
}

#[tokio::test]
async fn fields_and_personal_data_are_taken_out_of_answers() {
    let filter = json!([{
        "label": "less", "match": {"methods": ["POST"]},
        "filter": {"denyFields": ["secret"], "redact": [{"type": "email"}]},
    }]);
    let world = ruled(json!([]), filter).await;
    let body = r#"{"keep": 1.00, "secret": "s3", "list": [{"secret": 2, "mail": "a@b.example"}]}"#;
    let answer = world
        .send(answering(&world, "application/json", body))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    assert!(
        text.contains("\"keep\": 1.00") && !text.contains("secret"),
        "{text}"
    );
    assert!(
        !text.contains("a@b.example") && text.contains("[REDACTED]"),
        "{text}"
    );
    assert_eq!(answer.header("etag"), None);
    assert_eq!(answer.header("x-ah5-source"), Some("provider"));

    let events = "data: {\"m\":\"a@b.example\",\"secret\":1}\r\n\r\ndata: [DONE]\n\n";
    let answer = world
        .send(answering(&world, "text/event-stream", events))
        .await;
    assert!(
        !answer.contains("a@b.example") && !answer.contains("secret"),
        "{}",
        answer.text()
    );
    assert!(answer.contains("[DONE]"));
    let lines = "{\"m\":\"a@b.example\"}\n{\"m\":\"x\"}\n";
    let answer = world
        .send(answering(&world, "application/x-ndjson", lines))
        .await;
    assert!(
        !answer.contains("a@b.example") && answer.contains("\"x\""),
        "{}",
        answer.text()
    );
}

/// What the provider is told to answer, asked for with one of the envelope's wishes.
fn wishing(world: &World, wish: &str, kind: &str, body: &str) -> Call {
    let length = body.len();
    let raw = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let mut envelope = json!({
        "model": "B", "connectionId": world.connection, "method": "POST",
        "url": world.url("/v2/raw"), "body": raw,
    });
    envelope[wish] = true.into();
    let call = world.agent.call(Method::POST, "/v1/vault/execute");
    call.json(&envelope)
}

const WISHES: [&str; 3] = ["download", "requestFullFields", "stream"];

/// Its agent chooses how an answer comes, and not what is in it.
#[tokio::test]
async fn no_form_of_a_call_takes_a_rule_off_its_answer() {
    let filter = json!([{
        "label": "less", "match": {},
        "filter": {"denyFields": ["secret"], "redact": [{"type": "email"}]},
    }]);
    let world = ruled(json!([]), filter).await;
    let body = r#"{"keep": 1.00, "secret": "planted-word", "mail": "a@b.example"}"#;
    for kind in [
        "application/json",
        "application/hal+json; charset=utf-8",
        "text/plain",
    ] {
        for wish in WISHES {
            let answer = world.send(wishing(&world, wish, kind, body)).await;
            let text = answer.text();
            assert!(
                !text.contains("planted-word") && !text.contains("a@b.example"),
                "{wish} {kind}: {text}"
            );
            // A policy that knows of no such wish denies it.
            let status = if wish == "requestFullFields" {
                403
            } else {
                200
            };
            assert_eq!(answer.status, status, "{wish} {kind}: {text}");
            assert_eq!(
                status == 200,
                text.contains("[REDACTED]"),
                "{wish} {kind}: {text}"
            );
        }
    }
}

/// A piece of JSON is no JSON, and nothing could be taken out of it.
#[tokio::test]
async fn an_answer_too_large_for_its_rules_is_not_cut_to_size() {
    let filter = json!([{
        "label": "less", "match": {}, "filter": {"redact": [{"type": "email"}]},
    }]);
    let world = World::closed(support::shared()).await;
    let policy = world.allow(&["GET", "POST"], "/v2/**").await;
    let rules = json!({"rules": {"request": [], "response": filter}});
    change(&world, &policy, "rules", &rules).await;
    let limits = json!({"rateLimits": {"maxRequestsPerHour": 1000, "maxResponseSizeBytes": 1000}});
    change(&world, &policy, "rate-limits", &limits).await;
    let body = json!({"mail": "a@b.example", "more": "x".repeat(2000)}).to_string();
    for wish in ["download", "none", "stream"] {
        let call = wishing(&world, wish, "application/json", &body);
        // Where the head has left already, the answer breaks off.
        if let Ok(answer) = world.planes[0].send(call).await {
            assert_eq!(answer.status, 502, "{wish}: {}", answer.text());
            assert!(!answer.contains("a@b.example"), "{wish}: {}", answer.text());
        }
    }
    let short = json!({"mail": "a@b.example"}).to_string();
    let answer = world
        .send(wishing(&world, "none", "application/json", &short))
        .await;
    assert!(
        answer
            .expect(200)
            .unwrap()
            .to_string()
            .contains("[REDACTED]")
    );
}

#[tokio::test]
async fn what_a_rule_should_filter_and_cannot_stays_here() {
    let filter = |on: Option<&str>| {
        let mut rule = json!({
            "label": "less", "match": {"methods": ["POST"]}, "filter": {"redact": [{"type": "email"}]},
        });
        if let Some(on) = on {
            rule["onUnfilterable"] = on.into();
        }
        json!([rule])
    };
    let world = ruled(json!([]), filter(None)).await;
    for (kind, body) in [
        ("application/json", "{\"m\": \"a@b.example\""),
        ("image/png", "\u{1}\u{2}\u{0}binary"),
    ] {
        let answer = world.send(answering(&world, kind, body)).await;
        assert_eq!(answer.status, 403, "{kind}: {}", answer.text());
        let body = answer.json();
        assert!(
            body["error"]
                .as_str()
                .unwrap()
                .contains("cannot be filtered"),
            "{body}"
        );
        assert!(!answer.contains("a@b.example") && body["auditId"].is_string());
    }
    let partial =
        "HTTP/1.1 206 Partial Content\r\ncontent-type: text/plain\r\ncontent-length: 1\r\n\r\na";
    let call = world.agent.proxy(&world.connection, Method::POST, "/raw");
    let call = call
        .header("content-type", "text/plain")
        .header("range", "bytes=0-0");
    world.send(call.body(partial)).await.expect(502).unwrap();
    let seen = world.seen("/v2/raw").await;
    assert!(seen.iter().all(|entry| entry.header("range").is_none()));

    let world = ruled(json!([]), filter(Some("pass"))).await;
    let answer = world
        .send(answering(&world, "image/png", "\u{1}\u{2}\u{0}binary"))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn outside_of_its_hours_nothing_passes() {
    let world = World::closed(support::shared()).await;
    let policy = world.allow(&["GET"], "/v2/**").await;
    let never = json!([{"dayOfWeek": 0, "startHour": 0, "endHour": 0, "timezone": "UTC"}]);
    change(
        &world,
        &policy,
        "time-windows",
        &json!({"timeWindows": never}),
    )
    .await;
    let refused = world.get("/count/hours").await.expect(403).unwrap();
    assert!(
        refused["error"].as_str().unwrap().contains("time windows"),
        "{refused}"
    );
    change(&world, &policy, "time-windows", &json!({"timeWindows": []})).await;
    assert_eq!(world.get("/count/hours").await.status, 200);
    assert_eq!(world.seen("/v2/count/hours").await.len(), 1);
}

#[tokio::test]
async fn a_stream_judged_by_its_body_outlives_a_change_that_allows_it_still() {
    let deny = json!([{
        "label": "none", "action": "deny", "match": {"body": [{"path": "x", "op": "exists"}]},
    }]);
    let world = ruled(deny, json!([])).await;
    let call = world.agent.proxy(
        &world.connection,
        Method::POST,
        "/sse?events=20&interval=50",
    );
    let call = call.json(&json!({"y": 1}));
    let answer = world.planes[0].open(call).await.unwrap();
    assert_eq!(answer.status(), 200);
    // Another connection: the workspace changes, this call is allowed as before.
    let auth = json!({"kind": "bearer"});
    world
        .owner
        .connect(&world.url("/v2"), &auth, support::SECRET)
        .await
        .unwrap();
    let whole = http_body_util::BodyExt::collect(answer.into_body())
        .await
        .unwrap()
        .to_bytes();
    assert_eq!(whole.windows(5).filter(|w| w == b"data:").count(), 20);
}

#[tokio::test]
async fn an_account_of_another_organisation_is_refused() {
    let world = World::closed(support::shared()).await;
    let policy = world.allow(&["GET"], "/v2/**").await;
    // What the provider says of an account when it is connected there.
    let sql =
        r#"update ah5.t_connections set provider = 'microsoft', metadata = '{"tenantId": "T9"}'"#;
    let sql = format!("{sql} where id = '{}'", world.connection);
    world.sql(&sql).await;
    let only = |tenant: &str| json!({"providerConstraints": {"provider": "microsoft", "allowedTenantIds": [tenant]}});
    change(&world, &policy, "provider-constraints", &only("T1")).await;
    let refused = world.get("/tenant").await.expect(403).unwrap();
    assert!(refused.to_string().contains("Tenant ID T9"), "{refused}");
    change(&world, &policy, "provider-constraints", &only("T9")).await;
    assert_eq!(world.get("/tenant").await.status, 200);
    assert_eq!(world.seen("/v2/tenant").await.len(), 1);
}
