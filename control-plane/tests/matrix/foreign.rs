//! Ids of another workspace. Whoever has one learns no more than with one that was made up, and
//! changes nothing.

use ah5_testkit::client::Call;
use http::Method;
use serde_json::{Value, json};

use crate::callers::personal;
use crate::support::World;
use crate::table::{Route, routes};
use crate::{NOTHING, support};

const LISTS: [&str; 9] = [
    "/v1/agents",
    "/v1/connections",
    "/v1/notification-channels",
    "/v1/notifications",
    "/v1/policies",
    "/v1/tokens",
    "/v1/workspace-oauth-apps",
    "/v1/workspaces/current/invitations",
    "/v1/workspaces/current/members",
];

#[tokio::test]
async fn a_foreign_id_is_as_good_as_none() {
    let victim = World::open().await;
    let ids = ids(&victim).await;
    let before = everything(&victim).await;
    let thief = victim.stranger().await;
    // Else an invitation would be refused for another reason.
    victim.prove(&thief).await;
    let routes = routes();
    let taking: Vec<&Route> = routes.iter().filter(|r| r.path.contains("{id}")).collect();
    for route in &taking {
        for id in [id_for(&ids, route), NOTHING] {
            let mut call = route.call(id);
            if let Some(body) = body(route) {
                call = call.json(&body);
            }
            let answer = victim.send(call.bearer(&thief.token)).await;
            let name = route.name();
            assert_eq!(answer.status, 404, "{name} {id}: {}", answer.text());
            assert!(!answer.contains(&victim.owner.email), "{name}");
        }
    }
    assert_eq!(everything(&victim).await, before);
    println!(
        "{} routes take an id; none took a foreign one",
        taking.len()
    );
}

#[tokio::test]
async fn what_is_no_id_is_refused_as_such() {
    let world = World::open().await;
    for route in routes().iter().filter(|r| r.path.contains("{id}")) {
        for id in [
            "x",
            "urn:uuid:00000000-0000-4000-8000-000000000000",
            "%00",
            "%FF",
        ] {
            let mut call: Call = route.call(id);
            if let Some(body) = body(route) {
                call = call.json(&body);
            }
            let answer = world.send(call.bearer(&world.owner.token)).await;
            // An address that nobody has proved is refused before the invitation is looked at.
            assert!(
                matches!(answer.status.as_u16(), 400 | 403),
                "{} {id}: {} {}",
                route.name(),
                answer.status,
                answer.text()
            );
        }
    }
}

/// What a workspace has, as its owner sees it.
async fn everything(world: &World) -> Vec<Value> {
    let mut found = Vec::new();
    for path in LISTS {
        found.push(world.get(path).await.expect(200).unwrap());
    }
    found
}

/// One id of each kind that the owner has, by the path that its routes begin with.
async fn ids(world: &World) -> Vec<(&'static str, String)> {
    let made = world.owner.create_agent("bot").await.unwrap();
    let connection = world.connect().await;
    let allow =
        json!([{"baseUrl": support::BASE_URL, "methods": ["GET"], "pathPatterns": ["/**"]}]);
    let policy = world
        .owner
        .allow(&made.id, &connection, &allow)
        .await
        .unwrap();
    let (token, _) = personal(&world.owner, "*").await;
    world.member("viewer").await;
    let body = json!({"email": "guest@example.com", "role": "viewer"});
    let invited = world
        .post("/v1/workspaces/current/invitations", &body)
        .await;
    let invitation = invited.expect(201).unwrap()["invitation"]["id"].clone();
    let invitation = invitation.as_str().unwrap().to_owned();
    let members = world.get("/v1/workspaces/current/members").await.json();
    let mut members = members["members"].as_array().unwrap().iter();
    let member = members.find(|member| member["role"] == "viewer").unwrap();
    let member = member["userId"].as_str().unwrap().to_owned();
    let want = json!({"actionTemplateId": "gmail-read", "reason": "to read"});
    let want = Call::post("/v1/agent-permission-requests").json(&want);
    let asked = world.send(want.bearer(&world.agent().await.token)).await;
    let asked = asked.expect(201).unwrap()["id"].clone();
    let asked = asked.as_str().unwrap().to_owned();
    let hook = json!({"channelType": "webhook", "config": {"url": "https://hooks.example.com/a"}});
    let channel = world.post("/v1/notification-channels", &hook).await;
    let channel = channel.expect(200).unwrap()["channel"]["id"].clone();
    let channel = channel.as_str().unwrap().to_owned();
    let client = json!({
        "provider": "google", "clientId": "c", "clientSecret": "planted-secret", "label": "Own",
    });
    let client = world.post("/v1/workspace-oauth-apps", &client).await;
    let client = client.expect(201).unwrap()["id"].clone();
    let client = client.as_str().unwrap().to_owned();
    // The agent's asking made it.
    let told = world.get("/v1/notifications").await.json();
    let told = told["notifications"][0]["id"].as_str().unwrap().to_owned();
    vec![
        ("/notification-channels/", channel),
        ("/agent-permission-requests/", asked),
        ("/agents/", made.id),
        // Only a data plane makes one: its tests have a stranger try.
        ("/approvals/", NOTHING.to_owned()),
        ("/connections/", connection),
        ("/notifications/", told),
        ("/policies/", policy),
        ("/tokens/", token),
        ("/workspace-oauth-apps/", client),
        ("/workspaces/current/members/", member),
        ("/workspaces/current/invitations/", invitation.clone()),
        ("/invitations/", invitation),
    ]
}

fn id_for<'a>(ids: &'a [(&str, String)], route: &Route) -> &'a str {
    let path = route.path.strip_prefix("/v1").unwrap_or(&route.path);
    let found = ids.iter().find(|(prefix, _)| path.starts_with(prefix));
    let (_, id) = found.unwrap_or_else(|| panic!("{}: name an id that it takes", route.name()));
    id
}

/// What the route looks at before it looks for the id; `{}` does for the others.
fn body(route: &Route) -> Option<Value> {
    let path = route.path.strip_prefix("/v1").unwrap_or(&route.path);
    Some(match (&route.method, path) {
        (&Method::PUT, "/agents/{id}" | "/tokens/{id}") => json!({"name": "mine"}),
        (&Method::POST, "/agents/{id}/trusts") => {
            json!({"issuer": "https://issuer.example", "subject": "a"})
        }
        (&Method::PATCH, "/notification-channels/{id}/enabled") => json!({"enabled": false}),
        (&Method::POST, "/notification-channels/{id}/verify") => json!({"code": "00000000"}),
        (&Method::PUT, "/agents/{id}/owner") => json!({"userId": NOTHING}),
        (&Method::PATCH, "/agent-permission-requests/{id}/approve-complete") => {
            json!({"connectionId": NOTHING})
        }
        (&Method::POST, "/approvals/{id}/rule") => json!({"rule": {}, "position": 0}),
        (&Method::PUT, "/connections/{id}/label") => json!({"label": "mine"}),
        (&Method::POST, "/connections/{id}/lookup") => json!({"type": "channels"}),
        (&Method::PUT, "/policies/{id}") => json!({"defaultMode": "read_only"}),
        (&Method::POST, "/policies/{id}/changes") => json!({"policy": {}, "requests": []}),
        (&Method::PUT, "/policies/{id}/allowlists") => json!({"allowlists": []}),
        (&Method::PUT, "/policies/{id}/time-windows") => json!({"timeWindows": []}),
        (&Method::PUT, "/policies/{id}/rules") => json!({"rules": {"request": [], "response": []}}),
        (&Method::PUT, "/workspaces/current/members/{id}") => json!({"role": "viewer"}),
        _ => return None,
    })
}
