//! The dry run.

use serde_json::{Value, json};

use crate::support::{self, World, of};

#[tokio::test]
async fn a_dry_run_tells_what_a_draft_would_do_and_changes_nothing() {
    let world = World::open().await;
    let draft = json!({
        "defaultMode": "read_write", "stepUpApproval": "never",
        "allowlists": [{"baseUrl": "https://api.example.com", "methods": ["POST"], "pathPatterns": ["/**"]}],
        "rules": {
            "request": [
                {"label": "No", "match": {"queryPattern": "x=9"}, "action": "deny"},
                {"label": "Red", "match": {}, "action": "redact",
                 "redactConfig": {"types": [{"type": "email"}], "fields": ["t"]}},
            ],
            "response": [{"match": {}, "filter": {"denyFields": ["secret"]}}],
        },
    });
    let evaluate = async |request: Value| {
        let body = json!({"policy": draft, "request": request, "response": {"body": {"secret": 1, "a": 2}}});
        of(&world.post("/v1/policies/evaluate", &body).await)
    };
    let url = "https://api.example.com/v1//x?x=1";
    let (status, got) = evaluate(json!({"method": "POST", "url": url, "query": {"x": "9"}})).await;
    assert_eq!(
        (status, &got["decision"], &got["rule"]),
        (200, &json!("deny"), &json!("rules/request/0"))
    );
    assert_eq!(got["hint"], "Denied by rule: \"No\".");
    assert_eq!(got["trace"], json!(["No:MATCH(deny)"]));
    let (_, got) = evaluate(json!({"method": "POST", "url": url, "body": {"t": "a@b.io"}})).await;
    assert_eq!(got["decision"], "allow", "{got}");
    assert_eq!(got["redactedBody"], json!({"t": "[PII_REDACTED:email]"}));
    assert_eq!(got["response"]["body"], json!({"a": 2}));
    for (body, error) in [
        (json!({"policy": draft}), "body/request must be object"),
        (
            json!({"request": {}}),
            "Either policyId or policy must be provided",
        ),
        (
            json!({"policy": draft, "request": {"method": "POST", "url": "x"}}),
            "Invalid URL: Invalid URL",
        ),
        (
            json!({"policy": {"rules": {"request": [{}]}}, "request": {}}),
            "Invalid rules: request[0].action: is required",
        ),
    ] {
        let got = world.post("/v1/policies/evaluate", &body).await;
        assert_eq!((got.status.as_u16(), &*support::error(&got)), (400, error));
    }
    let listed = world.get("/v1/policies").await.json();
    assert_eq!(listed["policies"], json!([]));
}
