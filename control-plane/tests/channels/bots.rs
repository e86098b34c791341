//! Bots: connected by their tokens, which stay where they were put.

use serde_json::json;

use crate::fixture::{Fixture, SLACK_TOKEN, TELEGRAM_TOKEN, id};
use crate::support::{World, error};

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_is_connected_once_its_provider_knows_the_token() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let connect = async |body| world.post("/v1/connections/bot-token", &body).await;
    let made = connect(json!({"service": "telegram", "botToken": TELEGRAM_TOKEN})).await;
    let made = made.expect(200).unwrap();
    assert_eq!(made["message"], "Telegram Bot connected successfully");
    assert_eq!(made["label"], "Telegram @ah5_bot");
    assert_eq!(made["botInfo"]["botId"], 12_345_678);
    assert_eq!(made["connection"]["metadata"], made["botInfo"]);
    let body = json!({"service": "slack", "botToken": SLACK_TOKEN, "label": "Ops"});
    let made = connect(body).await.expect(200).unwrap();
    assert_eq!(made["label"], "Ops");
    assert_eq!(made["botInfo"]["teamName"], "Acme");
    let listed = world.get("/v1/connections").await.json();
    let telegram = &listed["connections"][0];
    assert_eq!(telegram["baseUrl"], "https://api.telegram.org/");
    assert_eq!(telegram["grantedScopes"][0], "bot:sendMessage");

    let wrong = "87654321:AAplanted-wrong-token-0123456789";
    for (body, status, text) in [
        (
            json!({"botToken": "x"}),
            400,
            "body must have required property 'service'",
        ),
        (
            json!({"service": "telegram"}),
            400,
            "body must have required property 'botToken'",
        ),
        (
            json!({"service": "fax", "botToken": "x"}),
            400,
            "Invalid service: fax",
        ),
        (
            json!({"service": "github", "botToken": "x"}),
            400,
            "Service 'github' does not use bot tokens",
        ),
        (
            json!({"service": "slack", "botToken": " "}),
            400,
            "botToken is required",
        ),
        (
            json!({"service": "slack", "botToken": "xoxp-1234567890"}),
            400,
            "Invalid Slack bot token format. Token must start with xoxb-",
        ),
        (
            json!({"service": "slack", "botToken": "xoxb-planted-wrong-token"}),
            400,
            "Slack token validation failed: invalid_auth",
        ),
        (
            json!({"service": "telegram", "botToken": wrong}),
            400,
            "Telegram getMe failed (401): Unauthorized",
        ),
        (
            json!({"service": "telegram", "botToken": "12345678:a/../b?c#d e"}),
            400,
            "Invalid botToken",
        ),
    ] {
        let refused = connect(body).await;
        assert_eq!(
            (refused.status.as_u16(), error(&refused)),
            (status, text.to_owned())
        );
    }
    let listed = world.get("/v1/connections").await.json();
    assert_eq!(listed["connections"].as_array().unwrap().len(), 2);
    nothing_leaked(world);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chats_that_wrote_to_a_bot_are_found() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let path = "/v1/notification-channels/telegram/detect-chats";
    let bot = fixture.bot("telegram").await;
    let found = world.post(path, &json!({"connectionId": bot})).await;
    let expected = json!({"chats": [
        {"chatId": "4242", "name": "Ann B", "type": "private", "username": "ann"},
        {"chatId": "-100123", "name": "Ops", "type": "group", "username": null},
    ]});
    assert_eq!(found.expect(200).unwrap(), expected);
    let other = world.connect().await;
    let refused = world.post(path, &json!({"connectionId": other})).await;
    assert_eq!(
        error(&refused),
        "Connection must be a telegram bot connection"
    );
    // Another workspace's bot is nobody's.
    let stranger = world.stranger().await;
    let foreign = stranger.post(path, &json!({"connectionId": bot})).await;
    assert_eq!(error(&foreign.unwrap()), "Connection not found");
    world.owner.revoke(&bot).await.unwrap();
    let refused = world.post(path, &json!({"connectionId": bot})).await;
    assert_eq!(
        error(&refused),
        "Connection has no tokens — reconnect the bot"
    );
}

/// What is sealed for a bot opens for that connection, service and host, and for no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_whose_row_was_changed_goes_nowhere() {
    let fixture = Fixture::open().await;
    let world = &fixture.world;
    let bot = fixture.bot("telegram").await;
    let slack = fixture.slack().await;
    let before = fixture.provider.journal().len();
    // As a database writer would who wants Slack to be told Telegram's token.
    let swap = "update ah5.t_connection_credentials c set sealed = o.sealed
                from ah5.t_connection_credentials o, ah5.t_connections t
                where t.service = 'slack' and c.connection_id = t.id";
    world
        .sql(&format!("{swap} and o.connection_id = '{bot}'"))
        .await;
    let tried = fixture.try_out(&id(&slack)).await;
    assert_eq!(error(&tried), "Failed to decrypt bot token");
    assert_eq!(fixture.provider.journal().len(), before);
    nothing_leaked(world);
}

pub fn nothing_leaked(world: &World) {
    let (log, dump) = (world.log(), world.stack.dump().unwrap());
    for secret in [TELEGRAM_TOKEN, SLACK_TOKEN, "planted-wrong-token"] {
        assert!(!log.contains(secret), "in the log");
        assert!(!dump.contains(secret), "in the database");
    }
}
