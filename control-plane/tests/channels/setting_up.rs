//! Channels as people set them up, by the words that clients know.

use std::sync::Arc;

use ah5_testkit::client::Call;
use http::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::fixture::{CHAT, Fixture, HOOKS, answer, id};
use crate::support::error;

const PATH: &str = "/v1/notification-channels";

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_verified_by_a_message_and_anew_when_it_changes() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let bot = fixture.bot("telegram").await;
    let body = json!({"channelType": "telegram", "connectionId": bot,
        "config": {"chatId": 4242, "note": "kept"}});
    let channel = fixture.put(&body).await;
    let expected = json!({
        "id": channel["id"], "channelType": "telegram", "enabled": true, "connectionId": bot,
        "config": {"chatId": CHAT, "note": "kept"}, "verificationStatus": "pending", "error": null,
    });
    assert_eq!(channel, expected);
    let channel = id(&channel);
    let tried = fixture.try_out(&channel).await.expect(200).unwrap();
    assert_eq!(tried, json!({"ok": true, "error": null}));
    let listed = fixture.only().await;
    assert_eq!(listed["verificationStatus"], "verified");
    assert!(listed["createdAt"].is_string());
    let switch = async |enabled: Value| {
        let call = Call::new(Method::PATCH, format!("{PATH}/{channel}/enabled"));
        let call = call.json(&json!({"enabled": enabled}));
        world.send(call.bearer(&world.owner.token)).await
    };
    let off = switch(false.into()).await.expect(200).unwrap();
    assert_eq!(off, json!({"id": channel, "enabled": false}));
    assert_eq!(
        error(&switch("off".into()).await),
        "body/enabled must be boolean"
    );
    // The same row, still off, to be proved again.
    let again = fixture.put(&body).await;
    assert_eq!(
        (
            &again["id"],
            &again["enabled"],
            &again["verificationStatus"]
        ),
        (&json!(channel), &json!(false), &json!("pending"))
    );
    let removed = world
        .owner
        .delete(&format!("{PATH}/{channel}"))
        .await
        .unwrap();
    assert_eq!(removed.expect(200).unwrap(), json!({"deleted": true}));
    let removed = world
        .owner
        .delete(&format!("{PATH}/{channel}"))
        .await
        .unwrap();
    assert_eq!(error(&removed), "Notification channel not found");
    let mut actions: Vec<_> = world.audit("").await;
    actions.retain(|event| event["action"].as_str().unwrap().starts_with("channel_"));
    assert_eq!(actions.len(), 5, "{actions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_channel_needs_is_said() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let (telegram, slack) = (fixture.bot("telegram").await, fixture.bot("slack").await);
    let nothing = "00000000-0000-4000-8000-000000000000";
    let sick = world.connect_to("telegram", "telegram", &[]).await;
    world
        .sql(&format!(
            "update ah5.t_connections set status = 'needs_reauth' where id = '{sick}'"
        ))
        .await;
    let webhook = |url: &str| json!({"channelType": "webhook", "config": {"url": url}});
    let bot = |kind: &str, connection: &str, config: Value| json!({"channelType": kind, "connectionId": connection, "config": config});
    let chat = || json!({"chatId": CHAT});
    let own = format!("{}/x", world.stack.origin());
    let cases = [
        (
            json!({}),
            400,
            "body must have required property 'channelType'",
        ),
        (
            json!({"channelType": "fax"}),
            400,
            "body/channelType must be equal to one of the allowed values",
        ),
        (
            json!({"channelType": "telegram", "config": {}}),
            400,
            "body must have required property 'connectionId'",
        ),
        (
            json!({"channelType": "telegram", "connectionId": telegram}),
            400,
            "body must have required property 'config'",
        ),
        (
            bot("telegram", &telegram, json!([])),
            400,
            "body/config must be object",
        ),
        (
            bot("telegram", &telegram, json!({})),
            400,
            "chatId is required for Telegram channels",
        ),
        (
            bot("slack", &slack, json!({})),
            400,
            "channelId is required for Slack channels",
        ),
        (
            bot("telegram", &telegram, json!({"chatId": "a b"})),
            400,
            "body/config/chatId is not one",
        ),
        (
            bot("telegram", nothing, chat()),
            404,
            "Connection not found",
        ),
        (
            bot("telegram", &slack, chat()),
            400,
            "Connection must be a telegram bot connection",
        ),
        (
            bot("telegram", &sick, chat()),
            400,
            "Connection is not healthy",
        ),
        (
            json!({"channelType": "email", "config": {"address": "a@example.com"}}),
            400,
            "Mail is not configured here",
        ),
        (
            json!({"channelType": "webhook", "config": {}}),
            400,
            "url is required for webhook channels",
        ),
        (
            webhook("/x"),
            400,
            "body/config/url must be an absolute URL",
        ),
        (
            webhook("http://hooks.example.com/"),
            400,
            "body/config/url must use https",
        ),
        (
            webhook("ftp://hooks.example.com/"),
            400,
            "body/config/url must use https",
        ),
        (
            webhook("https://a:b@hooks.example.com/"),
            400,
            "body/config/url must not hold a user, a password or a fragment",
        ),
        (
            webhook("https://127.0.0.1/"),
            400,
            "body/config/url must be a public address",
        ),
        (
            webhook("https://10.0.0.1/"),
            400,
            "body/config/url must be a public address",
        ),
        (
            webhook("https://2130706433/"),
            400,
            "body/config/url must be a public address",
        ),
        (
            webhook("https://169.254.169.254/"),
            400,
            "body/config/url must be a public address",
        ),
        (
            webhook("https://[::1]/"),
            400,
            "body/config/url must be a public address",
        ),
        (
            webhook("https://[::ffff:10.0.0.1]/"),
            400,
            "body/config/url must be a public address",
        ),
        (webhook(&own), 400, "body/config/url must use https"),
    ];
    for (body, status, text) in cases {
        let refused = world.post(PATH, &body).await;
        let found = (refused.status.as_u16(), error(&refused));
        assert_eq!(found, (status, text.to_owned()), "{body}");
    }
    let listed = world.get(PATH).await.expect(200).unwrap();
    assert_eq!(listed["channels"], json!([]));
    // Revoking the bot leaves a channel without a voice.
    let channel = fixture.put(&bot("telegram", &telegram, chat())).await;
    world.owner.revoke(&telegram).await.unwrap();
    let tried = fixture.try_out(&id(&channel)).await;
    assert_eq!(tried.status, 400);
    assert_eq!(
        error(&tried),
        "Connection has no tokens — reconnect the bot"
    );
}

/// The name is judged by what it resolves to, when it is called.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_inside_is_not_called() {
    let fixture = Fixture::open().await;
    let port = fixture.provider.port();
    let url = format!("https://localhost:{port}/hook");
    let channel = fixture
        .put(&json!({"channelType": "webhook", "config": {"url": url}}))
        .await;
    let tried = fixture.try_out(&id(&channel)).await.expect(200).unwrap();
    assert_eq!(tried["ok"], false);
    let why = tried["error"].as_str().unwrap();
    assert!(
        why.starts_with("Blocked: hostname localhost resolves"),
        "{why}"
    );
    assert!(fixture.provider.journal().is_empty());
    assert_eq!(fixture.only().await["verificationStatus"], "pending");
}

/// A message that arrived at the old address proves nothing of the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_changes_while_it_is_tried_is_not_verified() {
    let fixture = Fixture::open().await;
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    fixture.provider.on("/old", move |_| {
        let released = Arc::clone(&released);
        async move {
            released.notified().await;
            answer(200, &json!({}))
        }
    });
    let webhook = |path: &str| {
        let url = format!("https://{HOOKS}{path}");
        json!({"channelType": "webhook", "config": {"url": url}})
    };
    let channel = id(&fixture.put(&webhook("/old")).await);
    let change = async {
        fixture.requests("/old", 1).await;
        fixture.put(&webhook("/new")).await;
        release.notify_one();
    };
    let (tried, ()) = tokio::join!(fixture.try_out(&channel), change);
    assert_eq!(error(&tried), "The channel was changed meanwhile");
    assert_eq!(fixture.only().await["verificationStatus"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhooks_secret_is_shown_once_and_kept_sealed() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let channel = fixture.webhook("/hook?key=planted-key").await;
    let secret = channel["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() > 40);
    let listed = fixture.only().await;
    assert_eq!(listed["config"]["url"], format!("https://{HOOKS}/…"));
    assert!(listed.get("secret").is_none());
    let dump = world.stack.dump().unwrap();
    assert!(!dump.contains(secret) && !world.log().contains(secret));
    assert!(!world.log().contains("planted-key"));
    // Whoever changes where it goes has no signature for there.
    world
        .sql(&format!(
            "update ah5.t_notification_channels
             set config = '{{\"url\": \"https://{HOOKS}/elsewhere\"}}'"
        ))
        .await;
    let tried = fixture.try_out(&id(&channel)).await;
    assert_eq!(error(&tried), "The webhook's secret does not open");
    let again = fixture.webhook("/hook").await;
    assert!(again["secret"].is_string() && again["secret"] != channel["secret"]);
    let first = fixture.requests("/hook", 1).await.remove(0);
    assert!(
        first
            .header("webhook-signature")
            .unwrap()
            .starts_with("v1,")
    );
}
