//! `POST /v1/credentials/resolve`: credentials for admins' own programs.

use std::sync::Arc;

use ah5_testkit::client::{Answer, Call};
use http::Method;
use serde_json::{Value, json};

use crate::fixture::{Gmail, TOKEN, personal, said};
use crate::support::sealed::{Sealed, insert};
use crate::support::{self, World};

struct Resolver<'a> {
    world: &'a World,
    token: String,
}

// === impl Resolver ===

impl Resolver<'_> {
    async fn resolve(&self, body: &Value) -> Answer {
        let call = Call::post("/v1/credentials/resolve").bearer(&self.token);
        self.world.send(call.json(body)).await
    }
}

#[tokio::test]
async fn credentials_are_for_admins_who_may_and_never_for_agents() {
    let gmail = Gmail::good_for(Some(1800)).await;
    let world = &gmail.world;
    let google = json!({"kind": "plugin_config", "provider": "google"});
    let agent = world.agent.call(Method::POST, "/v1/credentials/resolve");
    let (status, error, hint) = said(&world.send(agent.json(&google)).await);
    assert_eq!(status, 403);
    assert!(error.contains("Agents cannot access credentials/resolve directly"));
    assert!(hint.contains("vault/execute"));
    let mut resolver = Resolver {
        token: world.owner.token.clone(),
        world,
    };
    let (status, error, _) = said(&resolver.resolve(&google).await);
    assert_eq!(
        (status, &*error),
        (403, "credentials/resolve is not enabled for this workspace")
    );
    gmail.allow(&json!({"resolve": true})).await;
    world
        .until(|| async { resolver.resolve(&google).await.status == 200 })
        .await;
    let found = resolver.resolve(&google).await.json();
    assert_eq!(
        (&found["apiKey"], &found["mode"]),
        (&json!(TOKEN), &json!("oauth"))
    );
    assert_eq!(found["source"], format!("vault:google:{}", gmail.id));
    let ttl = found["cacheTtlMs"].as_i64().unwrap();
    assert!((30_000..=300_000).contains(&ttl), "{ttl}");
    for (body, status, text) in [
        (
            json!({"kind": "channel", "provider": "nobody"}),
            404,
            "No credential found for provider: nobody",
        ),
        (
            json!({"kind": "channel"}),
            400,
            "kind and provider are required",
        ),
        (
            json!({"kind": "x", "provider": "google"}),
            400,
            "body/kind must be equal to one of the allowed values",
        ),
        (
            json!({"kind": "channel", "provider": "slack"}),
            404,
            "No credential found for provider: slack",
        ),
        // It has a place of its owner's choice.
        (
            json!({"kind": "channel", "provider": "custom", "profileId": world.connection}),
            404,
            "No credential found for provider: custom",
        ),
    ] {
        let (got, error, _) = said(&resolver.resolve(&body).await);
        assert_eq!((got, &*error), (status, text), "{body}");
    }
    // A token must name the scope; that of calls is not it, nor the other way round.
    resolver.token = personal(world, &["vault:execute", "*"]).await;
    world
        .until(|| async { resolver.resolve(&google).await.status == 403 })
        .await;
    let (_, error, _) = said(&resolver.resolve(&google).await);
    assert_eq!(error, "Missing required scope: credentials:resolve");
    resolver.token = personal(world, &["credentials:resolve"]).await;
    world
        .until(|| async { resolver.resolve(&google).await.status == 200 })
        .await;
    let call = Call::get(format!("/v1/proxy/{}/x", gmail.id)).bearer(&resolver.token);
    let call = call.header("x-ah5-agent-id", &*world.agent.id);
    assert_eq!(
        said(&world.send(call).await).1,
        "Missing required scope: vault:execute"
    );
    world
        .until(|| async {
            let audited = world.owner.audit("action=credential_resolved").await;
            audited
                .unwrap()
                .iter()
                .any(|row| row["decision"] == "allowed")
        })
        .await;
}

#[tokio::test]
async fn a_keys_connection_stays_healthy_when_its_key_is_resolved() {
    let gmail = Gmail::good_for(Some(1800)).await;
    let slack = Sealed {
        service: "slack",
        base_url: "https://slack.com/",
        secret: "xoxb-0123456789-abcdef",
        ..Sealed::default()
    };
    let slack = insert(&gmail.world, slack).await;
    gmail.allow(&json!({"resolve": true})).await;
    let resolver = Resolver {
        token: gmail.world.owner.token.clone(),
        world: &gmail.world,
    };
    let body = json!({"kind": "channel", "provider": "slack"});
    gmail
        .world
        .until(|| async { resolver.resolve(&body).await.status == 200 })
        .await;
    let found = resolver.resolve(&body).await.json();
    assert_eq!(
        (&found["mode"], &found["cacheTtlMs"]),
        (&json!("token"), &json!(300_000))
    );
    let listed = gmail
        .world
        .owner
        .get("/v1/connections")
        .await
        .unwrap()
        .json();
    let all = listed["connections"].as_array().unwrap();
    let shown = all.iter().find(|it| it["id"] == *slack).unwrap();
    assert_eq!(shown["status"], "healthy");
    gmail.world.owner.revoke(&slack).await.unwrap();
    let profile = json!({"kind": "channel", "provider": "slack", "profileId": slack});
    gmail
        .world
        .until(|| async { resolver.resolve(&profile).await.status == 404 })
        .await;
    assert_eq!(
        said(&resolver.resolve(&profile).await).1,
        "Connection is revoked"
    );
}
/// The installation's client is of all workspaces: it is for consents and refreshing alone.
#[tokio::test]
async fn the_secret_of_the_installations_client_is_handed_to_nobody() {
    const CLIENT_SECRET: &str = "planted-client-secret-0123456789";
    let builder = support::two_planes().data_planes(1);
    let builder = builder.env("MICROSOFT_CLIENT_ID", "planted-client-id");
    let builder = builder.env("MICROSOFT_CLIENT_SECRET", CLIENT_SECRET);
    let world = World::closed(Arc::new(builder.start().unwrap())).await;
    let teams = Sealed {
        service: "microsoft-teams",
        base_url: "https://graph.microsoft.com/",
        secret: TOKEN,
        token_url: Some("https://login.microsoftonline.com/common/oauth2/v2.0/token"),
        expires_in: Some(1800),
        ..Sealed::default()
    };
    let resolver = Resolver {
        token: world.owner.token.clone(),
        world: &world,
    };
    let path = "/v1/workspaces/current/vending";
    let on = world.owner.put(path, &json!({"resolve": true})).await;
    on.unwrap().expect(200).unwrap();
    let channel = json!({"kind": "channel", "provider": "msteams"});
    world
        .until(|| async { resolver.resolve(&channel).await.status == 404 })
        .await;
    insert(&world, teams).await;
    world
        .until(|| async { resolver.resolve(&channel).await.status == 200 })
        .await;
    let found = resolver.resolve(&channel).await.json();
    assert_eq!(found["apiKey"], TOKEN);
    for kind in ["channel", "model_provider", "plugin_config"] {
        for provider in ["microsoft", "microsoft-teams", "msteams", "teams"] {
            let asked = json!({"kind": kind, "provider": provider});
            let answer = resolver.resolve(&asked).await;
            for planted in [CLIENT_SECRET, "planted-client-id"] {
                assert!(!answer.contains(planted), "{asked}: {}", answer.text());
            }
        }
    }
}
