//! Bots: one of each service, and what Slack's can be asked for.

use serde_json::{Value, json};

use crate::fixture::{Fixture, SLACK, TELEGRAM, WRONG, id, nothing_leaked, with_status};
use crate::support::error;

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_is_seen_cut_short_tested_and_the_only_one() {
    let fixture = Fixture::open().await;
    for (service, token, label, detail) in [
        (
            "telegram",
            TELEGRAM,
            "Stored token",
            "Bot @ah5_bot is active",
        ),
        ("slack", SLACK, "Bot token", "Connected to Acme"),
    ] {
        let body = json!({"service": service, "botToken": token});
        let bot = id(&fixture.connect("bot-token", &body).await);
        let again = fixture.connect("bot-token", &body).await;
        assert_eq!(again.status, 409, "{}", again.text());
        let preview = fixture.shown(&bot).await["credentialPreview"].clone();
        assert_eq!(preview["primaryLabel"], label);
        assert_eq!(preview["primaryMasked"], format!("{}...6789", &token[..4]));
        let tested = fixture.test(&bot).await;
        let expected = json!({"ok": true, "provider": service, "detail": detail});
        assert_eq!(tested.expect(200).unwrap(), expected);
    }
    nothing_leaked(&fixture.world, &[SLACK, TELEGRAM]);
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_is_asked_for_names_page_by_page_and_not_for_ever() {
    let fixture = Fixture::open().await;
    let page = |target: &str, member: &str, item: fn(usize) -> Value| {
        let from = target.split("cursor=").nth(1).unwrap_or("0");
        let from: usize = from.parse().unwrap();
        let items: Vec<Value> = (from..from + 200).map(item).collect();
        let next = (from + 200).to_string();
        let said = json!({"ok": true, member: items, "response_metadata": {"next_cursor": next}});
        with_status(200, &said)
    };
    fixture
        .provider
        .on("/api/conversations.list", move |received| async move {
            let item = |n: usize| {
                json!({"id": format!("C{n}"), "name": format!("room-{n}"), "is_private": n == 1,
                   "num_members": n})
            };
            page(&received.target, "channels", item)
        });
    fixture.provider.on("/api/users.list", |_| async {
        let said = json!({"ok": true, "members": [
            {"id": "U1", "name": "ann", "real_name": "Ann", "profile": {"display_name": "Annie"}},
            {"id": "U2", "name": "bob", "real_name": "Bob", "profile": {"display_name": ""}},
            {"id": "U3", "name": "gone", "deleted": true},
            {"id": "USLACKBOT", "name": "slackbot"},
        ]});
        with_status(200, &said)
    });
    let body = json!({"service": "slack", "botToken": SLACK});
    let bot = id(&fixture.connect("bot-token", &body).await);
    let ask = async |kind: &str| {
        let path = format!("/v1/connections/{bot}/lookup");
        fixture.world.post(&path, &json!({"type": kind})).await
    };
    let channels = ask("channels").await.expect(200).unwrap();
    let items = channels["items"].as_array().unwrap();
    assert_eq!(items.len(), 1000, "it goes on for ever");
    let second = json!({"id": "C1", "name": "room-1", "isPrivate": true, "memberCount": 1});
    assert_eq!(items[1], second);
    let asked = fixture.provider.journal();
    let asked = asked
        .iter()
        .filter(|it| it.path() == "/api/conversations.list");
    assert!(asked.clone().count() <= 10);
    assert!(
        asked
            .clone()
            .all(|it| it.method == "GET" && it.target.contains("limit=200"))
    );
    let users = ask("users").await.expect(200).unwrap();
    let expected = json!({"items": [
        {"id": "U1", "name": "ann", "displayName": "Annie", "isBot": false},
        {"id": "U2", "name": "bob", "displayName": "Bob", "isBot": false},
    ]});
    assert_eq!(users, expected);

    fixture.provider.on("/api/users.list", |_| async {
        with_status(200, &json!({"ok": false, "error": "missing_scope"}))
    });
    let refused = ask("users").await;
    assert_eq!(error(&refused), "Slack API error: missing_scope");
    assert!(
        refused.json()["hint"]
            .as_str()
            .unwrap()
            .contains("users:read")
    );
    fixture.provider.on("/api/users.list", |_| async {
        with_status(503, &json!({}))
    });
    let away = "Could not reach Slack API. Please try again later.";
    assert_eq!(error(&ask("users").await), away);
    assert_eq!(ask("emoji").await.status, 400);

    let notion = fixture.made("notion", crate::fixture::GOOD).await;
    let path = format!("/v1/connections/{notion}/lookup");
    let refused = fixture.world.post(&path, &json!({"type": "users"})).await;
    assert_eq!(
        error(&refused),
        "Lookup is only supported for Slack connections"
    );
    fixture.world.owner.revoke(&bot).await.unwrap();
    assert_eq!(error(&ask("users").await), "Connection is revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_whose_token_was_withdrawn_needs_another() {
    let fixture = Fixture::open().await;
    for (service, good, wrong, why) in [
        (
            "telegram",
            TELEGRAM,
            format!("12345678:{WRONG}"),
            "Telegram getMe failed (401): Unauthorized",
        ),
        (
            "slack",
            SLACK,
            format!("xoxb-{WRONG}"),
            "Slack token validation failed: invalid_auth",
        ),
    ] {
        let body = json!({"service": service, "botToken": good});
        let bot = id(&fixture.connect("bot-token", &body).await);
        let path = format!("/v1/connections/{bot}/credentials");
        let put = async |body: Value| fixture.world.put(&path, &body).await;
        assert_eq!(error(&put(json!({})).await), "botToken is required");
        assert_eq!(error(&put(json!({"botToken": wrong})).await), why);
        assert_eq!(fixture.shown(&bot).await["status"], "healthy");
        let put = put(json!({"botToken": format!("{good}-2")})).await;
        let message = put.expect(200).unwrap()["message"].clone();
        assert!(
            message
                .as_str()
                .unwrap()
                .ends_with("Bot credential updated successfully")
        );
        let path = format!("/v1/connections/{bot}/reauth");
        let again = fixture.world.post(&path, &json!({"botToken": good})).await;
        let message = again.expect(200).unwrap()["message"].clone();
        assert!(
            message
                .as_str()
                .unwrap()
                .ends_with("reconnected successfully")
        );
    }
}
