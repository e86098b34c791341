//! Agents ask, people resolve.

use ah5_testkit::client::{Agent, Answer, Call, Owner};
use http::Method;
use serde_json::{Value, json};

use crate::give;
use crate::support::{World, error, of};

const PATH: &str = "/v1/agent-permission-requests";

async fn ask(world: &World, agent: &Agent, body: &Value) -> Answer {
    world.send(agent.call(Method::POST, PATH).json(body)).await
}

/// For this template, and the request's id.
async fn asked(world: &World, agent: &Agent, template: &str) -> String {
    let body = json!({"actionTemplateId": template, "reason": "To help"});
    let made = ask(world, agent, &body).await.expect(201).unwrap();
    made["id"].as_str().unwrap().to_owned()
}

async fn listed(world: &World, query: &str) -> Value {
    let listed = world.get(&format!("{PATH}{query}")).await;
    listed.expect(200).unwrap()["requests"].take()
}

async fn complete(world: &World, person: &Owner, id: &str, connection: &str) -> (u16, Value) {
    let call = Call::new(Method::PATCH, format!("{PATH}/{id}/approve-complete"));
    let body = json!({"connectionId": connection});
    of(&world.send(call.bearer(&person.token).json(&body)).await)
}

async fn deny(person: &Owner, id: &str) -> (u16, Value) {
    of(&person.delete(&format!("{PATH}/{id}")).await.unwrap())
}

fn fault(text: &str) -> Value {
    json!({ "error": text })
}

#[tokio::test]
async fn an_agent_asks_once_for_what_it_does_not_have() {
    let world = World::open().await;
    let agent = world.agent().await;
    let body = json!({"actionTemplateId": "slack", "policyTier": "strict", "reason": " To post "});
    let made = ask(&world, &agent, &body).await.expect(201).unwrap();
    assert_eq!(
        (&made["actionTemplateId"], &made["reason"]),
        (&json!("slack"), &json!("To post"))
    );
    let again = of(&ask(&world, &agent, &body).await);
    let pending = fault("A pending request for this action already exists");
    assert_eq!(again, (409, pending));

    let connection = world.connect_to("notion", "notion", &[]).await;
    let policy = give(&world, &agent, &connection, "notion-read").await;
    let notion = json!({"actionTemplateId": "notion-read", "reason": "x"});
    let has = fault("Agent already has access to this action");
    assert_eq!(of(&ask(&world, &agent, &notion).await), (409, has));
    let revoked = "update ah5.t_policies set status = 'revoked' where id";
    world.sql(&format!("{revoked} = '{policy}'")).await;
    assert_eq!(
        ask(&world, &agent, &notion).await.status,
        201,
        "not any more"
    );

    for (body, text) in [
        (
            json!({"actionTemplateId": "nothing", "reason": "x"}),
            "Unknown action template: nothing",
        ),
        (
            json!({"actionTemplateId": "trello-read"}),
            "body must have required property 'reason'",
        ),
        (
            json!({"actionTemplateId": "trello-read", "reason": " "}),
            "body/reason must NOT have fewer than 1 characters",
        ),
        (
            json!({"actionTemplateId": "trello-read", "reason": "é".repeat(501)}),
            "body/reason must NOT have more than 500 characters",
        ),
        (
            json!({"actionTemplateId": "trello-read", "reason": "x", "policyTier": "none"}),
            "body/policyTier must be equal to one of the allowed values",
        ),
    ] {
        let (status, refusal) = of(&ask(&world, &agent, &body).await);
        assert_eq!((status, &refusal["error"]), (400, &json!(text)));
    }
    let shown = listed(&world, "").await;
    assert_eq!(
        shown[0],
        json!({"id": made["id"], "agentId": agent.id, "agentName": "bot",
               "actionTemplateId": "slack", "policyTier": "strict", "reason": "To post",
               "status": "pending", "connectionId": null, "resolvedAt": null,
               "requestedAt": made["createdAt"]})
    );
    assert_eq!(shown.as_array().map(Vec::len), Some(2));
    let trail = world.audit("action=permission_requested").await;
    assert_eq!((trail.len(), &trail[0]["agentId"]), (2, &json!(agent.id)));
}

#[tokio::test]
async fn only_agents_ask_and_only_admins_resolve() {
    let world = World::open().await;
    let agent = world.agent().await;
    let id = asked(&world, &agent, "slack").await;
    let body = json!({"actionTemplateId": "slack", "reason": "x"});
    let by_a_person = world.post(PATH, &body).await;
    let text = "This endpoint is only available to agents (use an agent API key)";
    assert_eq!(of(&by_a_person), (403, fault(text)));
    let token = json!({"name": "t", "scopes": ["agents:read"]});
    let token = world.post("/v1/tokens", &token).await.json();
    let token = token["plainToken"].as_str().unwrap().to_owned();
    let by_token = world
        .send(Call::post(PATH).bearer(&token).json(&body))
        .await;
    assert_eq!(
        error(&by_token),
        "Missing required scope: capabilities:request"
    );

    let viewer = world.member("viewer").await;
    assert_eq!(viewer.get(PATH).await.unwrap().status, 200);
    assert_eq!(deny(&viewer, &id).await.0, 403);
    for (method, path) in [
        (Method::GET, PATH.to_owned()),
        (Method::POST, format!("{PATH}/{id}/approve")),
        (Method::PATCH, format!("{PATH}/{id}/approve-complete")),
        (Method::DELETE, format!("{PATH}/{id}")),
    ] {
        let call = agent.call(method, &path).json(&json!({}));
        assert_eq!(world.send(call).await.status, 403, "{path}");
    }
    let fault = fault("querystring/status must be equal to one of the allowed values");
    assert_eq!(
        of(&world.get(&format!("{PATH}?status=x")).await),
        (400, fault)
    );
}

#[tokio::test]
async fn approving_leads_on_to_connecting() {
    let world = World::open().await;
    let agent = world.agent().await;
    let approve =
        async |id: &str, body: Value| of(&world.post(&format!("{PATH}/{id}/approve"), &body).await);
    let slack = asked(&world, &agent, "slack").await;
    let plain = json!({"credentialType": "bot_token", "service": "slack"});
    assert_eq!(approve(&slack, json!({})).await, (200, plain));
    let choices = json!({"policyTier": "strict", "allowedModels": ["B", "A"]});
    let (_, next) = approve(&slack, choices).await;
    let url = format!(
        "/dashboard/connections?service=slack&agentId={}&actionTemplateId=slack&policyTier=strict\
         &permissionRequestId={slack}&allowedModels=A%2CB",
        agent.id
    );
    assert_eq!(next["redirectUrl"], url);
    let bad = approve(&slack, json!({"allowedModels": ["C"]})).await;
    assert_eq!(bad.0, 400);
    let gmail = asked(&world, &agent, "gmail-read").await;
    let (status, refused) = approve(&gmail, json!({})).await;
    let text = "No OAuth credentials available for provider \"google\". Add your own OAuth app in \
                Settings → Apps.";
    assert_eq!((status, &refused["error"]), (400, &json!(text)));
    assert!(refused["hint"].is_string());
    assert_eq!(
        listed(&world, "").await.as_array().map(Vec::len),
        Some(2),
        "nothing is resolved by that"
    );
    let notion = asked(&world, &agent, "notion-read").await;
    assert_eq!(deny(&world.owner, &notion).await.0, 200);
    let already = fault("Permission request is already denied");
    assert_eq!(approve(&notion, json!({})).await, (409, already));
}

#[tokio::test]
async fn a_request_is_resolved_once() {
    let world = World::open().await;
    let agent = world.agent().await;
    let slack = world.connect_to("slack", "slack", &[]).await;
    let notion = world.connect_to("notion", "notion", &[]).await;
    let approved = asked(&world, &agent, "slack").await;
    let owner = &world.owner;
    let (status, refused) = complete(&world, owner, &approved, &notion).await;
    assert_eq!(status, 400, "{refused}");
    let done = (200, json!({"success": true}));
    assert_eq!(complete(&world, owner, &approved, &slack).await, done);
    assert_eq!(
        complete(&world, owner, &approved, &slack).await,
        done,
        "again"
    );
    let already = (409, fault("Permission request is already approved"));
    assert_eq!(deny(owner, &approved).await, already);

    let denied = asked(&world, &agent, "notion-read").await;
    assert_eq!(deny(owner, &denied).await, done);
    assert_eq!(deny(owner, &denied).await, done, "again");
    let already = (409, fault("Permission request is already denied"));
    assert_eq!(complete(&world, owner, &denied, &notion).await, already);

    assert_eq!(listed(&world, "").await, json!([]));
    let all = listed(&world, "?status=all").await;
    assert_eq!(
        (&all[0]["status"], &all[0]["connectionId"]),
        (&json!("approved"), &json!(slack))
    );
    assert_eq!(all[1]["status"], "denied");
    assert!(all[1]["resolvedAt"].is_string());
    for (action, decision) in [
        ("permission_approved", "allowed"),
        ("permission_denied", "denied"),
    ] {
        let trail = world.audit(&format!("action={action}")).await;
        assert_eq!((trail.len(), &trail[0]["decision"]), (1, &json!(decision)));
    }
}

#[tokio::test]
async fn what_belongs_to_another_workspace_does_not_exist() {
    let (world, other) = (World::open().await, World::open().await);
    let agent = world.agent().await;
    let id = asked(&world, &agent, "slack").await;
    let theirs = other.connect_to("slack", "slack", &[]).await;
    let unknown = (404, fault("Permission request not found"));
    assert_eq!(deny(&other.owner, &id).await, unknown);
    assert_eq!(complete(&other, &other.owner, &id, &theirs).await, unknown);
    let approve = other
        .post(&format!("{PATH}/{id}/approve"), &json!({}))
        .await;
    assert_eq!(of(&approve), unknown);
    assert_eq!(listed(&other, "?status=all").await, json!([]));
    let no_connection = (404, fault("Connection not found"));
    assert_eq!(
        complete(&world, &world.owner, &id, &theirs).await,
        no_connection
    );
    let nobody = "00000000-0000-4000-8000-000000000000";
    assert_eq!(
        complete(&world, &world.owner, &id, nobody).await,
        no_connection
    );
    let revoked = world.connect_to("slack", "slack", &[]).await;
    world.owner.revoke(&revoked).await.unwrap();
    assert_eq!(
        complete(&world, &world.owner, &id, &revoked).await,
        no_connection
    );
    assert_eq!(listed(&world, "").await[0]["status"], "pending");
}

#[tokio::test]
async fn of_two_who_resolve_at_once_one_wins() {
    let world = World::open().await;
    let agent = world.agent().await;
    let slack = world.connect_to("slack", "slack", &[]).await;
    for _ in 0..5 {
        let id = asked(&world, &agent, "slack").await;
        let (denied, approved) = tokio::join!(
            deny(&world.owner, &id),
            complete(&world, &world.owner, &id, &slack)
        );
        let mut statuses = [denied.0, approved.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        let all = listed(&world, "?status=all").await;
        let all = all.as_array().unwrap();
        let stored = all.iter().find(|request| request["id"] == *id).unwrap();
        let winner = if denied.0 == 200 {
            "denied"
        } else {
            "approved"
        };
        assert_eq!(stored["status"], winner);
    }
    let mut told = world.audit("action=permission_denied").await;
    told.extend(world.audit("action=permission_approved").await);
    assert_eq!(told.len(), 5);
}
