//! Templates: what they show, and policies made from them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::json;
use support::{World, of};

#[tokio::test]
async fn a_template_makes_a_policy_that_can_be_written_back() {
    let world = World::open().await;
    let agent = world.agent().await;
    let connection = world.connect().await;
    let draft = json!({"agentId": agent.id, "connectionId": connection});
    let policy = world.post("/v1/policies", &draft).await.json();
    let path = format!("/v1/policies/{}", policy["policy"]["id"].as_str().unwrap());
    for name in ["gmail-read", "notion", "google", "telegram", "slack"] {
        let path_of = format!("/v1/templates/{name}/rules");
        let (status, made) = of(&world.get(&path_of).await);
        assert_eq!(status, 200);
        for preset in made["presets"].as_array().unwrap() {
            let rules = json!({"rules": preset["rules"]});
            let (status, stored) = of(&world.put(&format!("{path}/rules"), &rules).await);
            assert_eq!(
                (status, &stored["policy"]["rules"]),
                (200, &preset["rules"]),
                "{name}"
            );
        }
    }
    let config = "/v1/templates/gmail-read/config?tier=strict";
    let (status, config) = of(&world.get(config).await);
    assert_eq!(
        (status, &config["rateLimits"]["maxRequestsPerHour"]),
        (200, &json!(50))
    );
    let lists = json!({"allowlists": config["allowlists"]});
    let stored = world.put(&format!("{path}/allowlists"), &lists).await;
    assert_eq!(stored.status, 200);
    let guards = world.get("/v1/templates/slack/guards").await.json();
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
        let got = world.get(path).await;
        assert_eq!((got.status.as_u16(), &*support::error(&got)), (400, error));
    }
}
