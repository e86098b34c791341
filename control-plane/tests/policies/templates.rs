//! Templates as they are shown.

use ah5_policy::templates::{Template, Tier};
use serde_json::{Value, json};

use crate::made;
use crate::support::{self, World, of};

#[tokio::test]
async fn the_rules_shown_are_those_that_would_be_made() {
    let world = World::open().await;
    let presets = async |query: String| {
        let (status, shown) = of(&world.get(&format!("/v1/templates/{query}")).await);
        assert_eq!(status, 200, "{query}: {shown}");
        shown["presets"].as_array().unwrap().clone()
    };
    let rules = |id: &str, tier| Template::find(id).unwrap().generate(tier).rules;
    let scope = "https://www.googleapis.com/auth/gmail.readonly";
    let gmail = world.connect_to("google-gmail", "google", &[scope]).await;
    let by_connection = format!("google-gmail/rules?connectionId={gmail}");
    for (query, id) in [
        ("google-gmail/rules".to_owned(), "gmail-manage"),
        (by_connection.clone(), "gmail-read"),
        (
            format!("{by_connection}&actionTemplateId=gmail-manage"),
            "gmail-manage",
        ),
        (
            "google-gmail/rules?actionTemplateId=gmail-read".to_owned(),
            "gmail-read",
        ),
        ("slack/rules".to_owned(), "slack"),
        (format!("slack/rules?connectionId={gmail}"), "slack"),
    ] {
        let shown = presets(query.clone()).await;
        let ids: Vec<&Value> = shown.iter().map(|preset| &preset["id"]).collect();
        assert_eq!(ids, ["minimal", "standard", "strict"]);
        assert_eq!(shown[2]["rules"], rules(id, Tier::Strict), "{query}");
    }
    let tier = json!({"actionTemplateId": "gmail-manage", "policyTier": "strict"});
    assert_eq!(made(&world, &gmail, &tier).await.0, 201);
    let used = presets(by_connection.clone()).await;
    assert_eq!(used[0]["rules"], rules("gmail-manage", Tier::Minimal));

    let stranger = world.stranger().await;
    let path = format!("/v1/templates/{by_connection}");
    let theirs = stranger.get(&path).await.unwrap().json();
    let none = rules("gmail-manage", Tier::Minimal);
    assert_eq!(
        theirs["presets"][0]["rules"], none,
        "as without a connection"
    );
    assert_eq!(presets("google/rules".to_owned()).await.len(), 3);
    let unknown = world.get("/v1/templates/nobody/rules").await;
    assert_eq!(unknown.status, 400);
}

#[tokio::test]
async fn what_makes_a_template_can_be_looked_at() {
    let world = World::open().await;
    let config = "/v1/templates/gmail-read/config?tier=strict&timezone=UTC";
    let (status, config) = of(&world.get(config).await);
    assert_eq!(
        (status, &config["rateLimits"]["maxRequestsPerHour"]),
        (200, &json!(50))
    );
    let listed = world.get("/v1/templates/microsoft").await.json();
    let listed = listed["templates"].as_array().unwrap();
    let drive = listed.iter().find(|t| t["id"] == "onedrive-read").unwrap();
    assert_eq!(
        (&drive["name"], &drive["description"], &drive["sensitive"]),
        (
            &json!("Read OneDrive"),
            &json!("Find and read files"),
            &json!(false)
        )
    );
    for (provider, count) in [
        ("google", 21),
        ("microsoft", 24),
        ("slack", 6),
        ("email", 0),
    ] {
        let path = format!("/v1/templates/{provider}/guards");
        let shown = world.get(&path).await.json();
        assert_eq!(shown["categories"].as_array().map(Vec::len), Some(8));
        assert_eq!(shown["guards"].as_array().map(Vec::len), Some(count));
    }
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
