//! Agents' calls at a running data plane, with a real database and a provider over TLS.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use ah5_testkit::client::Call;
use http::Method;
use serde_json::json;
use support::{SECRET, World};

#[tokio::test]
async fn the_provider_gets_the_credential_and_the_agent_never_does() {
    let world = World::open().await;
    let url = world.url("/v2/echo/x?a=1&omit=");
    let body = json!({"text": "é", "number": 1});
    let call = world
        .agent
        .execute_with(&world.connection, &Method::POST, &url, &body);
    let answer = world.send(call).await;
    let envelope = answer.expect(200).unwrap();
    assert_eq!(
        (&envelope["model"], &envelope["status"]),
        (&json!("B"), &json!(200))
    );
    assert!(!answer.contains(SECRET));
    assert_eq!(
        answer.header("x-ah5-audit-id"),
        envelope["auditId"].as_str()
    );

    let proxied = world.get("/echo/y?omit=").await;
    proxied.expect(200).unwrap();
    assert!(!proxied.contains(SECRET));
    assert_eq!(proxied.header("x-ah5-source"), Some("provider"));

    let seen = world.seen("/v2/echo/x").await;
    assert_eq!(seen.len(), 1);
    assert_eq!(
        seen[0].header("authorization"),
        Some(&*format!("Bearer {SECRET}"))
    );
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    assert_eq!(seen[0].body, body.to_string());
    assert!(!seen[0].contains(&world.agent.token));
    assert!(!world.seen("/v2/echo/y").await[0].contains(&world.agent.token));
}

#[tokio::test]
async fn each_kind_of_slot_is_filled() {
    let world = World::open().await;
    let base = world.url("/v2");
    for (auth, header, value) in [
        (
            json!({"kind": "header", "name": "X-Key"}),
            "x-key",
            SECRET.to_owned(),
        ),
        (
            json!({"kind": "basic", "username": "u"}),
            "authorization",
            "Basic dTpwbGFudGVkLXByb3ZpZGVyLXNlY3JldC0wMTIzNDU2Nzg5".to_owned(),
        ),
        (json!({"kind": "query", "name": "key"}), "", String::new()),
    ] {
        let connection = world.owner.connect(&base, &auth, SECRET).await.unwrap();
        let lists = world.allowlists(&["GET"], "/v2/**");
        world
            .owner
            .allow(&world.agent.id, &connection, &lists)
            .await
            .unwrap();
        let path = format!("/echo/{}?omit=", auth["kind"].as_str().unwrap());
        let call = world.agent.proxy(&connection, Method::GET, &path);
        world
            .until(|| async { world.send(call.clone()).await.status == 200 })
            .await;
        let answer = world.send(call.clone()).await;
        assert!(!answer.contains(SECRET), "{}", answer.text());
        let target = format!("/v2{}", path.split('?').next().unwrap());
        let seen = world.seen(&target).await;
        if header.is_empty() {
            assert!(seen[0].target.ends_with(&format!("key={SECRET}")));
            let taken = world
                .agent
                .proxy(&connection, Method::GET, "/echo/taken?%6bey=x");
            world.send(taken).await.expect(400).unwrap();
        } else {
            assert_eq!(seen[0].header(header), Some(&*value));
            let taken = world.agent.proxy(&connection, Method::GET, "/echo/taken");
            let taken = taken.header("x-key", "x");
            assert_eq!(world.send(taken).await.status == 400, header == "x-key");
        }
    }
}

#[tokio::test]
async fn what_no_policy_allows_is_denied_with_a_hint_and_never_sent() {
    let world = World::closed(support::shared()).await;
    let denied = world.get("/echo/none").await;
    assert_eq!(
        denied.expect(403).unwrap()["error"],
        "No policy allows Model B for this connection"
    );
    world.allow(&["GET"], "/v2/echo/ok/*").await;
    for (method, path, hint) in [
        (Method::POST, "/echo/ok/a", "method POST is not allowed"),
        (Method::GET, "/echo/other", "/v2/echo/ok/*"),
        (Method::GET, "/echo/ok/a/b", "/v2/echo/ok/*"),
        (Method::GET, "/echo/ok/%2e%2e/other", "/v2/echo/ok/*"),
        (Method::GET, "/ECHO/ok/a", "/v2/echo/ok/*"),
    ] {
        let answer = world
            .send(world.agent.proxy(&world.connection, method, path))
            .await;
        let body = answer.expect(403).unwrap();
        assert!(body["hint"].as_str().unwrap().contains(hint), "{body}");
        assert!(body["auditId"].is_string());
    }
    let elsewhere = world
        .agent
        .execute(&world.connection, &Method::GET, "https://evil.test/");
    let body = world.send(elsewhere).await.expect(403).unwrap();
    assert!(body["hint"].as_str().unwrap().contains("evil.test"));
    assert_eq!(world.get("/echo/ok/a").await.status, 200);
    let seen = world.provider.journal(0).await.unwrap();
    assert!(
        !seen
            .iter()
            .any(|e| e.target.contains("other") || e.target.contains("ok/a/b"))
    );
    let rows = world.audit("execution_denied", 6).await;
    assert!(rows.iter().all(|row| row["decision"] == "denied"));
}

#[tokio::test]
async fn bad_input_gets_a_status_and_a_text_that_names_it() {
    let world = World::open().await;
    let (id, url) = (&world.connection, world.url("/v2/x"));
    let execute = |body: &serde_json::Value| {
        world
            .agent
            .call(Method::POST, "/v1/vault/execute")
            .json(body)
    };
    let good = json!({"model": "B", "connectionId": id, "method": "GET", "url": url});
    let with = |name: &str, value: serde_json::Value| {
        let mut body = good.clone();
        body[name] = value;
        execute(&body)
    };
    let none = "0191d2c0-0000-4000-8000-000000000002";
    let raw = |kind: &str, text: &'static str| {
        let call = world.agent.call(Method::POST, "/vault/execute");
        call.header("content-type", kind).body(text)
    };
    for (call, status, text) in [
        (
            with("model", json!("C")),
            400,
            "body/model must be equal to one of the allowed values",
        ),
        (
            with("connectionId", json!("x")),
            400,
            "body/connectionId must match format",
        ),
        (
            with("connectionId", json!(none)),
            404,
            "Connection not found",
        ),
        (
            with("method", json!("TRACE")),
            400,
            "body/method must be equal",
        ),
        (with("url", json!("/relative")), 400, "Invalid URL"),
        (
            with("url", json!("https://u:p@h.example/")),
            400,
            "Invalid URL: URL has user info",
        ),
        (
            with("headers", json!({"authorization": "x"})),
            400,
            "authorization",
        ),
        (
            with("headers", json!({"a b": "x"})),
            400,
            "is not a legal header",
        ),
        (
            with("headers", json!({"X-HTTP-Method-Override": "DELETE"})),
            403,
            "x-http-method-override",
        ),
        (
            with("approvalId", json!(none)),
            404,
            "Approval request not found",
        ),
        (with("model", json!("A")), 403, "No policy allows Model A"),
        (raw("application/json", ""), 400, "Body cannot be empty"),
        (raw("application/json", "{"), 400, "Body is not valid JSON"),
        (
            raw("application/json", "{\"model\":\"B\",\"model\":\"B\"}"),
            400,
            "given twice",
        ),
        (raw("text/plain", "{}"), 400, "body must be object"),
        (
            raw("application/xml", "<a/>"),
            415,
            "Unsupported Media Type: application/xml",
        ),
        (
            world.agent.call(Method::GET, "/v1/proxy/x/y"),
            400,
            "params/connectionId",
        ),
        (
            world.agent.call(Method::GET, "/v1/proxy"),
            400,
            "x-ah5-connection is required",
        ),
        (
            world.agent.call(Method::GET, "/v1/nothing"),
            404,
            "Not Found",
        ),
        (
            world.agent.call(Method::POST, "/v1/credentials/resolve"),
            403,
            "Agents cannot access",
        ),
        (
            world.agent.proxy(id, Method::TRACE, "/x"),
            403,
            "method TRACE",
        ),
        (
            Call::get("/v1/nothing"),
            401,
            "Missing Authorization header, X-API-Key, or X-Goog-Api-Key",
        ),
        (
            Call::get("/v1/proxy/x").bearer("ah5t_x"),
            401,
            "Invalid or expired API key",
        ),
        (
            Call::get("/v1/proxy/x").bearer("ah5p_x"),
            401,
            "Invalid or expired API key",
        ),
        (
            Call::get("/v1/proxy/x").bearer("a.b.c"),
            401,
            "Invalid or expired token",
        ),
        (
            Call::get("/v1/proxy/x").header("x-api-key", "a.b.c"),
            401,
            "Invalid or expired API key",
        ),
    ] {
        let answer = world.send(call.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{call:?} {}", answer.text());
        assert!(answer.contains(text), "{text}: {}", answer.text());
        assert_eq!(answer.header("x-ah5-source"), Some("gateway"));
    }
    let large = format!("{{\"model\":\"{}\"}}", "x".repeat(12 * 1024 * 1024));
    let large = world
        .agent
        .call(Method::POST, "/v1/vault/execute")
        .body(large);
    let answer = world
        .send(large.header("content-type", "application/json"))
        .await;
    assert!(answer.expect(413).unwrap()["error"] == "Request body is too large");
    assert!(
        world.seen("/v2/x").await.is_empty(),
        "nothing of all that was sent"
    );
}

#[tokio::test]
async fn only_headers_that_carry_no_authority_pass() {
    let world = World::open().await;
    let call = world
        .agent
        .proxy(&world.connection, Method::GET, "/echo/headers");
    let call = [
        ("accept", "application/json"),
        ("x-request-id", "r1"),
        ("cookie", "session=1"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-ah5-session-key", "s"),
        ("x-unknown", "u"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("referer", "https://a.example/"),
    ]
    .iter()
    .fold(call, |call, (name, value)| call.header(*name, *value));
    assert_eq!(world.send(call).await.status, 200);
    let seen = world.seen("/v2/echo/headers").await.remove(0);
    let mut names: Vec<_> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let expected = [
        "accept",
        "accept-encoding",
        "authorization",
        "cdn-loop",
        "host",
        "x-request-id",
    ];
    assert_eq!(names, expected);
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    for (name, value) in [("Stripe-Account", "acct_1"), ("Dropbox-API-Arg", "{}")] {
        let call = world
            .agent
            .proxy(&world.connection, Method::GET, "/echo/acting");
        world
            .send(call.header(name, value))
            .await
            .expect(403)
            .unwrap();
    }
    assert!(world.seen("/v2/echo/acting").await.is_empty());
}

#[tokio::test]
async fn a_person_acts_as_an_agent_they_name() {
    let world = World::open().await;
    let path = format!("/v1/proxy/{}/echo/person", world.connection);
    let call = Call::get(path).bearer(&world.owner.token);
    world.send(call.clone()).await.expect(400).unwrap();
    let named = call.clone().header("x-ah5-agent-id", &*world.agent.id);
    assert_eq!(world.send(named).await.status, 200);
    let other = world.owner.create_agent("other").await.unwrap();
    let other = call.header("x-ah5-agent-id", &*other.id);
    let status = world.send(other).await.status.as_u16();
    assert!(
        status == 409 || status == 404,
        "{status}: an agent that is not enrolled"
    );
    let stranger = World::open().await;
    let foreign = stranger
        .agent
        .proxy(&world.connection, Method::GET, "/echo/foreign");
    world.send(foreign).await.expect(404).unwrap();
    let impersonating = stranger
        .agent
        .proxy(&stranger.connection, Method::GET, "/x");
    let impersonating = impersonating.header("x-ah5-agent-id", &*world.agent.id);
    world.send(impersonating).await.expect(403).unwrap();
}

#[tokio::test]
async fn every_call_leaves_a_row_that_says_what_was_done() {
    let world = World::open().await;
    let call = world.agent.proxy(
        &world.connection,
        Method::POST,
        "/echo/audited?token=hidden",
    );
    let answer = world
        .send(call.header("content-type", "text/plain").body("12345"))
        .await;
    assert_eq!(answer.status, 200);
    let id = answer.header("x-ah5-audit-id").unwrap().to_owned();
    world
        .until(|| async {
            let rows = world.audit("execution_completed", 1).await;
            rows.iter().any(|row| row["auditId"] == *id)
        })
        .await;
    let rows = world.audit("execution_completed", 1).await;
    let row = rows.iter().find(|row| row["auditId"] == *id).unwrap();
    assert_eq!(row["decision"], "allowed");
    assert_eq!(row["connectionId"], *world.connection);
    let text = row.to_string();
    assert!(!text.contains("hidden") && !text.contains(SECRET), "{text}");
    for (member, value) in [
        ("method", json!("POST")),
        ("responseStatus", json!(200)),
        ("requestSize", json!(5)),
    ] {
        assert_eq!(row["metadata"][member], value, "{text}");
    }
}

#[tokio::test]
async fn a_call_whose_agent_went_away_has_its_row() {
    let world = World::open().await;
    let call = world
        .agent
        .proxy(&world.connection, Method::GET, "/slow?head=3000");
    let waiting = world.planes[0].open(call);
    let seen = async {
        world
            .until(|| async { !world.seen("/v2/slow").await.is_empty() })
            .await
    };
    tokio::select! {
        _ = waiting => panic!("it takes longer"),
        () = seen => {}
    }
    world
        .until(|| async {
            let rows = world.audit("execution_completed", 1).await;
            rows.iter()
                .any(|row| row["metadata"]["outcome"] == "unknown")
        })
        .await;
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_an_error_and_no_denial() {
    // Bound and never accepted from would hang; bound and let go is refused.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("localhost:{}", free.local_addr().unwrap().port());
    drop(free);
    let builder = support::two_planes().env("SSRF_ALLOWLIST_HOSTS", &host);
    let world = World::closed(std::sync::Arc::new(builder.start().unwrap())).await;
    let base = format!("https://{host}");
    let auth = json!({"kind": "bearer"});
    let connection = world.owner.connect(&base, &auth, SECRET).await.unwrap();
    let lists = json!([{"baseUrl": base, "methods": ["GET"], "pathPatterns": ["**"]}]);
    world
        .owner
        .allow(&world.agent.id, &connection, &lists)
        .await
        .unwrap();
    let call = world.agent.proxy(&connection, Method::GET, "/x");
    world
        .until(|| async { world.send(call.clone()).await.status == 502 })
        .await;
    let rows = world.audit("execution_completed", 1).await;
    assert_eq!(rows[0]["decision"], "error", "{rows:?}");
}

#[tokio::test]
async fn what_was_done_is_recorded_as_done_whatever_the_agent_is_told() {
    let world = World::open().await;
    world
        .get("/redirect?to=https://evil.test/")
        .await
        .expect(403)
        .unwrap();
    world
        .until(|| async {
            let rows = world.audit("execution_completed", 1).await;
            rows.iter()
                .any(|row| row["metadata"]["responseStatus"] == 302)
        })
        .await;
}
