use ah5_contracts::policy::Method;
use serde_json::json;

use super::*;
use crate::body::Body;
use crate::url::CanonicalUrl;

fn check(constraints: &Value, url: &str, body: Body<'_>) -> Result<Trust, String> {
    let url = CanonicalUrl::parse(url).unwrap();
    let mut facts = Facts::new(Method::Post, &url, 0);
    facts.tenant = Some("T1");
    Constraints::compile(constraints)
        .unwrap()
        .check(&facts, &Reading::new(body))
}

fn json(text: &str) -> Body<'_> {
    Body::new(text.as_bytes(), Some("application/json"))
}

const TRUSTED: Trust = Trust {
    target: true,
    response: true,
};

#[test]
fn a_telegram_chat_is_held_to_the_list_wherever_it_is_named() {
    let list = json!({"provider": "telegram", "allowedChatIds": ["1", "@news"]});
    let url = "https://api.telegram.org/bot/sendMessage";
    assert_eq!(check(&list, url, json("{\"chat_id\":1}")), Ok(TRUSTED));
    assert_eq!(
        check(&list, url, json("{\"chat_id\":\"@news\"}")),
        Ok(TRUSTED)
    );
    assert_eq!(
        check(&list, url, json("{\"text\":\"x\"}")),
        Ok(Trust::default())
    );
    let form = Some("application/x-www-form-urlencoded");
    for (url, body) in [
        (url, json("{\"chat_id\":9}")),
        (url, json("{\"CHAT_ID\":9}")),
        (url, json("{\"chat_id\":1,\"from_chat_id\":9}")),
        (
            url,
            json("{\"chat_id\":1,\"reply_parameters\":{\"chat_id\":9}}"),
        ),
        (url, Body::new(b"chat_id=9", form)),
        (
            url,
            Body::new(b"chat_id=1&reply_parameters=%7B%22chat_id%22%3A9%7D", form),
        ),
        (
            "https://api.telegram.org/bot/sendMessage?chat_id=9",
            json("{\"chat_id\":1}"),
        ),
        (
            url,
            Body::new(b"--x", Some("multipart/form-data; boundary=x")),
        ),
        (url, json("{\"chat_id\":1,\"chat_id\":9}")),
    ] {
        assert!(check(&list, url, body).is_err(), "{url} {body:?}");
    }
    let refused = check(&list, url, json("{\"chat_id\":9}"));
    assert_eq!(
        refused,
        Err("Chat ID 9 is not in the allowed chat list".to_owned())
    );
    let open = json!({"provider": "telegram", "allowedChatIds": []});
    assert_eq!(
        check(&open, url, json("{\"chat_id\":9}")),
        Ok(Trust::default())
    );
}

#[test]
fn a_slack_channel_is_held_to_the_list_and_direct_messages_are_not_trusted() {
    let list = json!({"provider": "slack", "allowedChannelIds": ["C1", "D1"]});
    let url = "https://slack.com/api/chat.postMessage";
    let target = |body| check(&list, url, json(body)).map(|trust| trust.target);
    assert_eq!(target("{\"channel\":\"C1\"}"), Ok(true));
    assert_eq!(target("{\"channel\":\"D1\"}"), Ok(true));
    assert_eq!(target("{\"channel\":\"D9\"}"), Ok(false));
    assert_eq!(target("{\"channels\":\"C1,D9\"}"), Ok(false));
    assert_eq!(target("{\"text\":\"x\"}"), Ok(false));
    for body in [
        "{\"channel\":\"C9\"}",
        "{\"channel\":\"U1\"}",
        "{\"channel\":[\"C1\",\"C9\"]}",
        "{\"channels\":\"C1, C9\"}",
        "{\"channel_id\":\"C9\"}",
    ] {
        assert!(target(body).is_err(), "{body}");
    }
    let query = "https://slack.com/api/chat.postMessage?channel=C9";
    assert!(check(&list, query, Body::default()).is_err());
}

#[test]
fn teams_chats_channels_and_tenants_are_read_from_path_and_connection() {
    let list = json!({"provider": "microsoft", "allowedChatIds": ["c1"],
                      "allowedChannelIds": ["19:k@thread"], "allowedTenantIds": ["t1"]});
    let root = "https://graph.microsoft.com";
    let teams = |path: &str| check(&list, &format!("{root}{path}"), Body::default());
    for path in [
        "/v1.0/chats/c1/messages",
        "/v1.0/me/chats/c1",
        "/v1.0/teams/t/channels/19:k@thread",
    ] {
        assert_eq!(teams(path).map(|trust| trust.response), Ok(true), "{path}");
    }
    for path in [
        "/v1.0/chats/c9/messages",
        "/V1.0/Chats/c9",
        "/v1.0/chats('c9')/messages",
        "/v1.0/users/u/chats/c9",
        "/v1.0/teams/t/channels/k9",
        "/v1.0/teams/t/channels('k9')",
    ] {
        assert!(teams(path).is_err(), "{path}");
    }
    assert_eq!(teams("/v1.0/me"), Ok(Trust::default()));
    let other = json!({"provider": "microsoft", "allowedTenantIds": ["t2"]});
    let refused = check(
        &other,
        "https://graph.microsoft.com/v1.0/me",
        Body::default(),
    );
    assert_eq!(
        refused,
        Err("Tenant ID T1 is not in the allowed tenant list".to_owned())
    );
}

#[test]
fn a_teams_id_is_the_same_in_every_version_and_spelling_of_a_path() {
    let list = json!({"provider": "microsoft", "allowedChatIds": ["19:c1@thread.v2"],
                      "allowedChannelIds": ["19:k1@thread.tacv2"]});
    let teams = |path: &str| {
        let url = format!("https://graph.microsoft.com{path}");
        check(&list, &url, Body::default()).map(|trust| trust.response)
    };
    for path in [
        "/v1.0/chats/19:c1@thread.v2/messages",
        "/beta/chats/19:c1@thread.v2/messages",
        "/v1.0/chats/19%3Ac1%40thread.v2/messages",
        "/v1.0/chats('19%3Ac1%40thread.v2')/messages",
        "/v1.0/chats%28'19:c1@thread.v2'%29/messages",
        "/beta/teams/t/channels/19%3ak1%40thread.tacv2/messages",
    ] {
        assert_eq!(teams(path), Ok(true), "{path}");
    }
    for path in [
        "/beta/chats/19:c9@thread.v2/messages",
        "/beta/me/chats('19:c9@thread.v2')/messages",
        "/v1.0/chats/19%3Ac9%40thread.v2/messages",
        "/v1.0/ch%61ts/19:c9@thread.v2/messages",
        "/v1.0/chats%28'19:c9@thread.v2'%29/messages",
        "/v1.0/chats(id='19:c9@thread.v2')/messages",
        "/beta/teams/t/channels/19%3Ak9%40thread.tacv2",
        "/v1.0/teams('t')/Channels('19%3Ak9%40thread.tacv2')/messages",
        "/v1.0/users/u/chats/getAllMessages",
        "/v1.0/teams/t/channels/getAllMessages()",
    ] {
        assert!(teams(path).is_err(), "{path}");
    }
}

#[test]
fn a_conversation_of_teams_that_no_id_names_is_not_a_listed_one() {
    let channels = json!({"provider": "microsoft", "allowedChannelIds": ["k1"]});
    let chats = json!({"provider": "microsoft", "allowedChatIds": ["c1"]});
    let teams = |list: &Value, path: &str| {
        let url = format!("https://graph.microsoft.com{path}");
        check(list, &url, Body::default())
    };
    for path in [
        "/v1.0/teams/t/primaryChannel/messages",
        "/beta/teams/t/PrimaryChannel()/messages",
        "/v1.0/teams/t/allChannels/k9",
        "/v1.0/teams/t/incomingChannels('k9')",
        "/v1.0/teams/t?$expand=primaryChannel($expand=messages)",
        "/v1.0/teams/t?%24expand=channels",
        "/v1.0/teams/t?expand=Channels",
    ] {
        assert!(teams(&channels, path).is_err(), "{path}");
    }
    for path in [
        "/v1.0/me/chats?$expand=lastMessagePreview",
        "/v1.0/me?$expand=chats",
    ] {
        assert!(teams(&chats, path).is_err(), "{path}");
    }
    // What is asked of a listed one may say more of it, and of people anything.
    let listed = teams(&chats, "/v1.0/chats/c1?$expand=lastMessagePreview");
    assert_eq!(listed.map(|trust| trust.response), Ok(true));
    assert!(teams(&chats, "/v1.0/me/chats?$expand=members").is_ok());
    assert!(teams(&chats, "/v1.0/teams/t/primaryChannel/messages").is_ok());
    let open = json!({"provider": "microsoft"});
    assert!(teams(&open, "/v1.0/me/chats?$expand=lastMessagePreview").is_ok());
}
