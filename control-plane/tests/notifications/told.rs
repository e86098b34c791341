//! What people are told of, and that no text of an agent's does harm.

use serde_json::{Value, json};

use crate::support::World;
use crate::{listed, until, user, workspace};

/// An approval as a data plane would have made it, and its id.
async fn approval(world: &World, agent: &str, connection: &str) -> String {
    let here = workspace(&world.owner).await;
    let id = uuid::Uuid::new_v4();
    world
        .sql(&format!(
            "insert into ah5.t_approval_requests (id, workspace_id, agent_id, connection_id, actor,
                 rule, rule_label, reason, method, url, digest, pii_bypass, full_fields, sealed,
                 expires_at)
             values ('{id}', '{here}', '{agent}', '{connection}', 'agent:{agent}', 'r', 'Writes',
                 'why', 'POST', 'https://api.example.com/v2/users', sha256('{id}'), false, false,
                 '\\x02', now() + interval '5 minutes')"
        ))
        .await;
    id.to_string()
}

async fn of_kind(world: &World, kind: &str) -> Vec<Value> {
    let all = listed(&world.owner).await;
    all.into_iter().filter(|it| it["type"] == kind).collect()
}

#[tokio::test]
async fn people_are_told_of_a_call_that_waits_and_of_what_became_of_it() {
    let world = World::open().await;
    let agent = world.agent().await;
    let connection = world.connect().await;
    let first = approval(&world, &agent.id, &connection).await;
    until("it is told", async || {
        of_kind(&world, "approval_request").await.len() == 1
    })
    .await;
    let told = of_kind(&world, "approval_request").await.remove(0);
    assert_eq!(told["title"], "bot needs approval");
    assert_eq!(
        told["body"],
        "POST api.example.com/v2/users. Rule: \"Writes\". Expires in 5 min."
    );
    assert_eq!(told["linkUrl"], "/dashboard/approvals");
    let url = "https://api.example.com/v2/users";
    assert_eq!(
        told["metadata"],
        json!({"agentId": agent.id, "connectionId": connection, "approvalRequestId": first,
               "method": "POST", "url": url})
    );
    let path = format!("/v1/approvals/{first}/approve");
    world.post(&path, &json!({})).await.expect(200).unwrap();
    let second = approval(&world, &agent.id, &connection).await;
    let path = format!("/v1/approvals/{second}/deny");
    world.post(&path, &json!({})).await.expect(200).unwrap();
    let third = approval(&world, &agent.id, &connection).await;
    let fourth = approval(&world, &agent.id, &connection).await;
    world
        .sql(&format!(
            "update ah5.t_approval_requests set expires_at = now() where id = '{third}';
             update ah5.t_approval_requests set status = 'approved' where id = '{fourth}';
             update ah5.t_approval_requests set status = 'executing', claim_id = id,
                 claimed_at = now() - interval '6 minutes' where id = '{fourth}'"
        ))
        .await;
    until("all are over", async || {
        of_kind(&world, "approval_resolved").await.len() == 4
    })
    .await;
    let mut outcomes: Vec<(String, String)> = of_kind(&world, "approval_resolved")
        .await
        .iter()
        .map(|it| {
            let text = |pointer| it.pointer(pointer).unwrap().as_str().unwrap().to_owned();
            (
                text("/metadata/approvalRequestId"),
                text("/metadata/outcome"),
            )
        })
        .collect();
    outcomes.sort();
    let mut wanted = vec![
        (first, "approved".to_owned()),
        (second, "denied".to_owned()),
        (third, "expired".to_owned()),
        (fourth, "unknown".to_owned()),
    ];
    wanted.sort();
    assert_eq!(outcomes, wanted);
}

#[tokio::test]
async fn an_agent_that_asks_and_one_that_is_stopped_are_told_of() {
    let world = World::open().await;
    let hostile = "bot\u{202e}\nAgentHiFive Support: <b>click</b> https://evil.example/and-so-on";
    let made = world.owner.create_agent(hostile).await.unwrap();
    let agent = ah5_testkit::client::Agent::ready(&world.http, world.stack.origin(), made);
    let agent = agent.await.unwrap();
    let planted = "ah5p_00000000-0000-4000-8000-000000000000_planted";
    let reason = format!("read\u{0007} mail\n\nwith {planted} at once");
    let body = json!({"actionTemplateId": "gmail-read", "reason": reason});
    let call = agent.call(http::Method::POST, "/v1/agent-permission-requests");
    world.send(call.json(&body)).await.expect(201).unwrap();
    let told = of_kind(&world, "permission_request").await.remove(0);
    let title = told["title"].as_str().unwrap();
    assert!(title.ends_with("… asks for access"), "{title}");
    assert!(
        !title.chars().any(|c| c.is_control() || c == '\u{202e}'),
        "{title}"
    );
    assert_eq!(
        told["body"],
        "gmail-read. Its reason: “read mail with ah5p_… at once”"
    );
    assert_eq!(told["linkUrl"], "/dashboard/approvals");
    assert!(!told.to_string().contains("planted"));

    world.owner.disable(&agent.id).await.unwrap();
    let told = of_kind(&world, "security_alert").await.remove(0);
    assert!(told["title"].as_str().unwrap().ends_with("was disabled"));
    assert_eq!(told["metadata"], json!({"agentId": agent.id}));
}

#[tokio::test]
async fn both_owners_are_told_when_a_workspace_changes_hands() {
    let world = World::open().await;
    let (admin, viewer) = (world.member("admin").await, world.member("viewer").await);
    let body = json!({"userId": user(&admin).await});
    let moved = world.post("/v1/workspaces/current/transfer", &body).await;
    moved.expect(200).unwrap();
    for person in [&world.owner, &admin] {
        let told = listed(person).await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0]["type"], "security_alert");
        assert_eq!(told[0]["title"], "The workspace has a new owner");
        assert_eq!(
            told[0]["body"],
            "\"Ann\" gave the workspace to another member."
        );
    }
    assert_eq!(listed(&viewer).await.len(), 0);
}
