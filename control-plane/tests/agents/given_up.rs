//! An agent gives up a connection.

use http::Method;
use serde_json::json;

use crate::give;
use crate::support::{World, of};

#[tokio::test]
async fn an_agent_revokes_what_it_was_given_and_nothing_else() {
    let world = World::open().await;
    let (agent, other) = (world.agent().await, world.agent().await);
    let connection = world.connect_to("slack", "slack", &[]).await;
    let policy = give(&world, &agent, &connection, "slack").await;
    let revoke = async |agent: &ah5_testkit::client::Agent, id: &str| {
        let path = format!("/v1/connections/{id}/revoke");
        of(&world.send(agent.call(Method::POST, &path)).await)
    };
    let unknown = (404, json!({"error": "Connection not found"}));
    assert_eq!(revoke(&other, &connection).await, unknown);
    let nobody = "00000000-0000-4000-8000-000000000000";
    assert_eq!(
        revoke(&other, nobody).await,
        unknown,
        "as if there were none"
    );
    world
        .sql(&format!(
            "update ah5.t_policies set status = 'revoked' where id = '{policy}'"
        ))
        .await;
    assert_eq!(
        revoke(&agent, &connection).await,
        unknown,
        "no longer given"
    );
    give(&world, &agent, &connection, "slack").await;
    let (status, done) = revoke(&agent, &connection).await;
    assert_eq!((status, &done["revoked"]), (200, &json!(true)));
    let trail = world.audit("action=connection_revoked").await;
    assert_eq!(trail.len(), 1);
    assert_eq!(
        (&trail[0]["agentId"], &trail[0]["actor"]),
        (&json!(agent.id), &json!(format!("agent:{}", agent.id)))
    );
}
