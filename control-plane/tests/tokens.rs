//! Personal access tokens at the control plane.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};
use support::{World, error, of};

use ah5_testkit::client::{Answer, Call};

async fn token(world: &World, body: &Value) -> (String, String) {
    let made = world.post("/v1/tokens", body).await.expect(200).unwrap();
    let text = |at: &str| made.pointer(at).unwrap().as_str().unwrap().to_owned();
    (text("/token/id"), text("/plainToken"))
}

async fn get(world: &World, path: &str, token: &str) -> Answer {
    world.send(Call::get(path).bearer(token)).await
}

#[tokio::test]
async fn a_token_without_named_scopes_only_reads() {
    let world = World::open().await;
    let (_, token) = token(&world, &json!({"name": "laptop"})).await;
    assert!(token.starts_with("ah5p_"));
    assert_eq!(get(&world, "/v1/agents", &token).await.status, 200);
    let by_key = Call::get("/v1/agents").header("x-api-key", &token);
    assert_eq!(world.send(by_key).await.status, 200);
    let made = Call::post("/v1/agents")
        .bearer(&token)
        .json(&json!({"name": "x"}));
    let made = world.send(made).await;
    let missing = json!({"error": "Missing required scope: agents:write"});
    assert_eq!(of(&made), (403, missing));
}

#[tokio::test]
async fn the_wildcard_does_not_give_what_must_be_named() {
    let world = World::open().await;
    let policy = json!({"agentId": "x", "connectionId": "x"});
    let write = |token: String| {
        let call = Call::post("/v1/policies").bearer(&token).json(&policy);
        async { world.send(call).await }
    };
    let (_, all) = token(&world, &json!({"name": "all", "scopes": ["*"]})).await;
    assert_eq!(
        error(&write(all.clone()).await),
        "Missing required scope: policies:write"
    );
    let agent = Call::post("/v1/agents")
        .bearer(&all)
        .json(&json!({"name": "x"}));
    assert_eq!(
        error(&world.send(agent).await),
        "Missing required scope: agents:write"
    );
    let list = Call::get("/v1/agents").bearer(&all);
    assert_eq!(world.send(list).await.status, 200);
    let named = json!({"name": "named", "scopes": ["policies:write"]});
    let (_, named) = token(&world, &named).await;
    assert_eq!(write(named).await.status, 400);
}

#[tokio::test]
async fn a_token_makes_no_token_and_decides_nothing_that_takes_a_person() {
    let world = World::open().await;
    let every = json!({"name": "t", "scopes": ["*", "tokens:write", "approvals:write", "panic"]});
    let (_, token) = token(&world, &every).await;
    for path in [
        "/v1/tokens",
        "/v1/workspaces",
        "/v1/workspaces/current/invitations",
    ] {
        let call = Call::post(path)
            .bearer(&token)
            .json(&json!({"name": "more"}));
        let refused = world.send(call).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(error(&refused).contains("signed in"), "{path}");
    }
}

#[tokio::test]
async fn a_token_ends_when_it_is_revoked_overdue_or_its_holder_is_out() {
    let world = World::open().await;
    let body = json!({"name": "t"});
    let (id, revoked) = token(&world, &body).await;
    let path = format!("/v1/tokens/{id}");
    assert_eq!(world.owner.delete(&path).await.unwrap().status, 200);
    assert_eq!(world.owner.delete(&path).await.unwrap().status, 404);
    let refused = get(&world, "/v1/agents", &revoked).await;
    assert_eq!(
        of(&refused),
        (401, json!({"error": "Invalid or expired API key"}))
    );

    let (id, overdue) = token(&world, &body).await;
    let past = "update ah5.t_personal_tokens set expires_at = now() where id";
    world.sql(&format!("{past} = '{id}'")).await;
    assert_eq!(get(&world, "/v1/agents", &overdue).await.status, 401);
    let listed = world.get("/v1/tokens").await.expect(200).unwrap();
    assert_eq!(listed["tokens"][0]["isExpired"], true);

    let member = world.member("admin").await;
    let theirs = member
        .post("/v1/tokens", &body)
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    let theirs = theirs["plainToken"].as_str().unwrap();
    assert_eq!(get(&world, "/v1/agents", theirs).await.status, 200);
    let email = &member.email;
    let disable = "update ah5.t_users set disabled_at = now() where email";
    world.sql(&format!("{disable} = '{email}'")).await;
    assert_eq!(get(&world, "/v1/agents", theirs).await.status, 401);
    let enable = "update ah5.t_users set disabled_at = null where email";
    world.sql(&format!("{enable} = '{email}'")).await;
    world
        .sql(&format!(
            "delete from ah5.t_workspace_members m using ah5.t_users u
         where u.id = m.user_id and u.email = '{email}' and m.role = 'admin'"
        ))
        .await;
    assert_eq!(get(&world, "/v1/agents", theirs).await.status, 401);
}

#[tokio::test]
async fn a_token_has_no_more_right_than_its_holder_has_today() {
    let world = World::open().await;
    let member = world.member("viewer").await;
    let body = json!({"name": "t", "scopes": ["agents:write"]});
    let made = member
        .post("/v1/tokens", &body)
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    let made = made["plainToken"].as_str().unwrap();
    let call = Call::post("/v1/agents")
        .bearer(made)
        .json(&json!({"name": "x"}));
    assert_eq!(
        of(&world.send(call).await),
        (403, json!({"error": "This needs the role admin"}))
    );
}

#[tokio::test]
async fn bad_input_names_its_field() {
    let world = World::open().await;
    for (body, fault) in [
        (json!({}), "body must have required property 'name'"),
        (
            json!({"name": " "}),
            "name is required and must be a non-empty string",
        ),
        (
            json!({"name": "x".repeat(101)}),
            "body/name must NOT have more than 100 characters",
        ),
        (
            json!({"name": "x", "expiresInDays": 0}),
            "body/expiresInDays must be >= 1",
        ),
        (
            json!({"name": "x", "expiresInDays": 91}),
            "body/expiresInDays must be <= 90",
        ),
        (
            json!({"name": "x", "expiresInDays": "a"}),
            "body/expiresInDays must be integer",
        ),
        (
            json!({"name": "x", "scopes": []}),
            "body/scopes must be an array of scopes",
        ),
        (
            json!({"name": "x", "scopes": ["root"]}),
            "body/scopes/0: unknown scope: root",
        ),
    ] {
        let refused = world.post("/v1/tokens", &body).await;
        assert_eq!(of(&refused), (400, json!({ "error": fault })));
    }
}

#[tokio::test]
async fn use_is_noted_and_the_text_is_kept_nowhere() {
    let world = World::open().await;
    let (_, text) = token(&world, &json!({"name": "t"})).await;
    get(&world, "/v1/agents", &text).await;
    let listed = world.get("/v1/tokens").await.expect(200).unwrap();
    assert!(listed["tokens"][0]["lastUsedAt"].is_string());
    assert!(!listed.to_string().contains(&text[5..]));
    assert!(!world.log().contains(&text[5..]));
}
