//! Every part written and read back, and what the trail says of it.

use http::Method;
use serde_json::{Value, json};

use crate::support::{World, error, of};

#[tokio::test]
async fn every_part_of_a_policy_can_be_written_and_read_back() {
    let world = World::open().await;
    let agent = world.agent().await;
    let connection = world.connect().await;
    let draft = json!({"agentId": agent.id, "connectionId": connection});
    let policy = world.post("/v1/policies", &draft).await.json();
    let path = format!("/v1/policies/{}", policy["policy"]["id"].as_str().unwrap());
    let put = async |part: &str, body: Value| {
        let answer = world.put(&format!("{path}/{part}"), &body).await;
        let policy = answer.json()["policy"].clone();
        (answer.status.as_u16(), policy, error(&answer))
    };
    let pii = json!({"types": [{"type": "secret_code"}], "fields": ["$body"]});
    let rules = json!({
        "request": [
            {"label": "Red", "match": {"methods": ["POST"]}, "action": "redact", "redactConfig": pii},
            {"match": {"urlPattern": "^/v1/", "body": [{"path": "a", "op": "exists"}]}, "action": "deny"},
        ],
        "response": [{"match": {}, "filter": {"denyFields": ["x"], "redact": [{"type": "secret_code"}]}}],
        "fieldStepUpEnabled": true,
    });
    let (status, written, _) = put("rules", json!({"rules": rules})).await;
    assert_eq!((status, &written["rules"]), (200, &rules));
    let read = world.get(&format!("{path}/rules")).await;
    assert_eq!(of(&read), (200, json!({"rules": rules})));

    let limits = json!({"rateLimits": {"maxRequestsPerHour": "9", "maxPayloadSizeBytes": 10}});
    let (status, written, _) = put("rate-limits", limits).await;
    assert_eq!(
        (status, &written["rateLimits"]["maxRequestsPerHour"]),
        (200, &json!(9))
    );
    let budget = json!({"rateLimits": {"maxCostCentsPerDay": 500, "unmetered": ["web_search"]}});
    let (status, written, _) = put("rate-limits", budget.clone()).await;
    assert_eq!(
        (status, &written["rateLimits"]),
        (200, &budget["rateLimits"])
    );
    assert_eq!(
        put("rate-limits", json!({})).await.1["rateLimits"],
        Value::Null
    );
    let window = json!({"dayOfWeek": 1, "startHour": 9, "endHour": 17, "timezone": "Europe/Rome"});
    let (status, written, _) = put("time-windows", json!({"timeWindows": [window]})).await;
    assert_eq!((status, &written["timeWindows"]), (200, &json!([window])));
    assert_eq!(written["rules"], rules, "one part leaves the others alone");

    let wrong = |found: Value| json!({"rules": {"request": [{"match": found, "action": "deny"}], "response": []}});
    for (part, body, error) in [
        (
            "rules",
            wrong(json!({"urlPattern": "[x"})),
            "Invalid rules: request[0].match.urlPattern: invalid regex",
        ),
        (
            "rules",
            wrong(json!({"urlPattern": "(?=x)"})),
            "look-around cannot run in linear time",
        ),
        (
            "rules",
            wrong(json!({"host": "x"})),
            "Invalid rules: request[0].match.host: is not known",
        ),
        (
            "rules",
            json!({"rules": {"request": []}}),
            "body/rules must have required property 'response'",
        ),
        (
            "rules",
            json!({}),
            "body must have required property 'rules'",
        ),
        // By another name they would be cleared.
        (
            "rate-limits",
            json!({"maxRequestsPerHour": 1}),
            "body must have required property 'rateLimits'",
        ),
        (
            "provider-constraints",
            json!({"allowedChannelIds": ["C1"]}),
            "body must have required property 'providerConstraints'",
        ),
        (
            "rate-limits",
            json!({"rateLimits": {}}),
            "maxRequestsPerHour is required when setting rate limits",
        ),
        (
            "rate-limits",
            json!({"rateLimits": {"maxRequestsPerHour": 0}}),
            "body/rateLimits/maxRequestsPerHour must be >= 1",
        ),
        (
            "rate-limits",
            json!({"rateLimits": {"maxTokensPerDay": 1.5}}),
            "body/rateLimits/maxTokensPerDay must be integer",
        ),
        (
            "time-windows",
            json!({"timeWindows": [{"dayOfWeek": 1, "startHour": 0, "endHour": 1, "timezone": "+02:00"}]}),
            "Invalid timezone: +02:00",
        ),
        (
            "provider-constraints",
            json!({"providerConstraints": {"provider": "slack", "allowedChannelIds": ["C1"]}}),
            "Provider mismatch: constraints are for \"slack\" but connection uses",
        ),
    ] {
        let (status, _, got) = put(part, body).await;
        assert_eq!(status, 400, "{part}: {got}");
        assert!(got.contains(error), "{part}: {got}");
    }
    let (path, body) = (format!("{path}/rules"), json!({"rules": rules}));
    let by_agent = agent.call(Method::PUT, &path).json(&body);
    assert_eq!(world.send(by_agent).await.status, 403);
    let by_stranger = world.stranger().await.put(&path, &body).await.unwrap();
    assert_eq!(by_stranger.status, 404);
}

#[tokio::test]
async fn the_trail_names_the_parts_that_were_changed() {
    let world = World::open().await;
    let agent = world.agent().await;
    let connection = world.connect().await;
    let policy = world
        .owner
        .allow(&agent.id, &connection, &json!([]))
        .await
        .unwrap();
    let path = format!("/v1/policies/{policy}");
    let rules = json!({"request": [{"match": {}, "action": "deny"}], "response": []});
    for (part, body) in [
        (
            "",
            json!({"defaultMode": "custom", "rateLimits": {"maxRequestsPerHour": 5}}),
        ),
        ("/rules", json!({"rules": rules})),
        ("/rules", json!({"rules": rules})),
    ] {
        assert_eq!(world.put(&format!("{path}{part}"), &body).await.status, 200);
    }
    let of = async |action: &str| -> Vec<Value> {
        let rows = world.audit(&format!("action={action}")).await;
        rows.iter()
            .map(|row| row["metadata"]["changed"].clone())
            .collect()
    };
    assert_eq!(
        of("policy_updated").await,
        [
            Value::Null,
            json!(["rules"]),
            json!(["defaultMode", "rateLimits"])
        ]
    );
    assert_eq!(
        of("policy_created").await,
        [json!(["defaultMode", "stepUpApproval"])]
    );
}

/// A limit that is misspelled would limit nothing.
#[tokio::test]
async fn a_name_that_is_no_part_of_a_policy_is_refused() {
    let world = World::open().await;
    let agent = world.agent().await;
    let connection = world.connect().await;
    let draft = json!({"agentId": agent.id, "connectionId": connection});
    let with = |name: &str, value: Value| {
        let mut draft = draft.clone();
        draft[name] = value;
        draft
    };
    let limit = || json!({"maxRequestsPerHour": 5});
    let refused = world
        .post("/v1/policies", &with("rateLimit", limit()))
        .await;
    let told = "body/rateLimit is no part of a policy".to_owned();
    assert_eq!((refused.status.as_u16(), error(&refused)), (400, told));
    let policy = world
        .post("/v1/policies", &draft)
        .await
        .expect(201)
        .unwrap();
    let policy = policy["policy"].clone();
    let path = format!("/v1/policies/{}", policy["id"].as_str().unwrap());
    let refused = world.put(&path, &json!({"rateLimit": limit()})).await;
    assert_eq!(refused.status, 400);
    let lists = json!([{"baseUrl": "https://api.example.com", "methods": ["GET"],
                        "pathPatterns": ["/v2/**"], "pathPattern": "/x"}]);
    let refused = world.put(&path, &json!({"allowlists": lists})).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    // What was read can be written back.
    assert_eq!(world.put(&path, &policy).await.status, 200);
}
