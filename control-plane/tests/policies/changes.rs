//! The preview of a change.

use serde_json::{Value, json};

use crate::support::{World, error, of};

#[tokio::test]
async fn a_change_tells_beforehand_which_calls_it_would_turn() {
    let world = World::open().await;
    let agent = world.agent().await;
    let connection = world.connect().await;
    let lists = json!([{"baseUrl": "https://api.example.com", "methods": ["GET", "POST"], "pathPatterns": ["/v2/**"]}]);
    let policy = world
        .owner
        .allow(&agent.id, &connection, &lists)
        .await
        .unwrap();
    let path = format!("/v1/policies/{policy}/changes");
    let url = |tail: &str| format!("https://api.example.com/v2/{tail}");
    let requests = json!([
        {"method": "GET", "url": url("a")},
        {"method": "POST", "url": url("a"), "body": {"to": "a@b.io"}},
        {"method": "POST", "url": url("secret")},
        {"method": "GET", "url": url("b"), "response": {"body": {"x": 1, "y": 2}}},
    ]);
    let ask = async |change: Value| {
        let body = json!({"policy": change, "requests": requests});
        let (status, told) = of(&world.post(&path, &body).await);
        assert_eq!(status, 200, "{told}");
        told
    };
    let rules = json!({
        "request": [
            {"label": "No secrets", "match": {"urlPattern": "/secret$"}, "action": "deny"},
            {"match": {}, "action": "redact",
             "redactConfig": {"types": [{"type": "email"}], "fields": ["to"]}},
        ],
        "response": [{"match": {}, "filter": {"denyFields": ["y"]}}],
    });
    let told = ask(json!({"rules": rules, "defaultMode": "read_write"})).await;
    assert_eq!(told["parts"], json!(["rules"]));
    let turned = told["changes"].as_array().unwrap();
    let numbers: Vec<&Value> = turned.iter().map(|change| &change["request"]).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(
        turned[0]["after"]["redactedBody"],
        json!({"to": "[PII_REDACTED:email]"})
    );
    assert_eq!(turned[1]["before"]["decision"], "allow");
    let after = &turned[1]["after"];
    assert_eq!(
        (&after["decision"], &after["rule"], &after["ruleLabel"]),
        (
            &json!("deny"),
            &json!("rules/request/0"),
            &json!("No secrets")
        )
    );
    assert_eq!(turned[2]["after"]["response"]["body"], json!({"x": 1}));
    assert_eq!(
        turned[2]["before"]["response"]["body"],
        json!({"x": 1, "y": 2})
    );

    let told = ask(json!({"allowlists": []})).await;
    assert_eq!(told["changes"].as_array().map(Vec::len), Some(4));
    let told = ask(json!({})).await;
    assert_eq!(told, json!({"parts": [], "changes": []}));

    let stored = world.get("/v1/policies").await.json();
    assert_eq!(stored["policies"][0]["allowlists"], lists);
    assert_eq!(stored["policies"][0]["rules"]["request"], json!([]));
    assert!(world.audit("action=policy_updated").await.is_empty());
    let stranger = world.stranger().await;
    let body = json!({"policy": {}, "requests": []});
    assert_eq!(stranger.post(&path, &body).await.unwrap().status, 404);
}

#[tokio::test]
async fn the_preview_takes_a_hundred_requests_and_names_the_one_at_fault() {
    let world = World::open().await;
    let agent = world.agent().await;
    let connection = world.connect().await;
    let policy = world
        .owner
        .allow(&agent.id, &connection, &json!([]))
        .await
        .unwrap();
    let path = format!("/v1/policies/{policy}/changes");
    let request = json!({"method": "GET", "url": "https://api.example.com/"});
    let many = |count: usize| json!({"policy": {}, "requests": vec![request.clone(); count]});
    assert_eq!(world.post(&path, &many(100)).await.status, 200);
    let odd = json!({"policy": {}, "requests": [request, {"method": "GET", "url": "x"}]});
    for (body, expected) in [
        (many(101), "body/requests must NOT have more than 100 items"),
        (json!({"requests": []}), "body/policy must be object"),
        (json!({"policy": {}}), "body/requests must be array"),
        (
            json!({"policy": {}, "requests": [1]}),
            "body/requests/0 must be object",
        ),
        (odd.clone(), "Invalid URL: Invalid URL"),
        (
            json!({"policy": {"rules": {"request": [{}]}}, "requests": []}),
            "Invalid rules: request[0].action: is required",
        ),
    ] {
        let answer = world.post(&path, &body).await;
        assert_eq!((answer.status.as_u16(), &*error(&answer)), (400, expected));
    }
    assert!(world.post(&path, &odd).await.contains("body/requests/1"));
}
