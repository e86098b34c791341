//! A real control plane on a real PostgreSQL, driven over HTTP as its users drive it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};

use support::{Agent, Owner, Plane};

#[tokio::test]
async fn an_agent_enrols_and_sees_only_what_it_was_given() {
    let plane = Plane::start().await;
    let owner = Owner::sign_up(&plane).await;
    let agent = Agent::enrol(&plane, &owner).await;
    let token = agent.token(&plane).await;
    assert_eq!(
        plane.get("/v1/connections", &token).await.1["connections"],
        json!([])
    );

    let connection = owner.connect(&plane).await;
    let allowlists = json!([{"baseUrl": "https://api.example.com", "methods": ["GET"], "pathPatterns": ["/v2/**"]}]);
    let draft = json!({"agentId": agent.id, "connectionId": connection, "allowlists": allowlists});
    let (status, policy) = plane.post("/v1/policies", &owner.token, &draft).await;
    assert_eq!(
        (status, &policy["policy"]["allowlists"]),
        (201, &allowlists)
    );
    let seen = plane.get("/v1/connections", &token).await.1;
    assert_eq!(seen["connections"][0]["policies"][0]["agentName"], "bot");
    assert!(!seen.to_string().contains(support::SECRET));

    for path in [
        "/v1/agents",
        "/v1/policies",
        "/v1/audit",
        "/v1/workspaces/current",
        "/agents",
    ] {
        assert_eq!(plane.get(path, &token).await.0, 403, "{path}");
    }
    assert_eq!(plane.post("/v1/policies", &token, &draft).await.0, 403);
    let secret = format!("/v1/agents/{}/bootstrap-secret", agent.id);
    assert_eq!(plane.post(&secret, &token, &json!({})).await.0, 403);
}

#[tokio::test]
async fn disabling_an_agent_ends_its_tokens_and_issues_no_new_ones() {
    let plane = Plane::start().await;
    let owner = Owner::sign_up(&plane).await;
    let agent = Agent::enrol(&plane, &owner).await;
    let token = agent.token(&plane).await;
    let disable = format!("/v1/agents/{}/disable", agent.id);
    assert_eq!(plane.post(&disable, &owner.token, &json!({})).await.0, 200);
    assert_eq!(plane.get("/v1/connections", &token).await.0, 401);
    let (status, body) = plane
        .post("/v1/agents/token", "", &agent.request(60, "a"))
        .await;
    assert_eq!(
        (status, body["error"].as_str()),
        (401, Some("Invalid agent or agent not active"))
    );
    assert_eq!(plane.post(&disable, &owner.token, &json!({})).await.0, 409);
    let enable = format!("/v1/agents/{}/enable", agent.id);
    assert_eq!(
        plane.post(&enable, &owner.token, &json!({})).await.1["status"],
        "active"
    );
    assert_eq!(
        plane.get("/v1/connections", &token).await.0,
        401,
        "old tokens stay dead"
    );
    let fresh = agent.token(&plane).await;
    assert_eq!(plane.get("/v1/connections", &fresh).await.0, 200);
}

#[tokio::test]
async fn an_assertion_works_once_and_only_when_young() {
    let plane = Plane::start().await;
    let owner = Owner::sign_up(&plane).await;
    let agent = Agent::enrol(&plane, &owner).await;
    let request = agent.request(60, "once");
    let ask = async |body: &Value| plane.post("/v1/agents/token", "", body).await;
    assert_eq!(ask(&request).await.0, 200);
    assert_eq!(ask(&request).await.1["error"], "Replay detected");
    let long = ask(&agent.request(61, "long")).await;
    assert_eq!(
        (long.0, long.1["error"].as_str()),
        (401, Some("Assertion lifetime must be 60 seconds or less"))
    );
    let late = ask(&agent.request(-10, "late")).await.1.to_string();
    assert!(late.contains("\"reason\":\"clock_skew\""), "{late}");
    let junk = json!({"client_assertion": "junk", "grant_type": "client_assertion",
                      "client_assertion_type": request["client_assertion_type"]});
    assert_eq!(ask(&junk).await.1["error"], "Malformed client assertion");
}

#[tokio::test]
async fn the_bootstrap_secret_is_dead_once_the_agent_works() {
    let plane = Plane::start().await;
    let owner = Owner::sign_up(&plane).await;
    let agent = Agent::enrol(&plane, &owner).await;
    let again = json!({"bootstrapSecret": agent.bootstrap_secret, "publicKey": agent.public_jwk()});
    assert_eq!(
        plane.post("/v1/agents/bootstrap", "", &again).await.0,
        200,
        "before any use"
    );
    plane.owner_sql(&format!(
        "insert into ah5.t_agent_usage select id, workspace_id, now() + interval '1 second' from ah5.t_agents where id = '{}'",
        agent.id
    )).await;
    let (status, body) = plane.post("/v1/agents/bootstrap", "", &again).await;
    assert_eq!(
        (status, body["error"].as_str()),
        (401, Some("Invalid or expired bootstrap secret"))
    );
    let mut private = agent.public_jwk();
    private["d"] = "AAAA".into();
    let secret = format!("/v1/agents/{}/bootstrap-secret", agent.id);
    let secret = plane.post(&secret, &owner.token, &json!({})).await.1;
    let body = json!({"bootstrapSecret": secret["bootstrapSecret"], "publicKey": private});
    assert_eq!(
        plane.post("/v1/agents/bootstrap", "", &body).await.1["error"],
        "Invalid ES256 public key"
    );
}

#[tokio::test]
async fn one_workspace_cannot_touch_another() {
    let plane = Plane::start().await;
    let (mine, theirs) = (Owner::sign_up(&plane).await, Owner::sign_up(&plane).await);
    let agent = Agent::enrol(&plane, &theirs).await;
    let connection = theirs.connect(&plane).await;
    let read = format!("/v1/agents/{}", agent.id);
    assert_eq!(plane.get(&read, &mine.token).await.0, 404);
    assert_eq!(plane.get(&read, &theirs.token).await.0, 200);
    let revoke = format!("/v1/connections/{connection}/revoke");
    assert_eq!(plane.post(&revoke, &mine.token, &json!({})).await.0, 404);
    let draft = json!({"agentId": agent.id, "connectionId": connection});
    assert_eq!(
        plane.post("/v1/policies", &mine.token, &draft).await.1["error"],
        "Agent not found in this workspace"
    );
    let trail = plane.get("/v1/audit", &mine.token).await.1.to_string();
    assert!(!trail.contains(&agent.id) && !trail.contains(&connection));
}

#[tokio::test]
async fn signing_out_ends_the_session_and_its_tokens() {
    let plane = Plane::start().await;
    let owner = Owner::sign_up(&plane).await;
    assert_eq!(plane.get("/v1/agents", &owner.token).await.0, 200);
    let foreign = plane
        .with_cookie("/api/auth/sign-out", &owner.cookie, "http://evil.example")
        .await;
    assert_eq!(foreign.0, 403);
    assert_eq!(
        plane
            .with_cookie("/api/auth/sign-out", &owner.cookie, support::ORIGIN)
            .await
            .0,
        200
    );
    assert_eq!(plane.get("/v1/agents", &owner.token).await.0, 401);
    let exchange = plane
        .with_cookie("/api/auth/token", &owner.cookie, support::ORIGIN)
        .await;
    assert_eq!(
        exchange.1["error"],
        "Unauthorized — invalid or expired session"
    );
}

#[tokio::test]
async fn bad_input_is_refused_with_the_field_at_fault() {
    let plane = Plane::start().await;
    let owner = Owner::sign_up(&plane).await;
    let agent = Agent::enrol(&plane, &owner).await;
    let connection = owner.connect(&plane).await;
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
        let (status, answer) = plane.post(path, &owner.token, &body).await;
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(
            status == 400 && error.contains(expected),
            "{path} {body}: {status} {answer}"
        );
    }
    assert_eq!(plane.get("/v1/agents/nonsense", &owner.token).await.0, 400);
    assert_eq!(plane.get("/v1/nothing", "").await.0, 401);
    assert_eq!(plane.get("/v1/nothing", &owner.token).await.0, 404);
    assert_eq!(
        plane
            .post(
                "/v1/agents",
                &owner.token,
                &json!({"name": "x".repeat(1_100_000)})
            )
            .await
            .0,
        413
    );
}

#[tokio::test]
async fn every_change_leaves_a_row_and_no_secret() {
    let plane = Plane::start().await;
    let owner = Owner::sign_up(&plane).await;
    let agent = Agent::enrol(&plane, &owner).await;
    agent.token(&plane).await;
    owner.connect(&plane).await;
    let trail = plane.get("/v1/audit?limit=200", &owner.token).await.1;
    let actions: Vec<&str> = trail["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "connection_created",
            "agent_token_issued",
            "agent_bootstrapped",
            "agent_created",
            "user_signed_in",
            "user_signed_up"
        ]
    );
    let page = plane.get("/v1/audit?limit=4", &owner.token).await.1;
    let rest = format!(
        "/v1/audit?limit=4&cursor={}",
        page["nextCursor"].as_str().unwrap()
    );
    assert_eq!(
        plane.get(&rest, &owner.token).await.1["events"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let dump = plane.dump();
    for secret in [support::SECRET, support::PASSWORD, &agent.bootstrap_secret] {
        assert!(
            !dump.contains(secret)
                && !trail.to_string().contains(secret)
                && !plane.log().contains(secret)
        );
    }
}

#[tokio::test]
async fn every_part_of_a_policy_can_be_written_and_read_back() {
    let plane = Plane::start().await;
    let owner = Owner::sign_up(&plane).await;
    let agent = Agent::enrol(&plane, &owner).await;
    let connection = owner.connect(&plane).await;
    let draft = json!({"agentId": agent.id, "connectionId": connection});
    let policy = plane.post("/v1/policies", &owner.token, &draft).await.1;
    let path = format!("/v1/policies/{}", policy["policy"]["id"].as_str().unwrap());
    let put = async |part: &str, body: Value| {
        let (status, body) = plane
            .put(&format!("{path}/{part}"), &owner.token, &body)
            .await;
        (
            status,
            body["policy"].clone(),
            body["error"].as_str().unwrap_or_default().to_owned(),
        )
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
    let read = plane.get(&format!("{path}/rules"), &owner.token).await;
    assert_eq!(read, (200, json!({"rules": rules})));

    let limits = json!({"rateLimits": {"maxRequestsPerHour": "9", "maxPayloadSizeBytes": 10}});
    let (status, written, _) = put("rate-limits", limits).await;
    assert_eq!(
        (status, &written["rateLimits"]["maxRequestsPerHour"]),
        (200, &json!(9))
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
    let token = agent.token(&plane).await;
    let by_agent = plane
        .put(&format!("{path}/rules"), &token, &json!({"rules": rules}))
        .await;
    assert_eq!(by_agent.0, 403);
    let stranger = Owner::sign_up(&plane).await;
    let by_stranger = plane
        .put(
            &format!("{path}/rules"),
            &stranger.token,
            &json!({"rules": rules}),
        )
        .await;
    assert_eq!(by_stranger.0, 404);
}

#[tokio::test]
async fn a_dry_run_tells_what_a_draft_would_do_and_changes_nothing() {
    let plane = Plane::start().await;
    let owner = Owner::sign_up(&plane).await;
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
        plane
            .post("/v1/policies/evaluate", &owner.token, &body)
            .await
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
        let got = plane
            .post("/v1/policies/evaluate", &owner.token, &body)
            .await;
        assert_eq!((got.0, got.1["error"].as_str()), (400, Some(error)));
    }
    let listed = plane.get("/v1/policies", &owner.token).await.1;
    assert_eq!(listed["policies"], json!([]));
}

#[tokio::test]
async fn a_template_makes_a_policy_that_can_be_written_back() {
    let plane = Plane::start().await;
    let owner = Owner::sign_up(&plane).await;
    let agent = Agent::enrol(&plane, &owner).await;
    let connection = owner.connect(&plane).await;
    let draft = json!({"agentId": agent.id, "connectionId": connection});
    let policy = plane.post("/v1/policies", &owner.token, &draft).await.1;
    let path = format!("/v1/policies/{}", policy["policy"]["id"].as_str().unwrap());
    for name in ["gmail-read", "notion", "google", "telegram", "slack"] {
        let (status, made) = plane
            .get(&format!("/v1/templates/{name}/rules"), &owner.token)
            .await;
        assert_eq!(status, 200);
        for preset in made["presets"].as_array().unwrap() {
            let rules = json!({"rules": preset["rules"]});
            let (status, stored) = plane
                .put(&format!("{path}/rules"), &owner.token, &rules)
                .await;
            assert_eq!(
                (status, &stored["policy"]["rules"]),
                (200, &preset["rules"]),
                "{name}"
            );
        }
    }
    let (status, config) = plane
        .get("/v1/templates/gmail-read/config?tier=strict", &owner.token)
        .await;
    assert_eq!(
        (status, &config["rateLimits"]["maxRequestsPerHour"]),
        (200, &json!(50))
    );
    let lists = json!({"allowlists": config["allowlists"]});
    assert_eq!(
        plane
            .put(&format!("{path}/allowlists"), &owner.token, &lists)
            .await
            .0,
        200
    );
    let (_, guards) = plane.get("/v1/templates/slack/guards", &owner.token).await;
    assert_eq!(guards["categories"].as_array().map(Vec::len), Some(8));
    for (path, error) in [
        (
            "/v1/templates/nobody",
            "params/provider must be equal to one of the allowed values",
        ),
        (
            "/v1/templates/gmail-read/config",
            "querystring must have required property 'tier'",
        ),
        (
            "/v1/templates/x/config?tier=strict",
            "Unknown action template or service: x",
        ),
    ] {
        let got = plane.get(path, &owner.token).await;
        assert_eq!((got.0, got.1["error"].as_str()), (400, Some(error)));
    }
}
