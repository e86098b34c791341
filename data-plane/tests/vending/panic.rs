//! Everything is to stop: first the agents and what is handed out, then the connections.

use ah5_testkit::client::Call;
use serde_json::json;

use crate::fixture::{Gmail, personal};
use crate::support::sealed::{Sealed, insert};

#[tokio::test]
async fn panic_stops_agents_first_and_connections_only_as_they_were_seen() {
    let gmail = Gmail::good_for(Some(1800)).await;
    gmail.allow(&json!({"modelA": true, "resolve": true})).await;
    let world = &gmail.world;
    let path = "/v1/workspaces/current/panic";
    let seen = world.owner.get(path).await.unwrap().expect(200).unwrap();
    assert_eq!(seen["agents"].as_array().unwrap().len(), 1);
    assert_eq!(seen["connections"].as_array().unwrap().len(), 2);
    let stopped = world
        .owner
        .post(path, &json!({"stop": true}))
        .await
        .unwrap();
    assert_eq!(stopped.expect(200).unwrap()["agentsDisabled"], 1);
    world
        .until(|| async { gmail.ask().await.status == 401 })
        .await;
    // Turning the agent on again turns on nothing else.
    let vends = format!(
        "select count(*) from ah5.t_workspaces w join ah5.t_agents a on a.workspace_id = w.id
         where a.id = '{}' and (w.vends_tokens or w.resolves_credentials)",
        world.agent.id
    );
    assert_eq!(world.number(&vends).await, 0);
    world.owner.enable(&world.agent.id).await.unwrap();
    // Something new has come up since it was looked at.
    let slack = Sealed {
        service: "slack",
        base_url: "https://slack.com/",
        secret: "xoxb-0123456789-abcdef",
        ..Sealed::default()
    };
    insert(world, slack).await;
    let revoke = format!("{path}/revoke");
    let digest = json!({"digest": seen["digest"]});
    let refused = world.owner.post(&revoke, &digest).await.unwrap();
    assert_eq!(refused.status, 409);
    let seen = world.owner.get(path).await.unwrap().expect(200).unwrap();
    let token = personal(world, &["panic"]).await;
    let digest = json!({"digest": seen["digest"]});
    let by_token = Call::post(&*revoke).bearer(&token).json(&digest);
    assert_eq!(world.control.send(by_token).await.unwrap().status, 403);
    let done = world.owner.post(&revoke, &digest).await.unwrap();
    let done = done.expect(200).unwrap();
    let report = done["connections"].as_array().unwrap();
    assert_eq!(report.len(), 3);
    let at = |id: &str| report.iter().find(|it| it["id"] == id).unwrap()["atProvider"].clone();
    assert_eq!(
        (at(&gmail.id), at(&world.connection)),
        (json!("queued"), json!("by_hand"))
    );
    let left = world
        .number(
            "select count(*) from ah5.t_connection_credentials s
        join ah5.t_connections c on c.id = s.connection_id where c.status = 'revoked'",
        )
        .await;
    assert_eq!(left, 0);
}
