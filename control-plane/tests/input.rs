//! Input that is refused, and what the refusal says.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use ah5_testkit::client::Call;
use serde_json::{Value, json};
use support::{World, error};

#[tokio::test]
async fn bad_input_is_refused_with_the_field_at_fault() {
    let world = World::open().await;
    let agent = world.agent().await;
    let connection = world.connect().await;
    let custom = |base: &str, auth: Value, key: &str| json!({"provider": "custom", "service": "custom-http", "baseUrl": base, "auth": auth, "apiKey": key});
    let bearer = || json!({"kind": "bearer"});
    let policy = |patch: Value| {
        let mut body = json!({"agentId": agent.id, "connectionId": connection});
        body.as_object_mut()
            .unwrap()
            .extend(patch.as_object().unwrap().clone());
        body
    };
    let entry = |base: &str, path: &str| json!({"allowlists": [{"baseUrl": base, "methods": ["GET"], "pathPatterns": [path]}]});
    let cases = [
        (
            "/v1/agents",
            json!({}),
            "body must have required property 'name'",
        ),
        ("/v1/agents", json!({"name": "  "}), "name is required"),
        (
            "/v1/agents",
            json!({"name": "x", "iconUrl": "javascript:alert(1)"}),
            "body/iconUrl",
        ),
        ("/v1/agents", json!([]), "body must be object"),
        (
            "/v1/connections/api-key",
            custom("http://example.com", bearer(), "0123456789"),
            "body/baseUrl must use https",
        ),
        (
            "/v1/connections/api-key",
            custom("https://169.254.169.254/", bearer(), "0123456789"),
            "body/baseUrl must be a public https URL",
        ),
        (
            "/v1/agents",
            json!({"name": "x".repeat(101)}),
            "name must NOT have more than 100 characters",
        ),
        (
            "/v1/connections/api-key",
            custom("https://u:p@example.com", bearer(), "0123456789"),
            "body/baseUrl",
        ),
        (
            "/v1/connections/api-key",
            custom("https://example.com", bearer(), "short"),
            "body/apiKey",
        ),
        (
            "/v1/connections/api-key",
            custom(
                "https://example.com",
                json!({"kind": "header", "name": "Host"}),
                "0123456789",
            ),
            "body/auth/name",
        ),
        (
            "/v1/connections/api-key",
            custom(
                "https://example.com",
                json!({"kind": "oauth"}),
                "0123456789",
            ),
            "body/auth must be",
        ),
        (
            "/v1/policies",
            json!({"agentId": "x"}),
            "body/agentId must match format \"uuid\"",
        ),
        (
            "/v1/policies",
            policy(json!({"allowedModels": ["A"]})),
            "Model A is not supported",
        ),
        (
            "/v1/policies",
            policy(json!({"defaultMode": "anything"})),
            "body/defaultMode must be equal",
        ),
        (
            "/v1/policies",
            policy(entry("http://example.com", "/")),
            "Base URL must use HTTPS",
        ),
        (
            "/v1/policies",
            policy(entry("https://example.com", " ")),
            "Path patterns must be non-empty",
        ),
    ];
    for (path, body, expected) in cases {
        let answer = world.post(path, &body).await;
        let told = error(&answer);
        assert!(
            answer.status == 400 && told.contains(expected),
            "{path} {body}: {answer:?}"
        );
    }
    let odd = policy(json!({"defaultMode": "anything"}));
    let hint = world.post("/v1/policies", &odd).await.json()["hint"].clone();
    assert_eq!(hint, "Accepted: read_only, read_write, custom.");
    assert_eq!(world.get("/v1/agents/nonsense").await.status, 400);
    assert_eq!(world.send(Call::get("/v1/nothing")).await.status, 401);
    assert_eq!(world.get("/v1/nothing").await.status, 404);
    let long = json!({"name": "x".repeat(1_100_000)});
    assert_eq!(world.post("/v1/agents", &long).await.status, 413);
}
